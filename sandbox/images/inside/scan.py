"""A tree becomes members of a tar: in the order of names, hard links kept, no symlink followed."""

from __future__ import annotations

import os
import stat

from .directories import Directories
from .place import MAX_NOTES, MAX_PATH
from .start import Refused, shown
from .tarread import DIRECTORY, FIFO, FILE, LINK, SYMLINK, Member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .directories import Place
    from .tarwrite import TarWriter

CHUNK = 1 << 20
# Notes of overlayfs (userxattr) and fuse-overlayfs: of the file system, not of the file.
OVERLAYS = (b"user.overlay.", b"user.fuseoverlayfs.", b"user.containers.")


class Scan(Directories):
    """``ids``: "single" writes 0 for all owners; "range" those that the files have. ``newest_ns`` clamps times."""

    def __init__(self, root: int, tar: TarWriter, *, ids: str, limit_bytes: int, newest_ns: int | None) -> None:
        super().__init__(root)
        self.tar = tar
        self.ids, self._limit_bytes, self._newest_ns = ids, limit_bytes, newest_ns
        self.bytes = self.files = 0
        self.notes: list[str] = []
        self._links: dict[tuple[int, int], bytes] = {}
        self.prefix: Place = ()  # of all names in the archive

    def walk_whole(self) -> None:
        """The root itself, called as ``prefix`` says, and all below it."""
        member = self.member((), os.fstat(self.root))
        member.kind, member.name = DIRECTORY, member.name + b"/"
        member.xattrs = self._xattrs(self.root, member)
        self._add(member)
        self.walk()

    def walk(self, only: Place = ()) -> None:
        """All below the root, or what is at one place with what is below."""
        pending: list[tuple[Place, Iterator[bytes]]] = [(only[:-1], iter(only[-1:]) if only else self._names(()))]
        while pending:
            place, names = pending[-1]
            name = next(names, None)
            if name is None:
                if place:
                    self.forget(place)
                pending.pop()
                continue
            inner = (*place, name)
            if self.visit(inner):
                pending.append((inner, self._names(inner)))

    def _names(self, place: Place) -> Iterator[bytes]:
        return iter(sorted(os.fsencode(entry) for entry in os.listdir(self.enter(place))))

    def visit(self, place: Place) -> bool:
        """Write what is at this place. Is it a directory, to be walked through?"""
        found = os.lstat(place[-1], dir_fd=self.enter(place[:-1]))
        return self.write(place, found)

    def write(self, place: Place, found: os.stat_result) -> bool:
        """As ``visit``, with what lstat(2) said."""
        above, kind = self.enter(place[:-1]), stat.S_IFMT(found.st_mode)
        member = self.member(place, found)
        if kind == stat.S_IFDIR:
            member.kind, member.name = DIRECTORY, member.name + b"/"
            member.xattrs = self._xattrs(self.enter(place), member)
            self._add(member)
            return True
        first = self._first(found)
        if first is not None:
            member.kind, member.linkname = LINK, first
            self._add(member)
            return False
        if kind == stat.S_IFREG:
            self._file(above, place, member, found)
        elif kind == stat.S_IFLNK:
            member.kind, member.linkname = SYMLINK, os.readlink(place[-1], dir_fd=above)
            self._add(member)
        elif kind == stat.S_IFIFO:
            member.kind = FIFO
            self._add(member)
        else:
            what = "a socket" if kind == stat.S_IFSOCK else "a device"
            self.note(f"{shown(member.name)}: {what} is left out")
            return False
        if found.st_nlink > 1:
            self._links[found.st_dev, found.st_ino] = member.name
        return False

    def _first(self, found: os.stat_result) -> bytes | None:
        """What it is a hard link to."""
        return self._links.get((found.st_dev, found.st_ino))

    def called(self, place: Place) -> bytes:
        """Its name in the archive."""
        return b"/".join((*self.prefix, *place))

    def member(self, place: Place, found: os.stat_result) -> Member:
        """With all but kind and content."""
        name = self.called(place)
        if len(name) > MAX_PATH:
            raise Refused(f"{shown(name)}: a path of {len(name)} bytes, more than {MAX_PATH}")
        member = Member(name, FILE)
        member.mode = found.st_mode & 0o7777
        member.mtime_ns = found.st_mtime_ns
        if self._newest_ns is not None:
            member.mtime_ns = min(member.mtime_ns, self._newest_ns)
        if self.ids == "range":
            member.uid, member.gid = found.st_uid, found.st_gid
        return member

    def _file(self, above: int, place: Place, member: Member, found: os.stat_result) -> None:
        # O_NONBLOCK: it may be a FIFO by now
        fd = os.open(place[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
        try:
            self.content(fd, member, found)
        finally:
            os.close(fd)

    def symlink(self, fd: int, name: bytes) -> None:
        """A symlink that is open, by O_PATH | O_NOFOLLOW."""
        member = self.member((name,), os.fstat(fd))
        member.kind, member.linkname = SYMLINK, os.readlink(b"", dir_fd=fd)
        self._add(member)

    def content(self, fd: int, member: Member, found: os.stat_result) -> None:
        """Write a file that is open; ``found`` is what was seen of it before."""
        again = os.fstat(fd)
        if (again.st_dev, again.st_ino) != (found.st_dev, found.st_ino):
            raise Refused(f"{shown(member.name)}: changed while it was read; stop or pause what writes to it")
        member.size = again.st_size
        self.bytes += member.size
        if self.bytes > self._limit_bytes:
            raise Refused(f"{shown(member.name)}: with it there are more than {self._limit_bytes} bytes")
        member.xattrs = self._xattrs(fd, member)
        self._add(member, self._data(fd, member))

    def _data(self, fd: int, _member: Member) -> Iterator[bytes]:
        return iter(lambda: os.read(fd, CHUNK), b"")

    def _add(self, member: Member, data: Iterator[bytes] | None = None) -> None:
        self.files += 1
        self.tar.add(member, data if data is not None else ())

    def _xattrs(self, fd: int, member: Member) -> dict[bytes, bytes]:
        kept = {}
        for name in os.listxattr(fd):
            key = os.fsencode(name)
            if key.startswith(OVERLAYS):
                self.overlay_attribute(fd, member, key)
            elif key.startswith(b"user.") and b"=" in key:
                why = "is left out: pax has no room for the ="
                self.note(f"{shown(member.name)}: the extended attribute {shown(key)} {why}")
            elif key.startswith(b"user.") or (key == b"security.capability" and self.ids == "range"):
                kept[key] = os.getxattr(fd, key)
            elif key.startswith(b"system."):
                self.note(f"{shown(member.name)}: {shown(key)} is left out")
        return kept

    def overlay_attribute(self, fd: int, member: Member, key: bytes) -> None:
        """An attribute of overlayfs on a file or directory."""

    def note(self, text: str) -> None:
        """What a reader should know; the first few are kept."""
        if len(self.notes) < MAX_NOTES:
            self.notes.append(text)
        elif len(self.notes) == MAX_NOTES:
            self.notes.append("and more of the kind")


def scan_open(kind: type[Scan], fd: int, top: bytes, tar: TarWriter, **options: Any) -> Scan:
    """A file or directory that is open, by O_PATH too, called ``top``. Raises Refused for what is neither."""
    found = os.fstat(fd)
    if stat.S_ISDIR(found.st_mode):
        root = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
        scan = kind(root, tar, **options)
        scan.prefix = (top,)
        try:
            scan.walk_whole()
        finally:
            scan.forget(())
            os.close(root)
        return scan
    if not stat.S_ISREG(found.st_mode):
        raise Refused("neither a file nor a directory")
    # an O_PATH fd cannot be read; what is behind this name cannot be swapped
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        scan = kind(-1, tar, **options)
        scan.content(again, scan.member((top,), found), found)
    finally:
        os.close(again)
    return scan
