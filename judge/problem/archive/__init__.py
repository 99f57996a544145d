"""Archives from strangers: zip and tar, unpacked below a directory of the caller's, or refused with nothing left.

    names   what a member may be called
    growth  where the files are made: below a directory fd, sizes and counts capped while writing
    zips, tars, streams   the formats
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from ...errors import ArchiveError
from .growth import Growth, Refused

# Of one package. The problem package format caps neither; contest archives' largest are some GB of tests.
LIMIT_BYTES = 4 << 30
LIMIT_FILES = 50_000

_MAGIC = (
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)  # fmt: skip
_USTAR = slice(257, 262)
_UNSUPPORTED = (
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar"), (b"\x1f\x9d", "compress"),
    (b"LZIP", "lzip"), (b"\x04\x22\x4d\x18", "lz4"),
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """Does the file start as one of the formats that ``unpack`` reads? False for what is no regular file."""
    try:
        with _open(path) as file:
            return _format(file) is not None
    except (OSError, ArchiveError):
        return False


def unpack(
    archive: Path, into: Path, *, limit_bytes: int = LIMIT_BYTES, limit_files: int = LIMIT_FILES, strip: bool = True
) -> Path:
    """Unpacks zip, tar, tar.gz, tar.bz2 or tar.xz into a new directory below ``into``; returns that, or the one
    directory that is all it holds (unless ``strip`` is false).

    ``limit_bytes``: of what is unpacked; ``limit_files``: files and directories. Modes are 0644 and 0755: executables
    keep that alone. ``__MACOSX`` and ``.DS_Store``, which Finder adds, are left out. ``into`` must be the caller's
    own: nobody else may write there.

    Raises:
        ArchiveError: it is not unpacked, and ``into`` is as it was. Refused are links of every kind, devices, absolute
            names and "..", names that are there twice or differ in case alone, encryption, wrong checksums and
            truncation, more bytes or files than allowed, more than 1,100 times its size once 64 MiB are reached, and
            zip members that share bytes (Fifield, A better zip bomb, 2019).
    """
    try:
        file = _open(archive)
    except OSError as error:
        raise ArchiveError(str(archive), f"cannot be read: {error.strerror}") from error
    with file:
        kind = _format(file)
        if kind is None:
            raise ArchiveError(str(archive), _unknown(file))
        try:
            growth = Growth(into, _stem(archive.name), os.fstat(file.fileno()).st_size, limit_bytes, limit_files)
        except OSError as error:
            raise ArchiveError(str(archive), f"cannot unpack into {into}: {error.strerror}") from error
        with growth:
            try:
                if kind == "zip":
                    from .zips import read_zip

                    read_zip(file, growth)
                else:
                    from .tars import read_tar

                    read_tar(file, kind, growth)
                growth.keep()
            except Refused as refused:
                raise ArchiveError(str(archive), str(refused)) from refused
            except OSError as error:
                # Of the disk or the archive's file: what the formats' own modules raise for bad data is Refused by now.
                raise ArchiveError(str(archive), f"cannot be unpacked: {error.strerror or error}") from error
    top = growth.single_directory() if strip else None
    return growth.path / top if top else growth.path


def _open(path: Path) -> BinaryIO:
    # O_NONBLOCK: a FIFO of that name must not hold us up.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ArchiveError(str(path), "not a regular file")
    return open(fd, "rb")


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(512)
    file.seek(0)
    return head


def _format(file: BinaryIO) -> str | None:
    head = _head(file)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return "tar" if head[_USTAR] == b"ustar" else None


def _unknown(file: BinaryIO) -> str:
    head = _head(file)
    for magic, name in _UNSUPPORTED:
        if head.startswith(magic):
            return f"a {name} file; zip, tar, tar.gz, tar.bz2 and tar.xz can be unpacked"
    return "neither zip nor tar, tar.gz, tar.bz2, tar.xz" + ("" if head else " but empty")


def _stem(name: str) -> str:
    """The archive's name without what says its format: the package's name if it has no directory of its own."""
    lower = name.lower()
    for end in (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".tbz", ".txz", ".tar", ".zip", ".kpp", ".gz"):
        if lower.endswith(end) and len(name) > len(end):
            name = name[: -len(end)]
            break
    return name.strip(". ") or "package"
