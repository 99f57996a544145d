"""The upper directory of an overlay, ``/upper``, becomes a layer's tar on stdout.

image-spec, layer.md: "Representing Changes". A character device 0:0 becomes ``.wh.NAME``, an opaque directory gets
``.wh..wh..opq``. The root itself is no member: its attributes are the image's.
"""

from __future__ import annotations

import os
import stat

from .scan import Scan
from .start import Refused, shown
from .tarread import FILE, Member
from .tarwrite import TarWriter
from .unpack import OPAQUE_NAME, PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .directories import Place

OPAQUE = b"user.overlay.opaque"
# Of fuse-overlayfs: a whiteout that it cannot make (mknod(2) on an overlay, NFS) is a file as in a layer. A directory
# is opaque by this, by a file ``.wh..wh..opq`` or a device ``.wh..opq``, and each new one is. No program can make such
# names or attributes through it.
FUSE_OPAQUE = b"user.fuseoverlayfs.opaque"
# A mount with redirect_dir or metacopy: what is here is not the whole file. userxattr excludes both (fs/overlayfs).
_PARTIAL = (b"user.overlay.redirect", b"user.overlay.metacopy")


class Upper(Scan):
    """``leave_out``: places where we had to make something to mount upon; left out if nothing else came there, with the
    directories above that are there for nothing else. ``fuse``: fuse-overlayfs wrote it."""

    def __init__(
        self, root: int, tar: TarWriter, *, leave_out: frozenset[Place], fuse: bool = False, **options: Any
    ) -> None:
        super().__init__(root, tar, **options)
        self._fuse = fuse
        self._leave_out = leave_out
        self._above = frozenset(place[:depth] for place in leave_out for depth in range(1, len(place)))

    def _names(self, place: Place) -> Iterator[bytes]:
        """Whiteouts stand where what they hide would, whatever they are."""
        return iter(sorted(super()._names(place), key=lambda name: name.removeprefix(PREFIX) if self._fuse else name))

    def visit(self, place: Place) -> bool:
        """Whiteouts and opaque directories beside what every tree has."""
        above, name = self.enter(place[:-1]), place[-1]
        found = os.lstat(name, dir_fd=above)
        whiteout = stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
        if self._fuse and name.startswith(PREFIX) and (whiteout or stat.S_ISREG(found.st_mode) and not found.st_size):
            if not whiteout and name != OPAQUE_NAME:  # what says opaque was written with its directory
                self._mark(place)
            return False
        if whiteout:
            self._mark((*place[:-1], PREFIX + name))
            return False
        if self._unused(place, found):
            return False
        if name.startswith(PREFIX):
            raise Refused(f"{shown(b'/'.join(place))}: layers keep names that begin with .wh. for whiteouts: rename it")
        walk = self.write(place, found)
        if stat.S_ISDIR(found.st_mode) and self._opaque(place):
            self._mark((*place, OPAQUE_NAME))
        return walk

    def _unused(self, place: Place, found: os.stat_result) -> bool:
        if place in self._leave_out and stat.S_ISREG(found.st_mode):
            return not found.st_size
        if not stat.S_ISDIR(found.st_mode) or place not in self._leave_out and place not in self._above:
            return False
        names = [os.fsencode(entry) for entry in os.listdir(self.enter(place))]
        if not names:
            return place in self._leave_out
        if stat.S_IMODE(found.st_mode) != 0o755 or self._opaque(place):  # somebody else's doing
            return False
        return all(self._unused((*place, name), os.lstat(name, dir_fd=self.enter(place))) for name in names)

    def _opaque(self, place: Place) -> bool:
        fd = self.enter(place)
        if self._fuse:
            says = FUSE_OPAQUE in map(os.fsencode, os.listxattr(fd)) and os.getxattr(fd, FUSE_OPAQUE) == b"y"
            return says or os.fsdecode(OPAQUE_NAME) in os.listdir(fd)
        return OPAQUE in map(os.fsencode, os.listxattr(fd)) and os.getxattr(fd, OPAQUE) == b"y"

    def _mark(self, place: Place) -> None:
        """An empty file without a time of its own: when something was removed is not content."""
        member = Member(b"/".join(place), FILE)
        member.mode = 0o600
        self.files += 1
        self.tar.add(member)

    def overlay_attribute(self, fd: int, member: Member, key: bytes) -> None:
        """Some say that the content is elsewhere."""
        if key in _PARTIAL:
            raise Refused(f"{shown(member.name)}: {key.decode()}: its content is in another place of a lower layer")


def main(words: list[str]) -> dict[str, Any]:
    """``ids limit_bytes newest_ns|- kernel|fuse`` and the places to leave out, as hexadecimal."""
    ids, limit, newest, written, *left_out = words
    places = frozenset(tuple(part for part in bytes.fromhex(word).split(b"/") if part) for word in left_out)
    root = os.open("/upper", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tar = TarWriter(1)
    upper = Upper(root, tar, leave_out=places, fuse=written == "fuse", ids=ids, limit_bytes=int(limit),
                  newest_ns=None if newest == "-" else int(newest))  # fmt: skip
    upper.walk()
    tar.close()
    return {"bytes": upper.bytes, "files": upper.files, "notes": upper.notes}
