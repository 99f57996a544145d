"""A layer's tar on stdin, uncompressed, becomes a directory as overlayfs wants a lower layer.

image-spec, layer.md: "Whiteouts". ``.wh.NAME`` becomes a character device 0:0, ``.wh..wh..opq`` the attribute
user.overlay.opaque of its directory. Both only hide what lower layers have, whatever the order of members is.
"""

from __future__ import annotations

import os
import stat
import sys

from .place import OPAQUE, Tree, kind_of
from .start import Refused, shown
from .tarread import DIRECTORY, TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .directories import Place
    from .tarread import Member

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"


class Layer(Tree):
    """A tree with whiteouts."""

    def __init__(self, root: int, **options: Any) -> None:
        super().__init__(root, **options)
        self.hidden: set[Place] = set()  # of lower layers; some of them are there anew
        self.opaque_root = False

    def add_member(self, member: Member, tar: TarReader) -> None:
        """A file, or a whiteout."""
        place = self.place(member.name)
        if any(part.startswith(PREFIX) for part in place[:-1]):
            raise Refused(f"{shown(member.name)}: below a name that is reserved for whiteouts")
        if not place or not place[-1].startswith(PREFIX):
            self.add(member, place, tar.data(member))
            if place in self.hidden and member.kind == DIRECTORY:
                self.make_opaque(self.enter(place[:-1]), place[-1])
            return
        folder, name = place[:-1], place[-1][len(PREFIX) :]
        if place[-1] == OPAQUE_NAME:
            if not folder:
                self.opaque_root = True
            os.setxattr(self.enter(folder), OPAQUE, b"y")
            self.hidden.add(folder)
        elif name in (b"", b".", b"..") or name.startswith(PREFIX):
            raise Refused(f"{shown(member.name)}: a whiteout of no name that could be")
        else:
            self._whiteout((*folder, name))

    def _whiteout(self, place: Place) -> None:
        above = self.enter(place[:-1])
        self.hidden.add(place)
        kind = kind_of(above, place[-1])
        if kind is None:
            self.count()
            os.mknod(place[-1], stat.S_IFCHR, 0, dir_fd=above)  # needs no capability since Linux 5.8
        elif stat.S_ISDIR(kind[0]):
            self.make_opaque(above, place[-1])


def main(words: list[str]) -> dict[str, Any]:
    """``ids last_id limit_bytes limit_files``; the directory is ``/target``."""
    ids, *numbers = words
    last_id, limit_bytes, limit_files = (int(word) for word in numbers)
    os.umask(0o022)
    root = os.open("/target", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    layer = Layer(root, ids=ids, last_id=last_id, limit_bytes=limit_bytes, limit_files=limit_files)
    tar = TarReader(sys.stdin.buffer)
    for member in tar:
        layer.add_member(member, tar)
    layer.finish()
    return {"bytes": layer.bytes, "files": layer.files, "notes": layer.notes, "opaque": layer.opaque_root}
