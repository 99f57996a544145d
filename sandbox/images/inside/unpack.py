"""A layer's tar on stdin, uncompressed, becomes a directory as overlayfs wants a lower layer.

image-spec, layer.md: "Whiteouts". ``.wh.NAME`` becomes a character device 0:0, ``.wh..wh..opq`` the attribute
user.overlay.opaque of its directory. Both only hide what lower layers have, whatever the order of members is.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from .directories import DIRECTORY as OPEN
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
        self.fuse = False  # something is marked in a way that only fuse-overlayfs reads
        self._late: list[Place] = []

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
            self._opaque(self.enter(folder))
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
            try:
                os.mknod(place[-1], stat.S_IFCHR, 0, dir_fd=above)  # needs no capability since Linux 5.8
            except PermissionError:  # on an overlay itself (ovl_mknod() of the kernel)
                self._late.append(place)
        elif stat.S_ISDIR(kind[0]):
            self.make_opaque(above, place[-1])

    def make_opaque(self, above: int, name: bytes) -> None:
        """Also where there are no such attributes."""
        fd = os.open(name, OPEN, dir_fd=above)
        try:
            self._opaque(fd)
        finally:
            os.close(fd)

    def _opaque(self, fd: int) -> None:
        try:
            os.setxattr(fd, OPAQUE, b"y")
        except OSError as error:  # EPERM: on an overlay with userxattr, EOPNOTSUPP: on NFS
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
                raise
            self._mark(fd, OPAQUE_NAME)

    def _mark(self, fd: int, name: bytes) -> None:
        """A file as in the archive, which is how fuse-overlayfs marks what it cannot otherwise."""
        self.fuse = True
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(name, flags, 0o600, dir_fd=fd))
        except FileExistsError:
            pass

    def finish(self) -> None:
        """Whiteouts by files come last: what is hidden may be there anew, and then no such file must be."""
        for place in self._late:
            above = self._there(place[:-1])
            if above < 0:
                continue
            kind = kind_of(above, place[-1])
            if kind is None:
                self._mark(above, PREFIX + place[-1])
            elif stat.S_ISDIR(kind[0]):
                self.make_opaque(above, place[-1])
        super().finish()

    def _there(self, place: Place) -> int:
        """That directory, -1 if a later member has put something else there."""
        for depth in range(len(place)):
            kind = kind_of(self.enter(place[:depth]), place[depth])
            if kind is None or not stat.S_ISDIR(kind[0]):
                return -1
        return self.enter(place)


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
    return {"bytes": layer.bytes, "files": layer.files, "notes": layer.notes, "opaque": layer.opaque_root,
            "fuse": layer.fuse}  # fmt: skip
