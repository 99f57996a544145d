"""The private directory of a run without a mount namespace: made, removed, and swept up after a death.

It lies in TMPDIR (else /tmp), is 0700 and the caller's, and whoever uses it holds an exclusive flock(2) on it: the
caller, and through the same open file the run's init. A lock goes with its last holder, however that one dies, and no
number of a process is trusted; so what is not locked is nobody's, and the next caller of the same user removes it.

What is removed was written by a hostile program. All is done on fds, one component at a time and never through a link.
Directories below are moved up before they are emptied: depth costs neither recursion nor fds.
"""

from __future__ import annotations

import errno
import fcntl
import os

from .errors import HostError, SupervisorError

PREFIX = "pysandbox-scratch-"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A program that is just dying may still write.
_ROUNDS = 50
_swept: set[str] = set()


def base() -> str:
    """Where such directories are made."""
    named = os.environ.get("TMPDIR", "")
    return os.path.realpath(named) if named.startswith("/") and os.path.isdir(named) else "/tmp"


class Scratch:
    """One directory: ``path``, ``fd``. ``close()`` removes it."""

    def __init__(self) -> None:
        """Raises HostError where none can be made."""
        top = base()
        if top not in _swept:
            _swept.add(top)
            sweep(top)
        try:
            self.path, self.fd = _make(top)
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise HostError(f"no private directory can be made in {top}: {said}",
                            "set TMPDIR to a directory that this user may write to") from error  # fmt: skip

    def close(self) -> None:
        """Remove it. Raises SupervisorError if something stays; the next caller's sweep tries again."""
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        try:
            empty(fd)
            os.rmdir(self.path)
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise SupervisorError(f"the private directory {self.path} cannot be removed: {said}") from error
        finally:
            os.close(fd)


def _make(top: str) -> tuple[str, int]:
    while True:
        path = f"{top}/{PREFIX}{os.urandom(8).hex()}"
        os.mkdir(path, 0o700)
        try:
            fd = os.open(path, _OPEN)
        except FileNotFoundError:
            continue  # swept between the two lines above and below
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            found = os.fstat(fd)
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise PermissionError(errno.EPERM, "it is somebody else's")
            if found.st_nlink:
                return path, fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def sweep(top: str) -> None:
    """Remove what runs of this user left behind whose caller and init are dead. Raises nothing."""
    try:
        names = [name for name in os.listdir(top) if name.startswith(PREFIX)]
    except OSError:
        return
    for name in names:
        try:
            fd = os.open(f"{top}/{name}", _OPEN)
        except OSError:
            continue
        try:
            if os.fstat(fd).st_uid == os.geteuid():
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                empty(fd)
                os.rmdir(f"{top}/{name}")
        except OSError:
            pass  # locked: somebody lives; else another sweeper was faster
        finally:
            os.close(fd)


def empty(top: int) -> None:
    """Remove everything in the directory ``top``, an fd. Raises OSError."""
    number = 0
    for _ in range(_ROUNDS):
        names = os.listdir(top)
        if not names:
            return
        for name in names:
            try:
                number = _remove(top, name, number)
            except FileNotFoundError:
                pass
    if os.listdir(top):
        raise OSError(errno.EBUSY, "something still writes to it")


def _remove(top: int, name: str, number: int) -> int:
    """One entry of ``top``; directories in it become entries of ``top``. How many have been moved up."""
    try:
        os.unlink(name, dir_fd=top)
        return number
    except IsADirectoryError:
        pass
    pending = [name]
    while pending:
        name = pending.pop()
        inside = _open_own(top, name)
        try:
            for entry in os.listdir(inside):
                try:
                    os.unlink(entry, dir_fd=inside)
                except IsADirectoryError:
                    number += 1
                    up = f"{PREFIX}{os.urandom(8).hex()}-{number}"
                    _open_up(inside, entry)
                    os.rename(entry, up, src_dir_fd=inside, dst_dir_fd=top)
                    pending.append(up)
        finally:
            os.close(inside)
        os.rmdir(name, dir_fd=top)
    return number


def _open_up(parent: int, name: str) -> None:
    """All rights for the owner, whatever mode the program made it with; never those of a link's target."""
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if os.fstat(fd).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{fd}", 0o700)
    finally:
        os.close(fd)


def _open_own(parent: int, name: str) -> int:
    _open_up(parent, name)
    return os.open(name, _OPEN, dir_fd=parent)
