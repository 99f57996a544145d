"""Opening and removing what a sandboxed program could write: never by a path that it could have bent.

A directory that was shared with a sandbox holds whatever the program put there: links to files of the host, FIFOs that
block whoever opens them, files of any size, trees of any depth. So a name is walked component by component below a
directory fd, without following a link (the work of openat2's RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, which Python
3.11 cannot call), only regular files are opened, and what is read is capped. No program that could still write may be
alive: a sandbox is empty when its run has ended.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import JudgeError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO without a writer blocks whoever opens it; O_NOCTTY: a terminal must not become ours.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class UnsafeFile(JudgeError):
    """``name``: below the directory; ``why``: what is wrong with it."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(f"{name}: {why}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.why)


@contextmanager
def directory(path: Path | str) -> Iterator[int]:
    """An fd of a directory whose path is ours; only the last component is looked at for a link."""
    fd = os.open(path, _DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def open_beneath(root: int, name: str) -> int:
    """An fd, read-only and at position 0, of the regular file ``name`` below the directory ``root``.

    Raises FileNotFoundError if there is none, UnsafeFile for a link anywhere on the way, for anything else than a
    regular file, for a file that cannot be read, and for a name that leads out.
    """
    words = name.split("/")
    if not all(words) or "." in words or ".." in words or "\0" in name:
        raise UnsafeFile(name, "not a name below its directory")
    at = os.dup(root)
    try:
        for word in words[:-1]:
            deeper = _open(word, _DIRECTORY, at, name)
            os.close(at)
            at = deeper
        # Looked at before it is opened: opening a device can do things. It cannot change in between.
        _regular(os.stat(words[-1], dir_fd=at, follow_symlinks=False), name)
        fd = _open(words[-1], _FILE, at, name)
    finally:
        os.close(at)
    try:
        _regular(os.fstat(fd), name)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_beneath(root: int, name: str, limit_bytes: int) -> bytes:
    """The content of a regular file below ``root``. Raises as ``open_beneath``, and UnsafeFile beyond the limit."""
    content, more = start_of(root, name, limit_bytes)
    if more:
        raise UnsafeFile(name, f"longer than {limit_bytes} bytes")
    return content


def start_of(root: int, name: str, limit_bytes: int) -> tuple[bytes, bool]:
    """The first ``limit_bytes`` of a file below ``root``, and whether it has more. Raises as ``open_beneath``."""
    fd = open_beneath(root, name)
    try:
        content = b""
        while len(content) <= limit_bytes and (part := os.read(fd, limit_bytes + 1 - len(content))):
            content += part
    finally:
        os.close(fd)
    return content[:limit_bytes], len(content) > limit_bytes


def exists(root: int, name: str) -> bool:
    """Is there anything of this name (one component) in ``root``, a dangling link included?"""
    try:
        os.stat(name, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def open_regular(path: Path) -> int:
    """An fd, read-only and at position 0, of a regular file whose path is trusted (links are followed)."""
    fd = os.open(path, _FILE & ~os.O_NOFOLLOW)
    try:
        _regular(os.fstat(fd), str(path))
    except BaseException:
        os.close(fd)
        raise
    return fd


def remove_beneath(root: int, name: str) -> None:
    """Remove whatever ``name`` (one component) is in ``root``, with all that is below it; nothing there is fine.

    Depth costs neither stack nor fds: a directory in a directory is moved up to ``root`` and emptied there. Raises
    OSError if something belongs to somebody else.
    """
    waiting, made = [name], 0
    while waiting:
        word = waiting.pop()
        if _unlink(root, word):
            continue
        fd = _open_to_empty(root, word)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    if not _unlink(fd, entry.name):
                        # To move a directory its own ".." is written, so it must be ours to write.
                        os.close(_open_to_empty(fd, entry.name))
                        made += 1
                        aside = f"{name[:200]}.removed-{os.getpid()}-{made}"
                        os.rename(entry.name, aside, src_dir_fd=fd, dst_dir_fd=root)
                        waiting.append(aside)
        finally:
            os.close(fd)
        try:
            os.rmdir(word, dir_fd=root)
        except OSError as error:
            # What readdir(3) did not tell because entries were removed meanwhile.
            if error.errno != errno.ENOTEMPTY:
                raise
            waiting.append(word)


def remove_tree(path: Path) -> None:
    """``remove_beneath`` for a path that is ours up to its last component."""
    with directory(path.parent) as parent:
        remove_beneath(parent, path.name)


def _unlink(root: int, name: str) -> bool:
    """False: it is a directory."""
    try:
        os.unlink(name, dir_fd=root)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):  # unlink(2) of a directory: EISDIR on Linux, EPERM by POSIX
        if not stat.S_ISDIR(os.stat(name, dir_fd=root, follow_symlinks=False).st_mode):
            raise
        return False
    return True


def _open_to_empty(root: int, name: str) -> int:
    """A directory, after making it ours to read and write: its mode may be 0."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # fchmod(2) does not take an O_PATH fd
        return os.open(name, _DIRECTORY, dir_fd=root)
    finally:
        os.close(handle)


def _open(name: str, flags: int, root: int, whole: str) -> int:
    try:
        return os.open(name, flags, dir_fd=root)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "a symbolic link" if error.errno == errno.ELOOP else os.strerror(error.errno or 0)
        raise UnsafeFile(whole, reason) from error


def _regular(found: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO",
                stat.S_IFSOCK: "a socket"}  # fmt: skip
        raise UnsafeFile(name, what.get(stat.S_IFMT(found.st_mode), "a device") + ", not a regular file")
