"""Who watches a container: a process of its own for a detached one, ``run`` itself in the foreground.

Theory of operation. One process, one thread, one epoll object: the run (its Supervision has an fd), the control
socket, its connections, and each program that was brought in by exec, which is a run as well. So a container costs one
Python process and nothing that is shared with others: no daemon.

The monitor holds the container's lock. If it is killed, the init sees the end of its report socket and ends the
container, the spawner sees the monitor's pidfd and removes the cgroup, and the free lock tells the next command
(record.py). At the end it closes the run, lets go of the lock, and only then answers who waits: what they do next
finds nothing under way.

A run in the foreground is open to questions, and written down as running, after SETTLE_NS: what has ended by then pays
for an epoll object, and who asks earlier waits (``control.connect``). Modules of verbs are imported when somebody asks.
"""

from __future__ import annotations

import os
import select
import time
from time import monotonic_ns

from ..errors import RequestError
from .model import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..result import Result
    from ..running import Running
    from .control import Connection, Listening
    from .logs import Log
    from .record import Held
    from .starting import Prepared
    from .verbs_exec import Executed

REPORT_FD, LOCK_FD = 3, 4
SETTLE_NS = 20_000_000


class Ask:
    """One question of somebody's; see verbs.py."""

    def __init__(self, monitor: Monitor, connection: Connection, words: dict[str, Any], fds: list[int]) -> None:
        self.monitor, self.connection, self.words, self.fds = monitor, connection, words, fds

    def take(self) -> list[int]:
        """The fds; the taker closes them."""
        taken, self.fds = self.fds, []
        return taken

    def answer(self, words: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Say it, to whoever is still there."""
        self._send({"ok": words}, fds)

    def fail(self, error: Exception) -> None:
        """Have it raised over there."""
        from .control import failure

        self._send(failure(error), ())

    def on_close(self, what: Callable[[], None]) -> None:
        """Call ``what`` when the other side goes away."""
        self.monitor.on_close(self.connection, what)

    def _send(self, message: dict[str, Any], fds: tuple[int, ...]) -> None:
        try:
            self.connection.send(message, fds)
        except OSError:  # gone, or not reading: their loss
            pass


class Monitor:
    """Of one container. Verbs may use ``held`` (record), ``running`` (the run), ``prepared`` (its network), ``log``,
    ``listeners`` (who sees the output: called with the stream's name and the bytes) and ``stdin`` (an fd, -1 if there
    is none)."""

    def __init__(self, held: Held, running: Running, log: Log | None, prepared: Prepared) -> None:
        self.held, self.running, self.log, self.prepared = held, running, log, prepared
        self.listeners: list[Callable[[str, bytes], None]] = []
        self.stdin = -1
        self.waiting: list[Ask] = []
        self.executed: dict[Connection, Executed] = {}
        self.result: Result | None = None
        self._listening: Listening | None = None
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._closers: dict[int, list[Callable[[], None]]] = {}
        self._others: dict[Running, Callable[[Running], None]] = {}
        self._timers: list[tuple[int, Callable[[], None]]] = []
        self._noted = False
        self._ended: dict[str, Any] | None = None
        self.watch(running.supervision.fileno(), lambda: None)  # every turn steps it

    # ---- for verbs ----

    def watch(self, fd: int, handler: Callable[[], None], mask: int = select.EPOLLIN) -> None:
        """Call ``handler`` whenever ``fd`` is ready."""
        self._handlers[fd] = handler
        self._poll.register(fd, mask)

    def unwatch(self, fd: int) -> None:
        """No more of it; before the fd is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def at(self, when_ns: int, what: Callable[[], None]) -> None:
        """Call ``what`` at this time of the monotonic clock."""
        self._timers.append((when_ns, what))

    def adopt(self, running: Running, ended: Callable[[Running], None]) -> None:
        """Drive one more run until it is done, and then call ``ended``, which closes it."""
        self._others[running] = ended
        self.watch(running.supervision.fileno(), lambda: None)

    def on_close(self, connection: Connection, what: Callable[[], None]) -> None:
        """Call ``what`` when this connection is closed."""
        self._closers.setdefault(connection.fileno(), []).append(what)

    # ---- the loop ----

    def run(self, began: Callable[[], None] | None = None) -> Result:
        """Drive it to its end, and call ``began`` once. Raises SetupError and SupervisorError."""
        watch = self.running.supervision
        while not watch.done:
            self._turn()
            if not self._noted and watch.began:
                self._noted = True
                self._note_start()
                if began is not None:
                    began()
        self.result = self.running.result()
        return self.result

    def _note_start(self) -> None:
        started = time.time_ns()
        self.prepared.began(self)
        if self.held.config.detached:
            self._settle(started)
        else:
            self.at(monotonic_ns() + SETTLE_NS, lambda: self._settle(started))

    def _settle(self, started_ns: int) -> None:
        """From now on it is seen to run, and answers."""
        from .control import Listening

        pid = self.running.pid or None
        self.held.update(state=RUNNING, started_ns=started_ns, pid=pid, monitor_pid=os.getpid())
        self._listening = Listening(self.held.directory)
        self.watch(self._listening.fileno(), self._on_caller)

    def _turn(self) -> None:
        for fd, _mask in self._poll.poll(self._timeout()):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler()
        self.running.supervision.step(0)
        for other, ended in tuple(self._others.items()):
            other.supervision.step(0)
            if other.supervision.done:
                self._drop(other, ended)
        if self._timers:
            now = monotonic_ns()
            due = [what for when, what in self._timers if when <= now]
            self._timers = [(when, what) for when, what in self._timers if when > now]
            for what in due:
                what()

    def _timeout(self) -> float:
        waits = [run.supervision.timeout() for run in (self.running, *self._others)]
        if self._timers:
            waits.append(max(0, min(when for when, _what in self._timers) - monotonic_ns()) / 1e9)
        return min((wait for wait in waits if wait is not None), default=-1)

    def _drop(self, other: Running, ended: Callable[[Running], None]) -> None:
        self._others.pop(other)
        self.unwatch(other.supervision.fileno())
        ended(other)

    def _on_caller(self) -> None:
        assert self._listening is not None
        connection = self._listening.accept()
        if connection is not None:
            self.watch(connection.fileno(), lambda: self._on_question(connection))

    def _on_question(self, connection: Connection) -> None:
        from . import control
        from .verbs import Answer, handler

        try:
            message = connection.receive()
        except Exception:  # whatever somebody sends is not the container's end
            message = None
        if message is None:
            self._hang_up(connection)
            return
        words, fds = message
        ask = Ask(self, connection, words, fds)
        try:
            if self._ended is not None and words.get("verb") not in ("wait", "stop"):
                raise RequestError("container", self.held.state.name, "has ended")
            answer = handler(words.pop("verb", None))(self, ask)
            if isinstance(answer, Answer):
                ask.answer(answer.words, answer.fds)
                control.close_all(answer.fds)
            elif answer is not None:
                ask.answer(answer)
        except Exception as error:  # a fault in a verb is the asker's to hear of, and not the container's end
            ask.fail(error)
        finally:
            control.close_all(ask.take())

    def _hang_up(self, connection: Connection) -> None:
        fd = connection.fileno()
        self.unwatch(fd)
        closers = self._closers.pop(fd, [])
        self.waiting = [ask for ask in self.waiting if ask.connection is not connection]
        connection.close()
        for what in closers:
            what()

    # ---- the end ----

    def close(self) -> None:
        """What is left of it goes, but for the control socket; the record stays as it is. Raises SupervisorError if
        something cannot."""
        for other, ended in tuple(self._others.items()):
            other.close()
            self._others.pop(other)
            ended(other)
        try:
            self.running.close()
        finally:
            if self.stdin >= 0:
                os.close(self.stdin)
            if self.log is not None:
                self.log.close()

    def tell(self, status: int, outcome: str) -> None:
        """Answer who waits for the end, also who asks only now; after it was written down and the lock is free."""
        self._ended = {"exit_status": status, "outcome": outcome}
        if self._listening is not None:
            while (connection := self._listening.accept()) is not None:
                self._on_question(connection)
            self._listening.close()  # who is answered finds nothing of ours
            for ask in self.waiting:
                ask.answer(self._ended)
            self.waiting.clear()
        self._poll.close()

    def hang_up(self) -> None:
        """Nobody is answered any more: it has failed."""
        if self._listening is not None:
            self._listening.close()


def main(identity: str) -> int:
    """The process of a detached container. fd 3: who started it waits for a word; fd 4: the lock."""
    os.closerange(LOCK_FD + 1, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(REPORT_FD, False)
    os.set_inheritable(LOCK_FD, False)
    os.chdir("/")
    from . import record
    from .starting import run_detached

    return run_detached(record.adopt(identity, LOCK_FD), REPORT_FD)
