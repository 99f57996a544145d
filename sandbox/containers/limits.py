"""A cap on what a container writes to its upper directory on disk: looked at, for no quota works without root.

Between two looks a program can write as much as the disk takes in that time; the next look then ends it. The looks
cost a walk over what was changed, so they come at most every 20 times what one takes, and every INTERVAL_NS at least.
"""

from __future__ import annotations

import os
from time import monotonic_ns

from ..errors import RequestError
from ..result import DISK
from ..units import format_size, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .monitor import Monitor

INTERVAL_NS = 250_000_000
_SHARE = 20
MAX_DEPTH = 256
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooDeep(Exception):
    """So deep that it cannot be measured."""


def check(cap: object, ids: str) -> int:
    """The cap in bytes that was asked for. Raises RequestError where it cannot be looked at."""
    if ids == "range":
        why = "with ids=range nobody can measure an upper on disk: other ids' directories are in it; use --upper tmpfs"
        raise RequestError("--disk", cap, why)
    return parse_size("--disk", cap)  # type: ignore[arg-type]


def used(path: str) -> int:
    """Bytes on disk below ``path``, which somebody may be writing to; hard links count once. Raises TooDeep."""
    fd = os.open(path, _DIRECTORY)
    try:
        return _below(fd, set(), 0)
    finally:
        os.close(fd)


def _below(fd: int, seen: set[int], depth: int) -> int:
    if depth > MAX_DEPTH:
        raise TooDeep
    total = 0
    for name in os.listdir(fd):
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if found.st_mode & 0o170000 == 0o040000:
                inner = os.open(name, _DIRECTORY, dir_fd=fd)
                try:
                    total += _below(inner, seen, depth + 1)
                finally:
                    os.close(inner)
            elif found.st_nlink > 1:
                if found.st_ino in seen:
                    continue
                seen.add(found.st_ino)
            total += found.st_blocks * 512
        except (FileNotFoundError, NotADirectoryError):
            continue  # it changes under us
    return total


class DiskCap:
    """Looks at ``path`` for a monitor, and ends its container above ``cap`` bytes."""

    def __init__(self, monitor: Monitor, path: str, cap: int) -> None:
        self._monitor, self._path, self._cap = monitor, path, cap
        monitor.at(monotonic_ns() + INTERVAL_NS, self._look)

    def _look(self) -> None:
        begin = monotonic_ns()
        why = ""
        try:
            total = used(self._path)
            if total > self._cap:
                why = f"{format_size(total)} written to the container's disk, {format_size(self._cap)} are allowed"
        except TooDeep:
            why = f"directories more than {MAX_DEPTH} deep, whose size cannot be measured"
        except PermissionError:
            why = "a directory that is closed to its owner, whose size cannot be measured"
        if why:
            self._monitor.running.supervision.kill(DISK, why)
        else:
            now = monotonic_ns()
            self._monitor.at(now + max(INTERVAL_NS, _SHARE * (now - begin)), self._look)
