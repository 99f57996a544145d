"""The verb ``attach``: what a container writes from now on goes to two pipes of the caller's as well.

Who attaches must not be able to hold the container up: what a pipe does not take waits here, up to MAX_WAITING bytes,
and who
is further behind than that is let go (its pipes close; the log has it all). Input goes past the monitor: the caller
gets the fd that the program's input comes from.
"""

from __future__ import annotations

import os
import select
import termios

from ..errors import RequestError
from .verbs import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .monitor import Ask, Monitor

MAX_WAITING = 4 << 20


class _Attached:
    """Both pipes of one caller."""

    def __init__(self, monitor: Monitor, fds: list[int]) -> None:
        self._monitor = monitor
        self._fds = dict(zip(("stdout", "stderr"), fds, strict=True))
        self._waiting = {name: bytearray() for name in self._fds}
        self._watched: set[str] = set()
        for fd in fds:
            os.set_blocking(fd, False)
        monitor.listeners.append(self.take)

    def take(self, stream: str, data: bytes) -> None:
        """A listener of the monitor's."""
        waiting = self._waiting.get(stream)
        if waiting is not None:
            waiting += data
            self._give(stream)

    def _give(self, stream: str) -> None:
        fd, waiting = self._fds[stream], self._waiting[stream]
        try:
            while waiting:
                del waiting[: os.write(fd, waiting[: 1 << 20])]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads any more
            self.close()
            return
        if len(waiting) > MAX_WAITING:
            self.close()
        elif waiting and stream not in self._watched:
            self._watched.add(stream)
            self._monitor.watch(fd, lambda: self._give(stream), select.EPOLLOUT)
        elif not waiting and stream in self._watched:
            self._watched.discard(stream)
            self._monitor.unwatch(fd)

    def close(self) -> None:
        """Let go of the caller; again does nothing."""
        if self.take in self._monitor.listeners:
            self._monitor.listeners.remove(self.take)
        for stream, fd in self._fds.items():
            if stream in self._watched:
                self._monitor.unwatch(fd)
            os.close(fd)
        self._fds, self._waiting, self._watched = {}, {}, set()


def terminal_size(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """``rows`` and ``columns``: of the terminal of who looks at the container's."""
    rows, columns = ask.words.get("rows"), ask.words.get("columns")
    for count in (rows, columns):
        if not isinstance(count, int) or not 0 < count < 1 << 16:
            raise RequestError("size", f"{rows} {columns}", "expected rows and columns")
    master = monitor.running.supervision.terminal
    if master >= 0:
        termios.tcsetwinsize(master, (int(rows or 0), int(columns or 0)))
    return {}


def attach(monitor: Monitor, ask: Ask) -> Answer:
    """The fds of two pipes, for stdout and stderr. Answers with ``tty``, and with the fd of its input if it has one."""
    fds = ask.take()
    if len(fds) != 2:
        for fd in fds:
            os.close(fd)
        raise RequestError("attach", len(fds), "expected the fds of two pipes")
    attached = _Attached(monitor, fds)
    ask.on_close(attached.close)
    fd = os.dup(monitor.stdin) if monitor.stdin >= 0 else -1
    return Answer({"tty": monitor.held.config.tty, "stdin": fd >= 0}, [fd] if fd >= 0 else [])
