"""Tar files: ustar, pax (POSIX.1-2008, pax) and GNU's long names (tar(5)).

The headers are read by the standard library, one block at a time; what follows a header is read here, since TarFile
takes the whole of an extended header into memory, and unpacks without a bound what is compressed.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from . import names
from .growth import CHUNK, Growth, Refused
from .streams import Plain, Unpacked

_BLOCK = tarfile.BLOCKSIZE
_LIMIT_EXTENDED = 64 << 10
_LIMIT_PADDING = 1 << 20  # tar -b 2048: records of 1 MiB
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link"}
_SPECIAL = {
    tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a FIFO",
    tarfile.GNUTYPE_SPARSE: "a sparse file", b"M": "a part of a file of another volume",
}  # fmt: skip


def read_tar(file: BinaryIO, kind: str, growth: Growth) -> None:
    """``kind``: "tar" or how it is compressed. Raises Refused, OSError."""
    _Reader(Plain(file) if kind == "tar" else Unpacked(file, kind), growth).run()


class _Reader:
    def __init__(self, stream: Plain | Unpacked, growth: Growth) -> None:
        self._stream, self._growth = stream, growth
        self._next: dict[str, str] = {}  # what extended headers say about the next member
        self._headers = 0

    def run(self) -> None:
        while True:
            block = self._exactly(_BLOCK)
            if not any(block):
                break
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except (tarfile.TarError, ValueError, OverflowError) as error:
                raise Refused(f"a broken tar file: {error}") from error
            # As many extended headers as members, at the most: each costs a block and no file.
            self._headers += 1
            if self._headers > 3 * self._growth.limit_files + 3:
                raise Refused(f"holds more than {self._growth.limit_files} files and directories")
            self._one(info)
        if self._next:
            raise Refused("a broken tar file: an extended header at its end")
        self._end()

    def _one(self, info: tarfile.TarInfo) -> None:
        shown = names.show(info.name)
        if info.size < 0:
            raise Refused(f"{shown}: a negative size")
        if info.type == tarfile.XHDTYPE:
            self._next |= _records(self._extended(info))
        elif info.type == tarfile.XGLTYPE:
            # git-archive names the commit so; names or sizes for all members make no sense.
            if not {"path", "size", "linkpath"}.isdisjoint(_records(self._extended(info))):
                raise Refused("a tar file with one name or size for all members")
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            self._next["path"] = self._extended(info).rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif info.type == tarfile.GNUTYPE_LONGLINK:
            self._extended(info)
        else:
            self._member(info)

    def _member(self, info: tarfile.TarInfo) -> None:
        said, self._next = self._next, {}
        name, size, kind = said.get("path", info.name), info.size, info.type
        shown = names.show(name)
        if "size" in said:
            if not said["size"].isascii() or not said["size"].isdigit() or len(said["size"]) > 18:
                raise Refused(f"{shown}: a broken size")
            size = int(said["size"])
        if any(key.startswith("GNU.sparse.") for key in said):
            raise Refused(f"{shown}: a sparse file")
        if kind in _LINKS or kind in _SPECIAL:
            raise Refused(f"{shown}: {_LINKS.get(kind) or _SPECIAL[kind]}")
        if kind == tarfile.DIRTYPE or (kind in _FILES and name.endswith("/")):
            if size:
                raise Refused(f"{shown}: a directory with content")
            self._growth.directory(name)
        elif kind in _FILES:
            self._growth.room(size, name)
            self._growth.file(name, self._data(size), executable=bool(info.mode & 0o111))
        else:
            raise Refused(f"{shown}: a member of the unknown type {kind!r}")

    def _extended(self, info: tarfile.TarInfo) -> bytes:
        if info.size > _LIMIT_EXTENDED:
            raise Refused(f"an extended header of {info.size} bytes")
        self._growth.spend(info.size)
        return b"".join(self._data(info.size))

    def _data(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            chunk = self._exactly(min(left, CHUNK))
            left -= len(chunk)
            yield chunk
        self._exactly(-size % _BLOCK)

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise Refused("truncated: the tar file stops before its end mark")
        return data

    def _end(self) -> None:
        """Reads on to the end, so that a compressed file's checksum is verified."""
        for _ in range(_LIMIT_PADDING // _BLOCK):
            block = self._stream.read(_BLOCK)
            if not block:
                return
            if any(block):
                break
        raise Refused("more data after the end of the tar file")


def _records(data: bytes) -> dict[str, str]:
    """pax: "length key=value\\n" each, the length in decimal and of all of it."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        digits = data[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        record = data[space + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if end <= space or end > len(data) or not equals or not record.endswith(b"\n"):
            raise Refused("a broken tar file: bad extended header")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        at = end
    return found
