"""The process behind the system's lxcfs: its end is how we hear that its files in running sandboxes are dead.

A FUSE file does not tell: lxcfs knows no poll(2), so the kernel answers "readable" for it, also when nobody is
behind it any more; the mount stays where it was, so neither mountinfo nor inotify say anything. Any other
question waits for an answer. A pidfd tells at once, and anyone may open one. Where the process cannot be found
somebody else has to ask, every second, who may wait as long as it takes: Question.
"""

from __future__ import annotations

import os
import select

from . import lxcfs


def is_gone(pidfd: int) -> bool:
    """Has the process of a pidfd ended?"""
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(0))


def pidfd_of(path: str) -> int:
    """A pidfd of the lxcfs that is mounted at ``path``; -1 if its process cannot be found: /proc hides it
    (hidepid), or it runs outside of this pid namespace."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if not _serves(entry, path):
                continue
            pidfd = os.pidfd_open(int(entry))
        except OSError:
            continue  # it ended
        try:
            # Between the reading and the opening its number may have gone to another.
            if _serves(entry, path):
                return pidfd
        except OSError:
            pass
        os.close(pidfd)
    return -1


def _serves(pid: str, path: str) -> bool:
    """Is it a lxcfs whose last argument, the mount point, is ``path``? A process of a user's own that calls itself so
    could only make us show our own files instead; root's or our own count."""
    if _read(f"/proc/{pid}/comm") != b"lxcfs\n" or os.stat(f"/proc/{pid}").st_uid not in (0, os.geteuid()):
        return False
    words = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")
    return os.path.normpath(os.fsdecode(words[-1])) == os.path.normpath(path)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


class Question:
    """Reads a file of a lxcfs in a process of its own. ``pidfd`` is readable when there is an answer.

    Raises OSError if it cannot be asked.
    """

    def __init__(self, path: str) -> None:
        lxcfs.reap()
        actions = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
        self._pid = os.posix_spawnp("cat", ["cat", path], os.environ, file_actions=actions)
        try:
            self.pidfd = os.pidfd_open(self._pid)
        except BaseException:
            lxcfs.leave(self._pid)
            raise

    def answered(self) -> bool:
        """Once ``pidfd`` is readable: did it read?"""
        pid, self._pid = self._pid, -1
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        except ChildProcessError:  # somebody else waits for all children of this process: the next answer may tell
            return True

    def close(self) -> None:
        """Wait no longer for it."""
        if self._pid > 0:
            lxcfs.leave(self._pid)
        os.close(self.pidfd)
