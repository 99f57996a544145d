"""A strict reader of tar streams: ustar, GNU (long names, sparse) and pax (records, xattrs, sparse 0.0, 0.1, 1.0).

pax: IEEE Std 1003.1, pax, "pax Interchange Format"; GNU: tar(5), "GNU Tar Archives", and the GNU tar manual, "Storing
Sparse Files". Names are bytes. Nothing is read ahead of a member's end, nothing is believed that was not checked, and
no field makes us hold more than MAX_HEADER bytes.
"""

from __future__ import annotations

from .start import Refused, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

BLOCK = 512
CHUNK = 1 << 20
MAX_HEADER = 1 << 20  # of one pax header or long name; the same as Go's archive/tar takes
MAX_SPARSE = 100_000  # pieces of one sparse file
MAX_SIZE = 1 << 62

FILE, DIRECTORY, LINK, SYMLINK, FIFO, CHAR, BLOCKDEV = "file", "directory", "link", "symlink", "fifo", "char", "block"
_KINDS = {
    b"0": FILE, b"\0": FILE, b"7": FILE, b"S": FILE, b"1": LINK, b"2": SYMLINK, b"3": CHAR, b"4": BLOCKDEV,
    b"5": DIRECTORY, b"6": FIFO,
}  # fmt: skip


class Member:
    """One entry: ``size`` is of the file as it will be, ``stored`` of its bytes here, ``pieces`` where they go."""

    __slots__ = (
        "gid", "kind", "linkname", "major", "minor", "mode", "mtime_ns", "name", "pieces", "size", "stored", "uid",
        "xattrs",
    )  # fmt: skip

    def __init__(self, name: bytes, kind: str) -> None:
        self.name, self.kind = name, kind
        self.linkname = b""
        self.mode = self.uid = self.gid = self.size = self.stored = self.mtime_ns = self.major = self.minor = 0
        self.pieces: list[tuple[int, int]] | None = None
        self.xattrs: dict[bytes, bytes] = {}


