"""Reads what came out of a compiler's sandbox: a tar archive that a hostile program may have written.

The plain format of POSIX.1-1988 (``tar --format=ustar``) and nothing else of tar: regular files and directories,
below one directory, each name once. A link, a device or an extension is no part of a program; links and devices are
left out, everything else that is not as it should be is an error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_BLOCK = 512
MAX_FILES = 20_000


class BadArchive(Exception):
    """What is wrong with it, in words for the one who made it."""


def extract(archive: BinaryIO, into: Path, *, limit_bytes: int) -> int:
    """Write the files below ``into``, which nobody else writes to; returns how many bytes. Raises BadArchive."""
    total = count = 0
    while True:
        header = archive.read(_BLOCK)
        if len(header) != _BLOCK:
            raise BadArchive("the compiler's output is incomplete")
        if not header.strip(b"\0"):
            return total
        if header[257:262] != b"ustar" or _octal(header[148:156]) != _sum(header):
            raise BadArchive("the compiler's output is not what was packed")
        kind, size = header[156:157], _octal(header[124:136])
        total, count = total + size, count + 1
        if total > limit_bytes:
            raise BadArchive(f"the compiler's output is larger than {limit_bytes >> 20} MiB")
        if count > MAX_FILES:
            raise BadArchive(f"the compiler made more than {MAX_FILES} files")
        parts = _parts(header)
        path = into.joinpath(*parts)
        if kind == b"5":
            _mkdir(path)
        elif kind in (b"0", b"\0") and parts:
            _mkdir(path.parent)
            _write(archive, path, size, 0o755 if _octal(header[100:108]) & 0o111 else 0o644)
            _skip(archive, -size % _BLOCK)
        elif kind in (b"1", b"2", b"3", b"4", b"6"):
            _skip(archive, size + -size % _BLOCK)
        else:
            raise BadArchive("the compiler's output is not what was packed")


def _parts(header: bytes) -> list[str]:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0]
    whole = os.fsdecode(prefix + b"/" + name if prefix else name)
    parts = [part for part in whole.split("/") if part not in ("", ".")]
    if ".." in parts or whole.startswith("/"):
        raise BadArchive("the compiler's output has a name that leads out of it")
    return parts


def _mkdir(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadArchive("the compiler's output has a name twice") from error


def _write(archive: BinaryIO, path: Path, size: int, mode: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise BadArchive("the compiler's output has a name twice") from error
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)
        while size:
            data = archive.read(min(size, 1 << 20))
            if not data:
                raise BadArchive("the compiler's output is incomplete")
            file.write(data)
            size -= len(data)


def _skip(archive: BinaryIO, size: int) -> None:
    while size:
        data = archive.read(min(size, 1 << 20))
        if not data:
            raise BadArchive("the compiler's output is incomplete")
        size -= len(data)


def _octal(field: bytes) -> int:
    text = field.strip(b" \0")
    if text and not all(digit in b"01234567" for digit in text):
        raise BadArchive("the compiler's output is not what was packed")
    return int(text or b"0", 8)


def _sum(header: bytes) -> int:
    return sum(header[:148]) + 8 * 0x20 + sum(header[156:])
