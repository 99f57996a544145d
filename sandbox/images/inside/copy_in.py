"""A tar on stdin into the root at ``/root``, at one place of it, as ``docker cp`` and COPY put things.

What is there already: a file is replaced, a directory keeps its attributes and gets more in it, and neither takes the
place of the other. Links in the destination are the root's own; a link met below it is not followed.
"""

from __future__ import annotations

import os
import stat
import sys

from .place import WHITEOUT, Tree, kind_of
from .resolve import ROOT, make_directory, open_in, split
from .start import Refused, shown
from .tarread import DIRECTORY, LINK, TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .directories import Place
    from .tarread import Member


class Copy(Tree):
    """``rename``: the one name at the top becomes this; "" keeps names. ``owner``, ``mode``: of all, if given."""

    def __init__(self, root: int, *, rename: bytes, owner: tuple[int, int] | None, mode: int | None,
                 **options: Any) -> None:  # fmt: skip
        super().__init__(root, **options)
        self._rename, self._to, self._mode = rename, owner, mode
        self._top: bytes | None = None
        self._made: set[Place] = set()

    def place(self, name: bytes, what: str = "name") -> Place:
        """With the name at the top changed."""
        parts = super().place(name, what)
        if not self._rename:
            return parts
        if not parts or parts[0] != (self._top if self._top is not None else parts[0]):
            to = shown(self._rename)
            raise Refused(f"{shown(name)}: more than one thing is to become {to}; end the destination with a / ")
        self._top = parts[0]
        return (self._rename, *parts[1:])

    def put(self, member: Member, tar: TarReader) -> None:
        """One member."""
        place = self.place(member.name)
        if self._mode is not None and member.kind != LINK:
            member.mode = self._mode
        above = self.enter(place[:-1]) if place else -1
        kind = kind_of(above, place[-1]) if place else None
        if kind == WHITEOUT:  # somebody's device, as far as it can be one
            kind = None
        if not place or (kind is not None and stat.S_ISDIR(kind[0])):
            if member.kind != DIRECTORY:
                raise Refused(f"{shown(member.name)}: a {member.kind} cannot take the place of a directory")
            if place not in self._made:
                return
        elif kind is not None and member.kind == DIRECTORY:
            raise Refused(f"{shown(member.name)}: a directory cannot take the place of what is there")
        if member.kind == DIRECTORY:
            self._made.add(place)
        self.add(member, place, tar.data(member))

    def owner(self, member: Member) -> tuple[int, int]:
        """As asked, or the member's."""
        return self._to if self._to is not None else super().owner(member)


def main(words: list[str]) -> dict[str, Any]:
    """``dest`` in hexadecimal, ``into|as|auto``, ``uid:gid|-``, ``mode|-``, ids, last_id, limit_bytes, limit_files."""
    path, names, owner, mode, ids, *numbers = words
    last_id, limit_bytes, limit_files = (int(number) for number in numbers)
    os.umask(0o022)
    dest = bytes.fromhex(path)
    root = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if names == "auto":
        names = "into" if dest.endswith((b"/", b"/.")) or _is_directory(root, dest) else "as"
    rename = b""
    if names == "into":
        fd = make_directory(root, dest)
    else:
        folder, rename = split(dest)
        fd = make_directory(root, folder)
    uid, _, gid = owner.partition(":")
    copy = Copy(fd, rename=rename, owner=None if owner == "-" else (int(uid), int(gid)),
                mode=None if mode == "-" else int(mode, 8), ids=ids, last_id=last_id, limit_bytes=limit_bytes,
                limit_files=limit_files)  # fmt: skip
    tar = TarReader(sys.stdin.buffer)
    for member in tar:
        copy.put(member, tar)
    copy.finish()
    return {"bytes": copy.bytes, "files": copy.files, "notes": copy.notes}


def _is_directory(root: int, path: bytes) -> bool:
    try:
        os.close(open_in(root, path, os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True
