"""Zip files (APPNOTE 6.3.10), on the standard library's reader, with what it does not look at.

Its reader takes an entry count from nowhere but the directory itself, allows members that share bytes before 3.11.8,
and bounds the output of one step for deflate alone: so the directory is counted first, members must lie one after
another, and deflate is the one compression allowed.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from . import names
from .growth import CHUNK, Growth, Refused

_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7 local file header
_ENTRY = struct.Struct("<4s6H3L5H2L")  # 4.3.12 central directory header
_END = struct.Struct("<4s4H2LH")  # 4.3.16 end of central directory record
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14 zip64 end of central directory record
_LOCATOR64 = struct.Struct("<4sLQL")  # 4.3.15 its locator
_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}  # 4.4.5
_UNIX = (3, 19)  # 4.4.2 version made by: Unix, OS X; both have a mode in the upper half of the external attributes
_ENCRYPTED = 0x2041  # 4.4.4: bits 0 (encrypted), 6 (strongly), 13 (the directory's values too)


def read_zip(file: BinaryIO, growth: Growth) -> None:
    """Raises Refused, OSError."""
    size = file.seek(0, 2)
    _count(file, size, growth.limit_files)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _apart(file, members, archive.start_dir)
            for member in members:
                _member(archive, member, growth)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, UnicodeError, ValueError) as error:
        raise Refused(f"a broken zip file: {error}") from error
    except (NotImplementedError, RuntimeError, OverflowError) as error:
        raise Refused(f"a zip file that cannot be unpacked: {error}") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, growth: Growth) -> None:
    name, shown = member.orig_filename, names.show(member.orig_filename)
    if member.flag_bits & _ENCRYPTED:
        raise Refused(f"{shown}: encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
        raise Refused(f"{shown}: compressed by {method}; only stored and deflated members can be unpacked")
    mode = member.external_attr >> 16 if member.create_system in _UNIX else 0
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        raise Refused(f"{shown}: a symbolic link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"{shown}: neither a file nor a directory")
    directory = name.endswith("/") or kind == stat.S_IFDIR
    if directory:
        if member.file_size:
            raise Refused(f"{shown}: a directory with content")
        growth.directory(name)
        return
    growth.room(member.file_size, name)
    growth.file(name, _chunks(archive, member), executable=bool(mode & 0o111))


def _chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    left = member.file_size
    with archive.open(member) as stream:
        while chunk := stream.read(CHUNK):
            left -= len(chunk)
            yield chunk
    if left:
        raise Refused(f"{names.show(member.orig_filename)}: shorter than its header says")


def _count(file: BinaryIO, size: int, limit: int) -> None:
    """Refuses a directory with too many entries before it is read into memory as a whole."""
    end_at, end = _find_end(file, size)
    directory_size = end[5]
    if end_at >= _LOCATOR64.size:
        locator = _read(file, end_at - _LOCATOR64.size, _LOCATOR64)
        if locator[0] == b"PK\x06\x07":
            end_at -= _LOCATOR64.size + _END64.size
            end64 = _read(file, end_at, _END64) if end_at >= 0 else (b"",)
            if end64[0] != b"PK\x06\x06":
                raise Refused("a broken zip file: no zip64 directory before its locator")
            directory_size = end64[8]
    at = end_at - directory_size
    if at < 0:
        raise Refused("a broken zip file: its directory would start before the file")
    count = 0
    while at < end_at:
        entry = _read(file, at, _ENTRY)
        if entry[0] != b"PK\x01\x02":
            raise Refused("a broken zip file: bad entry in its directory")
        count += 1
        if count > limit:
            raise Refused(f"holds more than {limit} files and directories")
        at += _ENTRY.size + entry[10] + entry[11] + entry[12]


def _find_end(file: BinaryIO, size: int) -> tuple[int, tuple[Any, ...]]:
    """Where the reader of the standard library finds it: at the very end, else the last one before a comment."""
    start = max(0, size - _END.size - 0xFFFF)
    file.seek(start)
    tail = file.read()
    at = len(tail) - _END.size
    if at < 0 or tail[at : at + 4] != b"PK\x05\x06" or tail[-2:] != b"\x00\x00":
        at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise Refused("a broken or truncated zip file: no directory at its end")
    return start + at, _END.unpack_from(tail, at)


def _read(file: BinaryIO, at: int, form: struct.Struct) -> tuple[Any, ...]:
    file.seek(at)
    data = file.read(form.size)
    if len(data) < form.size:
        raise Refused("a truncated zip file")
    return form.unpack(data)


def _apart(file: BinaryIO, members: list[zipfile.ZipInfo], directory_at: int) -> None:
    """Each member's bytes, with its header, end before the next one's and before the directory."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    ends = [member.header_offset for member in ordered[1:]] + [directory_at]
    for member, after in zip(ordered, ends, strict=False):
        if member.header_offset < 0:
            raise Refused("a broken zip file: a member before its start")
        header = _read(file, member.header_offset, _LOCAL)
        end = member.header_offset + _LOCAL.size + header[9] + header[10] + member.compress_size
        if end > after:
            raise Refused(f"{names.show(member.orig_filename)}: shares bytes with another member (a zip bomb)")
