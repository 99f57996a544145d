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
_FUSE_DEVICE = b".wh..opq"
# A mount with redirect_dir or metacopy: what is here is not the whole file. userxattr excludes both (fs/overlayfs).
_PARTIAL = (b"user.overlay.redirect", b"user.overlay.metacopy")


class Upper(Scan):
    """``leave_out``: places where we had to make something to mount upon; left out if nothing else came there, with the
    directories above that are there for nothing else and have the mode of ``modes``, of the layers below. ``fuse``:
    fuse-overlayfs wrote it."""

    def __init__(self, root: int, tar: TarWriter, *, leave_out: frozenset[Place], modes: dict[Place, int],
                 fuse: bool = False, **options: Any) -> None:  # fmt: skip
        super().__init__(root, tar, **options)
        self._leave_out, self._modes, self._fuse = leave_out, modes, fuse
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
        if self._fuse and place not in self._modes:  # it makes each new directory opaque
            names = [name for name in names if name not in (OPAQUE_NAME, _FUSE_DEVICE)]
            opaque = False
        else:
            opaque = bool(names) and self._opaque(place)
        if not names:
            return place in self._leave_out
        usual = self._modes.get(place, 0o755)  # where the layers have none, we have made it
        if stat.S_IMODE(found.st_mode) != usual or opaque:  # somebody else's doing
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


def _place(word: str) -> Place:
    return tuple(part for part in bytes.fromhex(word).split(b"/") if part)


def main(words: list[str]) -> dict[str, Any]:
    """``ids limit_bytes newest_ns|- kernel|fuse``, places to leave out, hexadecimal, and directories of lower layers,
    HEX=MODE."""
    ids, limit, newest, written, *more = words
    places = frozenset(_place(word) for word in more if "=" not in word)
    modes = {_place(word.partition("=")[0]): int(word.partition("=")[2], 8) for word in more if "=" in word}
    root = os.open("/upper", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tar = TarWriter(1)
    upper = Upper(root, tar, leave_out=places, modes=modes, fuse=written == "fuse", ids=ids, limit_bytes=int(limit),
                  newest_ns=None if newest == "-" else int(newest))  # fmt: skip
    upper.walk()
    tar.close()
    return {"bytes": upper.bytes, "files": upper.files, "notes": upper.notes}