class TarReader:
    """Iterate for members; ``data`` gives the bytes of the one at hand, and what is not asked for is skipped."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = 0  # bytes of the member at hand that were not read yet
        self._padding = 0
        self._global: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[Member]:
        while True:
            self._skip()
            member = self._next()
            if member is None:
                return
            yield member

    def data(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """(offset in the file, bytes), in order; holes are left out."""
        for offset, length in member.pieces if member.pieces is not None else [(0, member.stored)]:
            while length:
                chunk = self._read(min(length, CHUNK))
                self._left -= len(chunk)
                yield offset, chunk
                offset, length = offset + len(chunk), length - len(chunk)

    def drain(self) -> None:
        """What comes after the end of the archive."""
        while self._stream.read(CHUNK):
            pass

    # ---- the stream ----

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise Refused("the archive ends in the middle of a member")
        return data

    def _skip(self) -> None:
        left = self._left + self._padding
        while left:
            left -= len(self._read(min(left, CHUNK)))
        self._left = self._padding = 0

    def _body(self, size: int, what: str) -> bytes:
        if size > MAX_HEADER:
            raise Refused(f"{what} of {size} bytes, more than {MAX_HEADER}")
        return self._read(size + -size % BLOCK)[:size]

    # ---- headers ----

    def _next(self) -> Member | None:
        records: dict[bytes, bytes] = {}
        sparse: list[tuple[bytes, bytes]] = []
        long_name = long_link = None
        while True:
            block = self._stream.read(BLOCK)
            if len(block) < BLOCK:
                if block or records or long_name or long_link:
                    raise Refused("the archive ends in the middle of a header")
                return None  # no end mark: GNU tar and Go take it
            if not any(block):
                self.drain()
                return None
            _check(block)
            kind, size = block[156:157], _number(block[124:136], "size")
            if kind in b"xXg":
                found = _records(self._body(size, "a pax header"))
                if kind == b"g":
                    self._global.update(found)
                else:
                    records.update(found)
                    sparse = [(key, value) for key, value in found if key in _SPARSE_00]
            elif kind == b"L":
                long_name = _cut(self._body(size, "a long name"))
            elif kind == b"K":
                long_link = _cut(self._body(size, "a long link name"))
            elif kind == b"V":  # a label
                self._body(size, "a label")
            else:
                records = {**self._global, **records}
                return self._member(block, records, sparse, long_name, long_link)

    def _member(self, block: bytes, records: dict[bytes, bytes], sparse: list[tuple[bytes, bytes]],
                long_name: bytes | None, long_link: bytes | None) -> Member:  # fmt: skip
        gnu = block[257:265] == b"ustar  \0"
        name = _cut(block[0:100])
        if block[257:263] == b"ustar\0" and (prefix := _cut(block[345:500])):
            name = prefix + b"/" + name
        name = records.get(b"GNU.sparse.name") or records.get(b"path") or long_name or name
        letter = block[156:157]
        kind = _KINDS.get(letter)
        if kind is None:
            raise Refused(f"{shown(name)}: a member of the unknown type {letter!r}")
        if kind == FILE and name.endswith(b"/"):  # as tar before 1988 wrote directories
            kind = DIRECTORY
            if _decimal(records, b"size", _number(block[124:136], "size")):
                raise Refused(f"{shown(name)}: a directory with data")
        member = Member(name, kind)
        member.linkname = records.get(b"linkpath") or long_link or _cut(block[157:257])
        member.mode = _number(block[100:108], "mode") & 0o7777
        member.uid = _decimal(records, b"uid", _number(block[108:116], "uid"))
        member.gid = _decimal(records, b"gid", _number(block[116:124], "gid"))
        member.mtime_ns = _time(records[b"mtime"]) if b"mtime" in records else _seconds(block[136:148])
        if kind in (CHAR, BLOCKDEV):
            member.major, member.minor = _number(block[329:337], "major"), _number(block[337:345], "minor")
        for key, value in records.items():
            if key.startswith(b"SCHILY.xattr."):
                member.xattrs[key[13:]] = value
        if kind == FILE:  # of others a size is a remark of their writer's, no data follow (Go and Python agree)
            stored = _decimal(records, b"size", _number(block[124:136], "size"))
            member.size = member.stored = self._left = stored
            self._padding = -stored % BLOCK
            if letter == b"S":
                if not gnu:
                    raise Refused(f"{shown(name)}: a GNU sparse file in an archive that is not GNU's")
                member.size = _number(block[483:495], "size")
                member.pieces = self._old_sparse(block)
            else:
                self._pax_sparse(member, records, sparse)
            if member.pieces is not None:
                _check_pieces(member)
        return member

    def _old_sparse(self, block: bytes) -> list[tuple[int, int]]:
        pieces = _old_pieces(block[386:482])
        more = block[482]
        while more:
            block = self._read(BLOCK)  # not part of the size
            pieces += _old_pieces(block[:504])
            more = block[504]
            if len(pieces) > MAX_SPARSE:
                raise Refused(f"a sparse file of more than {MAX_SPARSE} pieces")
        return pieces

    def _pax_sparse(self, member: Member, records: dict[bytes, bytes], sparse: list[tuple[bytes, bytes]]) -> None:
        version = records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")
        if version == (b"1", b"0"):
            member.size = _decimal(records, b"GNU.sparse.realsize", None)
            member.pieces = self._map_in_data(member)
        elif b"GNU.sparse.map" in records:
            member.size = _decimal(records, b"GNU.sparse.size", None)
            words = records[b"GNU.sparse.map"].split(b",") if records[b"GNU.sparse.map"] else []
            member.pieces = _pairs([_plain(word) for word in words])
        elif sparse:
            member.size = _decimal(records, b"GNU.sparse.size", None)
            if [key for key, _ in sparse] != list(_SPARSE_00) * (len(sparse) // 2):
                raise Refused(f"{shown(member.name)}: a sparse map whose offsets and lengths do not alternate")
            member.pieces = _pairs([_plain(value) for _, value in sparse])
        elif version != (None, None):
            raise Refused(f"{shown(member.name)}: a sparse format that is not known")

    def _map_in_data(self, member: Member) -> list[tuple[int, int]]:
        """Sparse 1.0: the map is lines of decimal numbers at the begin of the data, in whole blocks."""
        text = b""

        def numbers(count: int) -> list[int]:
            nonlocal text
            while text.count(b"\n") < count:
                if self._left < BLOCK or len(text) > 48 * MAX_SPARSE:
                    raise Refused(f"{shown(member.name)}: a sparse map without an end")
                more = self._read(BLOCK * min(64, 1 + (count - text.count(b"\n")) // 256))
                self._left -= len(more)
                if self._left < 0:
                    raise Refused(f"{shown(member.name)}: a sparse map without an end")
                text += more
            lines = text.split(b"\n", count)
            text = lines.pop()
            return [_plain(line) for line in lines]

        count = numbers(1)[0]
        if count > MAX_SPARSE:
            raise Refused(f"{shown(member.name)}: a sparse file of {count} pieces, more than {MAX_SPARSE}")
        found = _pairs(numbers(2 * count))
        if text.strip(b"\0"):
            raise Refused(f"{shown(member.name)}: a sparse map with something behind it")
        member.stored = self._left
        return found


_SPARSE_00 = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")


def _records(body: bytes) -> list[tuple[bytes, bytes]]:
    """``"%d %s=%s\\n"``, the length being of all of it; an empty value takes back what was said before."""
    found: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(body):
        if not body[at:].strip(b"\0"):
            break
        space = body.find(b" ", at, at + 20)
        digits = body[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = body[space + 1 : end - 1].partition(b"=") if end else (b"", b"", b"")
        if not equals or not key or end > len(body) or body[end - 1 : end] != b"\n":
            raise Refused("a pax header that is not made of records")
        if b"\0" in key or (b"\0" in value and not key.startswith(b"SCHILY.xattr.")):
            raise Refused(f"a pax record {shown(key)} with a NUL byte")
        found.append((key, value))
        at = end
    return found


def _check(block: bytes) -> None:
    said = block[148:156].strip(b" \0")
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if said and set(said) <= set(b"01234567"):
        if int(said, 8) == total:
            return
        if int(said, 8) == total - 256 * sum(1 for i, b in enumerate(block) if b > 127 and not 148 <= i < 156):
            return  # summed as signed bytes, as SunOS did
    raise Refused("not a tar archive, or a damaged one: a header's checksum is wrong")


def _cut(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes, what: str) -> int:
    """Octal, or base 256 where the first bit is set (GNU, star)."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            raise Refused(f"a negative {what} in a header")
    else:
        digits = field.strip(b" \0")
        if not set(digits) <= set(b"01234567"):
            raise Refused(f"a {what} in a header that is no number: {field!r}")
        value = int(digits or b"0", 8)
    if value > MAX_SIZE:
        raise Refused(f"a {what} in a header that is too large: {value}")
    return value


