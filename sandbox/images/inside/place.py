"""A tree below one directory fd, made step by step with O_NOFOLLOW: no name is resolved twice, no symlink is followed.

A member may replace what an earlier one made; attributes of directories are set at the end, for what comes into them
later changes their time, and may need a mode that theirs is not.
"""

from __future__ import annotations

import os
import stat

from .directories import DIRECTORY as OPEN
from .directories import Directories
from .start import Refused, shown
from .tarread import DIRECTORY, FIFO, FILE, LINK, SYMLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .directories import Place
    from .tarread import Member

MAX_PATH = 4095  # PATH_MAX less its NUL: nothing longer could be named from inside a container
MAX_NAME = 255
MAX_NOTES = 50
# Attributes that overlayfs (userxattr) and fuse-overlayfs would take for their own notes about whiteouts and origins.
_OVERLAYS = (b"user.overlay.", b"user.fuseoverlayfs.", b"user.containers.")
WHITEOUT = stat.S_IFCHR, 0
OPAQUE = "user.overlay.opaque"


class Tree(Directories):
    """``ids``: "single" leaves all files to who makes them; "range" gives them away to ``0 … last_id``."""

    def __init__(self, root: int, *, ids: str, last_id: int, limit_bytes: int, limit_files: int) -> None:
        super().__init__(root)
        self._ids, self._last_id = ids, last_id
        self._limit_bytes, self._limit_files = limit_bytes, limit_files
        self.bytes = self.files = 0
        self._directories: dict[Place, Member] = {}
        self.notes: list[str] = []
        self.left_out: set[Place] = set()

    # ---- what members may be called ----

    def place(self, name: bytes, what: str = "name") -> Place:
        """The path as components, () for the root. A leading ``/`` is taken off; ``..`` is refused."""
        if len(name) > MAX_PATH:
            raise Refused(f"{shown(name)}: a {what} of {len(name)} bytes, more than {MAX_PATH}")
        if b"\0" in name:
            raise Refused(f"{shown(name)}: a {what} with a NUL byte")
        parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
        if b".." in parts:
            raise Refused(f"{shown(name)}: a {what} with \"..\" in it")
        for part in parts:
            if len(part) > MAX_NAME:
                raise Refused(f"{shown(name)}: a component of {len(part)} bytes, more than {MAX_NAME}")
        return parts

    def note(self, text: str) -> None:
        """What a reader should know; the first few are kept."""
        if len(self.notes) < MAX_NOTES:
            self.notes.append(text)
        elif len(self.notes) == MAX_NOTES:
            self.notes.append("and more of the kind")

    # ---- directories ----

    def step(self, above: int, place: Place) -> int:
        """A directory that is not there is made. A symlink is refused: a layer's own could lead anywhere."""
        try:
            return os.open(place[-1], OPEN, dir_fd=above)
        except FileNotFoundError:
            self.count()
            os.mkdir(place[-1], 0o755, dir_fd=above)
        except OSError as error:
            kind = kind_of(above, place[-1])
            if kind is None:
                raise
            if kind != WHITEOUT:
                what = "a symlink" if stat.S_ISLNK(kind[0]) else "no directory"
                why = f"something is to be put below it, and it is {what}"
                raise Refused(f"{shown(b'/'.join(place))}: {why}") from error
            self.reveal(above, place[-1])
        return os.open(place[-1], OPEN, dir_fd=above)

    def _forget(self, place: Place) -> None:
        self.forget(place)
        for gone in [known for known in self._directories if known[: len(place)] == place]:
            del self._directories[gone]

    def reveal(self, above: int, name: bytes) -> None:
        """A whiteout becomes a directory that hides what is below it."""
        os.unlink(name, dir_fd=above)
        os.mkdir(name, 0o755, dir_fd=above)
        self.make_opaque(above, name)

    def make_opaque(self, above: int, name: bytes) -> None:
        """overlayfs shows nothing of lower layers in this directory (Documentation/filesystems/overlayfs.rst)."""
        fd = os.open(name, OPEN, dir_fd=above)
        try:
            os.setxattr(fd, OPAQUE, b"y")
        finally:
            os.close(fd)

    # ---- members ----

    def add(self, member: Member, place: Place, data: Iterator[tuple[int, bytes]]) -> None:
        """Make it, or replace what is there."""
        if not place:
            if member.kind != DIRECTORY:
                raise Refused(f"{shown(member.name)}: a {member.kind} without a name")
            self._directories[place] = member
            return
        if member.kind == DIRECTORY:
            self._add_directory(member, place)
            return
        above, name = self.enter(place[:-1]), place[-1]
        if member.kind == LINK:
            self._add_link(member, place)
            return
        if member.kind not in (FILE, SYMLINK, FIFO):
            self._leave_out(member, place)
            return
        self._clear(above, place)
        self.count()
        self.left_out.discard(place)
        if member.kind == FILE:
            self._add_file(member, above, name, data)
            return
        if member.kind == SYMLINK:
            if not member.linkname or len(member.linkname) > MAX_PATH or b"\0" in member.linkname:
                raise Refused(f"{shown(member.name)}: a symlink to a target of {len(member.linkname)} bytes")
            os.symlink(member.linkname, name, dir_fd=above)
        else:
            os.mkfifo(name, 0o600, dir_fd=above)
        if self._ids == "range":
            uid, gid = self.owner(member)
            os.chown(name, uid, gid, dir_fd=above, follow_symlinks=False)
        if member.kind == FIFO:
            os.chmod(name, member.mode, dir_fd=above)  # what we just made: nobody else writes here
        if member.xattrs:
            self.note(f"{shown(member.name)}: extended attributes of a {member.kind} are left out")
        os.utime(name, ns=(member.mtime_ns, member.mtime_ns), dir_fd=above, follow_symlinks=False)

    def _add_directory(self, member: Member, place: Place) -> None:
        above = self.enter(place[:-1])
        kind = kind_of(above, place[-1])
        if kind is not None and not stat.S_ISDIR(kind[0]) and kind != WHITEOUT:
            self._clear(above, place)
        self.enter(place)
        self.left_out.discard(place)
        self._directories[place] = member

    def _add_file(self, member: Member, above: int, name: bytes, data: Iterator[tuple[int, bytes]]) -> None:
        self.spend(member.size)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=above)
        try:
            for offset, chunk in data:
                view = memoryview(chunk)
                while view:
                    done = os.pwrite(fd, view, offset)
                    view, offset = view[done:], offset + done
            if member.pieces is not None:
                os.truncate(fd, member.size)
            self._attributes(fd, member)
        finally:
            os.close(fd)

    def _add_link(self, member: Member, place: Place) -> None:
        target = self.place(member.linkname, "link target")
        if target in self.left_out:
            self._leave_out(member, place)
            return
        if not target or target == place:
            raise Refused(f"{shown(member.name)}: a hard link to {'itself' if target else 'the root'}")
        source = self._existing(target[:-1])
        kind = kind_of(source, target[-1]) if source is not None else None
        try:
            if source is None or kind is None or kind == WHITEOUT:
                to = shown(member.linkname)
                raise Refused(f"{shown(member.name)}: a hard link to {to}, which is not in this layer")
            if stat.S_ISDIR(kind[0]):
                raise Refused(f"{shown(member.name)}: a hard link to a directory, {shown(member.linkname)}")
            above = self.enter(place[:-1])
            if place == target[: len(place)]:
                raise Refused(f"{shown(member.name)}: a hard link in place of the directory that its target is in")
            self._clear(above, place)
            self.count()
            os.link(target[-1], place[-1], src_dir_fd=source, dst_dir_fd=above, follow_symlinks=False)
        finally:
            if source is not None:
                os.close(source)

    def _existing(self, place: Place) -> int | None:
        """An fd of a directory that is there already, of one's own; None if it is not."""
        fd = os.dup(self.root)
        for name in place:
            above = fd
            try:
                fd = os.open(name, OPEN, dir_fd=above)
            except OSError:
                return None
            finally:
                os.close(above)
        return fd

    def _leave_out(self, member: Member, place: Place) -> None:
        self.left_out.add(place)
        what = "a hard link to a device" if member.kind == LINK else f"a {member.kind} device"
        self.note(f"{shown(member.name)}: {what} is left out: only root may make one")

    def _clear(self, above: int, place: Place) -> None:
        """Take away what an earlier member made here."""
        kind = kind_of(above, place[-1])
        if kind is None:
            return
        if stat.S_ISDIR(kind[0]):
            self._forget(place)
            remove_tree(above, place[-1])
        else:
            os.unlink(place[-1], dir_fd=above)

    # ---- attributes ----

    def owner(self, member: Member) -> tuple[int, int]:
        """Who it is given to. Raises Refused for an id that is not mapped."""
        for what, number in (("uid", member.uid), ("gid", member.gid)):
            if number > self._last_id:
                raise Refused(f"{shown(member.name)}: {what} {number} is above {self._last_id}, the last of the range")
        return member.uid, member.gid

    def _attributes(self, fd: int, member: Member) -> None:
        if self._ids == "range":
            os.fchown(fd, *self.owner(member))
        os.fchmod(fd, member.mode)  # after the owner: a change of it takes setuid bits away
        for key, value in member.xattrs.items():
            self._xattr(fd, member, key, value)
        os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))

    def _xattr(self, fd: int, member: Member, key: bytes, value: bytes) -> None:
        kept = key.startswith(b"user.") and not key.startswith(_OVERLAYS)
        if not kept and not (key == b"security.capability" and self._ids == "range"):
            self.note(f"{shown(member.name)}: the extended attribute {shown(key)} is left out")
            return
        try:
            os.setxattr(fd, key, value)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise Refused(f"{shown(member.name)}: the extended attribute {shown(key)}: {why.lower()}") from error

    def finish(self) -> None:
        """Attributes of directories, after all that was put into them."""
        for place in sorted(self._directories, reverse=True):
            fd = os.dup(self.root) if not place else os.open(place[-1], OPEN, dir_fd=self.enter(place[:-1]))
            try:
                self._attributes(fd, self._directories[place])
            finally:
                os.close(fd)

    # ---- what it costs ----

    def spend(self, count: int) -> None:
        """Bytes of files, as long as they will be, holes too."""
        self.bytes += count
        if self.bytes > self._limit_bytes:
            raise Refused(f"unpacks to more than {self._limit_bytes} bytes")

    def count(self) -> None:
        """One more name, most of which take an inode."""
        self.files += 1
        if self.files > self._limit_files:
            raise Refused(f"holds more than {self._limit_files} files and directories")


def kind_of(above: int, name: bytes) -> tuple[int, int] | None:
    """Mode and device number of what is there (``WHITEOUT`` for one); None for nothing."""
    try:
        found = os.lstat(name, dir_fd=above)
    except FileNotFoundError:
        return None
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
        return WHITEOUT
    return found.st_mode, found.st_rdev


def remove_tree(above: int, name: bytes) -> None:
    """Remove a directory, however deep: each directory found is moved to the top first, so no more than two are open.
    Nobody else may change it meanwhile."""
    names, number = [name], 0
    while names:
        name = names.pop()
        fd = os.open(name, OPEN, dir_fd=above)
        try:
            if os.fstat(fd).st_mode & 0o700 != 0o700:
                os.fchmod(fd, 0o700)
            for entry in os.listdir(fd):
                raw = os.fsencode(entry)
                if not stat.S_ISDIR(os.lstat(raw, dir_fd=fd).st_mode):
                    os.unlink(raw, dir_fd=fd)
                    continue
                number += 1
                moved = b".pysandbox-removed-%d-%d" % (os.getpid(), number)
                os.rename(raw, moved, src_dir_fd=fd, dst_dir_fd=above)
                names.append(moved)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=above)
