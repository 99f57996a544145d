"""The table of contents of a tar archive that holds an image: names, and where the content lies.

Only as much of tar as the writers of such archives use; a member that is not understood is no file. Nothing is
unpacked and no name ever becomes a path, so the archive may say what it likes. Names and headers are capped: tarfile
would keep a header of any size in memory.
"""

from __future__ import annotations

import os

from ...record import Record
from ..manifest import Bad

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512
_MAX_HEADER = 1 << 20
MAX_MEMBERS = 2_000_000


class Member(Record):
    """``kind``: file, link (symbolic), hard, directory, other. ``name`` without ``./`` in front."""

    name: str
    kind: str
    offset: int = 0
    size: int = 0
    target: str = ""


_OCTAL = frozenset(b"01234567")
_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hard", b"2": "link", b"5": "directory"}


def members(fd: int, start: int = 0) -> Iterator[Member]:
    """Of an open file that can be read at any place. Raises Bad for what is no tar archive."""
    at, extra = start, {}
    for _number in range(MAX_MEMBERS):
        header = os.pread(fd, _BLOCK, at)
        if not header.strip(b"\0"):
            if at == start and not header:
                raise Bad("it is empty")
            return  # two blocks of zeros, or the bare end, as some writers leave it
        if len(header) < _BLOCK or not _checksum(header):
            raise Bad(f"it is no tar archive: no header at byte {at}")
        size = _number_at(header[124:136])
        kind = header[156:157]
        at += _BLOCK
        if kind in b"LKxg":
            if size > _MAX_HEADER:
                raise Bad(f"a header of {size} bytes in the tar archive")
            data = os.pread(fd, size, at)
            at += _padded(size)
            if kind == b"L":
                extra["path"] = _text(data)
            elif kind == b"K":
                extra["linkpath"] = _text(data)
            elif kind == b"x":
                extra |= _records(data)
            continue
        if kind == b"S":  # GNU's old sparse files: further blocks of a table follow
            more = header[482:483]
            while more.strip(b"\0"):
                more = os.pread(fd, _BLOCK, at)[504:505]
                at += _BLOCK
        if "size" in extra:
            size = _decimal(extra["size"])
        name = extra.get("path") or _name(header)
        target = extra.get("linkpath") or _text(header[157:257])
        stored = 0 if kind in b"123456" and kind else size
        yield Member(name=clean(name), kind=_KINDS.get(kind, "other"), offset=at, size=stored, target=target)
        at += _padded(stored)
        extra = {}
    raise Bad(f"the tar archive has more than {MAX_MEMBERS} members")


def clean(name: str) -> str:
    """Without ``./`` and ``/`` in front; what has ``..`` in it becomes "", which no file is called."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "" if ".." in parts else "/".join(parts)


def _checksum(header: bytes) -> bool:
    try:
        said = _number_at(header[148:156])
    except Bad:
        return False
    return said == sum(header[:148]) + 8 * 0x20 + sum(header[156:])


def _number_at(field: bytes) -> int:
    if field[:1] == b"\x80":  # base 256, GNU's way beyond 8 GiB
        return _bounded(int.from_bytes(field[1:], "big"))
    text = field.strip(b" \0")
    if text and not set(text) <= _OCTAL:
        raise Bad("it is no tar archive: a size is not a number")
    return int(text, 8) if text else 0


def _bounded(size: int) -> int:
    """No file is so large, and an offset must fit into 64 bits."""
    if size >= 1 << 62:
        raise Bad(f"a member of {size} bytes in the tar archive")
    return size


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Bad("a size in the tar archive is not a number")
    return _bounded(int(text))


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    name = _text(header[:100])
    return f"{prefix}/{name}" if prefix else name


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _records(data: bytes) -> dict[str, str]:
    """pax: "LENGTH KEY=VALUE\\n", those that matter here."""
    found = {}
    while data:
        length, space, _rest = data.partition(b" ")
        if not (space and length.isdigit() and len(length) < 8 and len(length) + 1 < int(length) <= len(data)):
            raise Bad("a pax header in the tar archive is damaged")
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        if key in (b"path", b"linkpath", b"size"):
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    return found


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
