"""What ``cp`` does on either side: a tree to a tar stream and back, below one directory fd, no symlink followed.

The host imports this as well as the sandbox: whoever writes where another may write at the same time has to keep to
fds.
"""

from __future__ import annotations

import os
import stat
import tarfile

from .place import Tree
from .start import Refused, shown
from .tarread import DIRECTORY, FILE, SYMLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .directories import Place
    from .tarread import Member

CHUNK = 256 << 10
MAX_DEPTH = 500  # each level is an open directory
MAX_NOTES = 50
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
END = bytes(2 * tarfile.BLOCKSIZE)
_KINDS = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}


class Packer:
    """A file or a tree as tar (pax). ``owners``: as they are, or all 0. ``notes``: what was left out."""

    def __init__(self, owners: bool) -> None:
        self._owners = owners
        self.notes: list[str] = []

    def pack(self, above: int, name: bytes, top: bytes) -> Iterator[bytes]:
        """``name`` in the directory ``above``, called ``top`` in the archive; without the end mark. Raises OSError if
        it is not there at all; what goes away meanwhile is left out."""
        yield from self._entry(above, name, top, 0, os.lstat(name, dir_fd=above))

    def pack_open(self, fd: int, top: bytes) -> Iterator[bytes]:
        """What is open at ``fd``, by O_PATH too."""
        found = os.fstat(fd)
        # through /proc/self/fd: an O_PATH fd cannot be read, and what is behind it cannot be swapped
        again = os.open(f"/proc/self/fd/{fd}", (_FILE if stat.S_ISREG(found.st_mode) else _DIRECTORY) & ~os.O_NOFOLLOW)
        if stat.S_ISDIR(found.st_mode):
            yield from self._directory(again, top, 0, os.fstat(again))
        else:
            yield from self._file(again, top)

    def _entry(self, above: int, name: bytes, path: bytes, depth: int, found: os.stat_result) -> Iterator[bytes]:
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFLNK:
            yield self._head(path, found, linkname=os.readlink(name, dir_fd=above))
        elif kind == stat.S_IFREG:
            yield from self._file(os.open(name, _FILE, dir_fd=above), path)
        elif kind == stat.S_IFDIR:
            if depth >= MAX_DEPTH:
                raise Refused(f"{shown(path)}: deeper than {MAX_DEPTH} directories")
            fd = os.open(name, _DIRECTORY, dir_fd=above)
            yield from self._directory(fd, path, depth, os.fstat(fd))
        else:
            self._note(f"{shown(path)}: left out, it is a {_word(kind)}")

    def _directory(self, fd: int, path: bytes, depth: int, found: os.stat_result) -> Iterator[bytes]:
        """Closes ``fd``."""
        try:
            yield self._head(path, found)
            for name in sorted(os.fsencode(entry) for entry in os.listdir(fd)):
                inner = path + b"/" + name
                try:
                    yield from self._entry(fd, name, inner, depth + 1, os.lstat(name, dir_fd=fd))
                except FileNotFoundError:
                    self._note(f"{shown(inner)}: left out, it has gone meanwhile")
                except PermissionError:
                    self._note(f"{shown(inner)}: left out, permission denied")
                except OSError as error:
                    # ELOOP, ENOTDIR: it became something else between two looks
                    self._note(f"{shown(inner)}: left out: {(error.strerror or '').lower()}")
        finally:
            os.close(fd)

    def _file(self, fd: int, path: bytes) -> Iterator[bytes]:
        """As long as it was when it was opened: what is cut off meanwhile becomes zeros. Closes ``fd``."""
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                self._note(f"{shown(path)}: left out, it is a {_word(stat.S_IFMT(found.st_mode))}")
                return
            yield self._head(path, found)
            left = found.st_size
            while left:
                chunk = os.read(fd, min(left, CHUNK))
                if not chunk:
                    self._note(f"{shown(path)}: became shorter while it was copied; zeros are in place of {left} bytes")
                    chunk = bytes(min(left, CHUNK))
                left -= len(chunk)
                yield chunk
            if padding := -found.st_size % tarfile.BLOCKSIZE:
                yield bytes(padding)
        finally:
            os.close(fd)

    def _head(self, path: bytes, found: os.stat_result, linkname: bytes = b"") -> bytes:
        info = tarfile.TarInfo(os.fsdecode(path))
        info.type = _KINDS[stat.S_IFMT(found.st_mode)]
        info.mode = stat.S_IMODE(found.st_mode)
        info.size = found.st_size if info.type == tarfile.REGTYPE else 0
        seconds, rest = divmod(found.st_mtime_ns, 1_000_000_000)
        info.mtime = found.st_mtime_ns / 1e9 if rest else seconds
        info.linkname = os.fsdecode(linkname)
        if self._owners:
            info.uid, info.gid = found.st_uid, found.st_gid
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def _note(self, text: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(text)
        elif len(self.notes) == MAX_NOTES:
            self.notes.append("and more of the kind")


def _word(kind: int) -> str:
    return {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFLNK: "symlink", stat.S_IFDIR: "directory"}.get(
        kind, "device")  # fmt: skip


class Copied(Tree):
    """A tree that is copied into one that may be there: directories are kept and filled, files replaced, and neither by
    the other. No setuid, setgid or sticky bit is kept, no attribute, no fifo, no hard link (the packer writes none)."""

    def add(self, member: Member, place: Place, data: Iterator[tuple[int, bytes]]) -> None:
        """Make it, or replace what is there."""
        if member.kind not in (FILE, DIRECTORY, SYMLINK):
            self.note(f"{shown(member.name)}: left out, it is a {member.kind}")
            return
        member.mode &= 0o777
        member.xattrs = {}
        if not place and member.kind == DIRECTORY and self.keep_root:
            return
        super().add(member, place, data)

    keep_root = False  # the directory itself was there before, and stays as it is

    def _add_directory(self, member: Member, place: Place) -> None:
        above = self.enter(place[:-1])
        try:
            found = os.lstat(place[-1], dir_fd=above)
        except FileNotFoundError:
            os.mkdir(place[-1], 0o700, dir_fd=above)
            self.count()
            self._directories[place] = member
            return
        if not stat.S_ISDIR(found.st_mode):
            raise Refused(f"{shown(member.name)}: a directory, and there is a file of that name")

    def _clear(self, above: int, place: Place) -> None:
        try:
            os.unlink(place[-1], dir_fd=above)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            raise Refused(f"{shown(b'/'.join(place))}: a file, and there is a directory of that name") from None

    def reveal(self, above: int, name: bytes) -> None:
        """There are no whiteouts here."""
        raise Refused(f"{shown(name)}: something is to be put below it, and it is a device")
