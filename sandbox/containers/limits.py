"""A cap on what a container writes to its upper directory on disk: looked at, for no quota works without root.

Between two looks a program can write as much as the disk takes in that time; the next look then ends it. The looks
cost a walk over what was changed, so they come at most every 20 times what one takes, and every INTERVAL_NS at least.
How long one takes is the program's choice, so the monitor looks at its deadlines on the way.
"""

from __future__ import annotations

import os
from time import monotonic_ns

from ..errors import RequestError
from ..result import DISK
from ..units import format_size, parse_count, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .monitor import Monitor

INTERVAL_NS = 250_000_000
_SHARE = 20
MAX_DEPTH = 256
_PAUSE = 4096  # names between two looks at the deadlines
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooDeep(Exception):
    """So deep that it cannot be measured."""


def check(disk: object, inodes: object, ids: str) -> tuple[int, int]:
    """The caps that were asked for, bytes and files, 0 for none. Raises RequestError where nobody can look."""
    if ids == "range":
        why = "with ids=range nobody can measure an upper on disk: other ids' directories are in it; use --upper tmpfs"
        field, value = ("--disk", disk) if disk is not None else ("--inodes", inodes)
        raise RequestError(field, value, why)
    return (parse_size("--disk", disk) if disk is not None else 0,  # type: ignore[arg-type]
            parse_count("--inodes", inodes, 1) if inodes is not None else 0)  # type: ignore[arg-type]


def used(path: str, pause: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Bytes on disk and files below ``path``, which somebody may be writing to; hard links count once. ``pause`` is
    called now and then. Raises TooDeep."""
    fd = os.open(path, _DIRECTORY)
    try:
        return _below(fd, set(), 0, pause)
    finally:
        os.close(fd)


def _below(fd: int, seen: set[int], depth: int, pause: Callable[[], None]) -> tuple[int, int]:
    if depth > MAX_DEPTH:
        raise TooDeep
    total = files = 0
    pause()
    for number, name in enumerate(os.listdir(fd), 1):
        try:
            if number % _PAUSE == 0:
                pause()
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if found.st_mode & 0o170000 == 0o040000:
                inner = os.open(name, _DIRECTORY, dir_fd=fd)
                try:
                    deeper = _below(inner, seen, depth + 1, pause)
                    total, files = total + deeper[0], files + deeper[1]
                finally:
                    os.close(inner)
            elif found.st_nlink > 1:
                if found.st_ino in seen:
                    continue
                seen.add(found.st_ino)
            total, files = total + found.st_blocks * 512, files + 1
        except (FileNotFoundError, NotADirectoryError):
            continue  # it changes under us
    return total, files


class _Ended(Exception):
    """What writes there has ended."""


class DiskCap:
    """Looks at ``path`` for a monitor, and ends its container above so many bytes or files; 0: as many as it likes."""

    def __init__(self, monitor: Monitor, path: str, cap: int, files: int) -> None:
        self._monitor, self._path, self._cap, self._files = monitor, path, cap, files
        monitor.at(monotonic_ns() + INTERVAL_NS, self._look)

    def _look(self) -> None:
        begin = monotonic_ns()
        why = ""
        try:
            total, files = used(self._path, self._deadlines)
            if self._files and files > self._files:
                why = f"{files} files on the container's disk, {self._files} are allowed"
            if self._cap and total > self._cap:
                why = f"{format_size(total)} written to the container's disk, {format_size(self._cap)} are allowed"
        except TooDeep:
            why = f"directories more than {MAX_DEPTH} deep, whose size cannot be measured"
        except PermissionError:
            why = "a directory that is closed to its owner, whose size cannot be measured"
        except _Ended:
            return
        if why:
            self._monitor.running.supervision.kill(DISK, why)
        else:
            now = monotonic_ns()
            self._monitor.at(now + max(INTERVAL_NS, _SHARE * (now - begin)), self._look)

    def _deadlines(self) -> None:
        supervision = self._monitor.running.supervision
        supervision.step(0)
        if supervision.done:
            raise _Ended
