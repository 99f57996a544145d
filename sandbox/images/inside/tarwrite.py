"""A writer of pax archives whose bytes follow from their content alone: no names of users, no atime or ctime, whole
seconds, and a pax header only where ustar has no room (IEEE Std 1003.1, pax, "pax Interchange Format")."""

from __future__ import annotations

from .start import Refused, shown, write_all
from .tarread import BLOCKDEV, CHAR, DIRECTORY, FIFO, FILE, LINK, SYMLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .tarread import Member

BLOCK = 512
BUFFER = 256 << 10
_LETTERS = {FILE: b"0", LINK: b"1", SYMLINK: b"2", CHAR: b"3", BLOCKDEV: b"4", DIRECTORY: b"5", FIFO: b"6"}
_SECOND = 1_000_000_000


class TarWriter:
    """``add`` each member, then ``close``. ``fine``: times are told in ns. ``write`` has to write all it is given."""

    def __init__(self, fd: int, *, fine: bool = False, write: Callable[[int, bytearray], None] = write_all) -> None:
        self._fd, self._fine, self._write_all = fd, fine, write
        self._waiting = bytearray()

    def add(self, member: Member, data: Iterable[bytes] = ()) -> None:
        """``data`` is of ``member.size`` bytes, or the member is refused."""
        records: dict[bytes, bytes] = {}
        name, linkname = member.name, member.linkname
        if len(name) > 100:
            records[b"path"], name = name, name[:100]
        if len(linkname) > 100:
            records[b"linkpath"], linkname = linkname, linkname[:100]
        seconds = member.mtime_ns // _SECOND
        fields = {b"uid": member.uid, b"gid": member.gid, b"size": member.size, b"mtime": seconds}
        for key, number in fields.items():
            if not 0 <= number < (1 << 33 if key in (b"size", b"mtime") else 1 << 21):
                records[key], fields[key] = b"%d" % number, 0
        if self._fine and seconds >= 0 and (rest := member.mtime_ns % _SECOND):
            records[b"mtime"] = b"%d.%09d" % (seconds, rest)
        for key, value in member.xattrs.items():
            records[b"SCHILY.xattr." + key] = value
        if records:
            body = b"".join(_record(key, records[key]) for key in sorted(records))
            self._header(b"PaxHeaders/" + name[-80:], b"x", {b"size": len(body)}, b"", member, 0o644)
            self._write(body + bytes(-len(body) % BLOCK))
        self._header(name, _LETTERS[member.kind], fields, linkname, member, member.mode)
        written = 0
        for chunk in data:
            written += len(chunk)
            if written > member.size:
                break
            self._write(chunk)
        if written != member.size:
            raise Refused(f"{shown(member.name)}: changed while it was read; stop or pause what writes to it")
        self._write(bytes(-member.size % BLOCK))

    def close(self) -> None:
        """The end: two empty blocks."""
        self._write(bytes(2 * BLOCK))
        self._write_all(self._fd, self._waiting)
        self._waiting.clear()

    def _header(self, name: bytes, letter: bytes, fields: dict[bytes, int], linkname: bytes, member: Member,
                mode: int) -> None:  # fmt: skip
        block = b"".join((
            name.ljust(100, b"\0"), b"%07o\0" % mode,
            b"%07o\0" % fields.get(b"uid", 0), b"%07o\0" % fields.get(b"gid", 0),
            b"%011o\0" % fields.get(b"size", 0), b"%011o\0" % fields.get(b"mtime", 0), b" " * 8, letter,
            linkname.ljust(100, b"\0"), b"ustar\x0000", bytes(64),
            b"%07o\0" % member.major, b"%07o\0" % member.minor, bytes(167),
        ))  # fmt: skip
        self._write(block[:148] + b"%06o\0 " % sum(block) + block[156:])

    def _write(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= BUFFER:
            self._write_all(self._fd, self._waiting)
            self._waiting = bytearray()


def _record(key: bytes, value: bytes) -> bytes:
    """The length counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d" % length + rest