def _seconds(field: bytes) -> int:
    """mtime of a header, in ns: GNU writes negative ones in base 256."""
    if field[0] == 0xFF:
        seconds = int.from_bytes(field, "big", signed=True)
    else:
        seconds = _number(field, "mtime")
    return _in_range(seconds) * 1_000_000_000


def _in_range(seconds: int) -> int:
    return max(-(1 << 31), min(seconds, (1 << 34) - 1))  # what ext4 can store


def _time(text: bytes) -> int:
    whole, _, fraction = text.partition(b".")
    digits = whole[1:] if whole.startswith(b"-") else whole
    if not digits.isdigit() or len(digits) > 20 or (fraction and not fraction.isdigit()):
        raise Refused(f"a time that is no number: {shown(text)}")
    ns = int((fraction + b"0" * 9)[:9])
    seconds = _in_range(int(whole)) * 1_000_000_000
    return seconds - ns if whole.startswith(b"-") else seconds + ns


def _plain(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19 or int(digits) > MAX_SIZE:
        raise Refused(f"not a number where one must be: {shown(digits)}")
    return int(digits)


def _decimal(records: dict[bytes, bytes], key: bytes, otherwise: int | None) -> int:
    value = records.get(key)
    if value:
        return _plain(value)
    if otherwise is None:
        raise Refused(f"a sparse file without {key.decode()}")
    return otherwise


def _pairs(numbers: list[int]) -> list[tuple[int, int]]:
    if len(numbers) % 2 or len(numbers) > 2 * MAX_SPARSE:
        raise Refused(f"a sparse map of {len(numbers)} numbers")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _old_pieces(table: bytes) -> list[tuple[int, int]]:
    found = []
    for at in range(0, len(table), 24):
        if not table[at]:
            break
        found.append((_number(table[at : at + 12], "offset"), _number(table[at + 12 : at + 24], "length")))
    return found


def _check_pieces(member: Member) -> None:
    assert member.pieces is not None
    at = total = 0
    for offset, length in member.pieces:
        if offset < at or offset + length > member.size:
            raise Refused(f"{shown(member.name)}: a sparse map that overlaps itself or goes beyond the file's end")
        at, total = offset + length, total + length
    if total != member.stored:
        raise Refused(f"{shown(member.name)}: a sparse map of {total} bytes for {member.stored} in the archive")
