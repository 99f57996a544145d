"""What ``cp``, COPY and the host make of a tar: files in a tree that is there already, below one directory fd.

The host imports this as well as the sandbox: whoever writes where another may write at the same time has to keep to
fds.
"""

from __future__ import annotations

import os
import stat

from .place import Tree, kind_of
from .start import Refused, shown
from .tarread import DIRECTORY, FILE, LINK, SYMLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .directories import Place
    from .tarread import Member


class Copy(Tree):
    """What is there already: a file is replaced, a directory keeps its attributes and gets more in it, and neither
    takes the place of the other.

    ``rename``: the one name at the top becomes this; ``strip``: it is the root itself. ``owner``, ``mode``: of all, if
    given. ``plain``: files, directories and symlinks alone, without setuid, setgid and sticky bits and attributes;
    ``private``: nothing that others may write to, and all that the owner may.
    """

    def __init__(self, root: int, *, rename: bytes = b"", strip: bool = False, owner: tuple[int, int] | None = None,
                 mode: int | None = None, plain: bool = False, private: bool = False,
                 **options: Any) -> None:  # fmt: skip
        super().__init__(root, **options)
        self._rename, self._strip, self._to, self._mode, self._plain = rename, strip, owner, mode, plain
        self._private = private
        self._top: bytes | None = None

    def place(self, name: bytes, what: str = "name") -> Place:
        """With the name at the top changed."""
        parts = super().place(name, what)
        if not self._rename and not self._strip:
            return parts
        if not parts or parts[0] != (self._top if self._top is not None else parts[0]):
            to = shown(self._rename) or "the destination"
            raise Refused(f"{shown(name)}: more than one thing is to become {to}; end the destination with a / ")
        self._top = parts[0]
        return (self._rename, *parts[1:]) if self._rename else parts[1:]

    def add(self, member: Member, place: Place, data: Iterator[tuple[int, bytes]]) -> None:
        """Make it, or replace what is there."""
        if self._plain:
            if member.kind not in (FILE, DIRECTORY, SYMLINK):
                self.note(f"{shown(member.name)}: left out, it is a {member.kind}")
                return
            member.mode &= 0o777
            member.xattrs = {}
        if self._private:
            member.mode = member.mode & 0o7755 | (0o700 if member.kind == DIRECTORY else 0o600)
        if self._mode is not None and member.kind != LINK:
            member.mode = self._mode
        if place:
            super().add(member, place, data)
        elif member.kind != DIRECTORY:
            raise Refused(f"{shown(member.name)}: a {member.kind} cannot take the place of a directory")

    def _add_directory(self, member: Member, place: Place) -> None:
        above = self.enter(place[:-1])
        kind = kind_of(above, place[-1])
        if kind is None:
            os.mkdir(place[-1], 0o700, dir_fd=above)
            self.count()
        elif not stat.S_ISDIR(kind[0]):
            raise Refused(f"{shown(member.name)}: a directory cannot take the place of what is there")
        elif place not in self._directories:
            return
        self._directories[place] = member

    def _clear(self, above: int, place: Place) -> None:
        # one call: what is a file may be a directory of somebody's a moment later
        try:
            os.unlink(place[-1], dir_fd=above)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            name = shown(b"/".join(place))
            raise Refused(f"{name}: a file or link cannot take the place of a directory") from None

    def reveal(self, above: int, name: bytes) -> None:
        """There are no whiteouts here."""
        raise Refused(f"{shown(name)}: something is to be put below it, and it is a device")

    def owner(self, member: Member) -> tuple[int, int]:
        """As asked, or the member's."""
        return self._to if self._to is not None else super().owner(member)
