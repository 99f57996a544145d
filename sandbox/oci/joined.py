"""A further program in a container (``exec``), on the monitor's side and on that of the command.

    engine ── exec ── fork ──> waiter ═══ connection ═══ monitor ── Running.exec ── program
                │ exits           its exit status is the program's

The waiter is what ``--pid-file`` gets. Its connection is the program's life: closed, the monitor ends the program.
"""

from __future__ import annotations

import os
import signal

from .. import result as words
from ..errors import RequestError, SandboxError, SupervisorError
from ..request import HandOver, Request
from . import console, control, process, state
from .reader import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    import socket
    from typing import Any

    from ..running import Running

_MAX_PROCESS = 1 << 20
_STREAMS = 3


class Joined:
    """One program, in the monitor. Raises what keeps it from its beginning; ``fds`` stay the caller's, ``sock`` does
    not once this is made."""

    def __init__(self, container: Running, message: dict[str, Any], fds: list[int], sock: socket.socket) -> None:
        if len(fds) < _STREAMS:
            raise RequestError("exec", len(fds), "expected stdin, stdout and stderr")
        node = Node(message["process"], "process")
        self._console = fds[_STREAMS] if len(fds) > _STREAMS else -1
        self._size = process.console_size(node)
        self._sock = sock
        uid, gid = process.user(node)
        fields = process.program(node)
        self._stdin = os.dup(fds[0])  # a regular file is read from while the program runs
        try:
            self._begin(container, fields, f"{uid}:{gid}", fds)
        except BaseException:
            os.close(self._stdin)
            raise

    def _begin(self, container: Running, fields: dict[str, Any], user: str, fds: list[int]) -> None:
        self._running = container.exec(Request(**fields, user=user, stdin=self._stdin, stdout=HandOver(fds[1]),
                                               stderr=HandOver(fds[2]), exact_env=True))  # fmt: skip
        try:
            self._running.supervision.on_terminal = self._on_terminal
            self._running.ready()
            self._watched = False
            if not control.send(self._sock, {"started": True}):
                raise RequestError("exec", "", "nobody waits for the program")
        except BaseException:
            self._running.close()
            raise

    def watch(self, poll: select.poll) -> None:
        """Be told of its end, and of its waiter's."""
        if not self._watched:
            import select

            poll.register(self._running.supervision.fileno(), select.POLLIN)
            poll.register(self._sock, select.POLLIN)
            self._watched = True

    def timeout(self) -> float | None:
        """Seconds until ``step`` is due; 0 if it ended while it was made: no event is left to tell of that."""
        watch = self._running.supervision
        return 0.0 if watch.done else watch.timeout()

    def step(self, ready: set[int], poll: select.poll) -> bool:
        """Handle what there is; True when it is over."""
        watch = self._running.supervision
        if self._sock.fileno() in ready:
            found = control.receive(self._sock)
            if found is None:
                watch.kill(words.INTERRUPTED, "who waited for it is gone")
                poll.unregister(self._sock)
            else:
                watch.signal(int(found[0].get("signal", 0)))
        watch.step(0)
        if not watch.done:
            return False
        poll.unregister(watch.fileno())
        try:
            poll.unregister(self._sock)
        except KeyError:
            pass
        self.finish()
        return True

    def finish(self) -> None:
        """Tell the waiter how it has ended."""
        try:
            with self._running:
                status = self._running.wait().exit_status
            control.send(self._sock, {"ended": status})
        except SandboxError as error:
            control.send(self._sock, control.failure(error))
        self._sock.close()
        os.close(self._stdin)

    def _on_terminal(self, master: int) -> bool:
        import socket

        if self._console < 0:
            raise RequestError("--console-socket", "", "a program with a terminal needs one")
        with socket.socket(fileno=os.dup(self._console)) as sock:
            console.hand_over(sock, master, self._size)
        self._running.supervision.terminal = -1
        os.close(master)
        return True


def run(base: str, identity: str, wanted: dict[str, Any], *, console_socket: str | None = None, detach: bool = False,
        pid_file: str | None = None) -> int:  # fmt: skip
    """Run a process (as ``process`` of config.json) in a container; its exit status, 0 with ``detach``."""
    import socket

    from .lifecycle import write_number

    entry = state.Entry(base, identity)
    record = entry.read()
    if record["status"] != state.RUNNING:
        raise RequestError("container id", identity, f"is {record['status']}, and not running")
    fds = [0, 1, 2]
    ours = theirs = None
    if wanted.get("terminal"):
        if console_socket is not None:
            theirs = console.connect(console_socket)
        elif detach:
            raise RequestError("--console-socket", "", "process.terminal is true: the terminal has to go to somebody")
        else:
            ours, theirs = socket.socketpair()
        fds.append(theirs.fileno())
    sock = control.connect(entry)
    if not control.send(sock, {"verb": "exec", "process": wanted}, fds):
        raise RequestError("container id", identity, "has stopped")
    if theirs is not None:
        theirs.close()
    control.answer(sock, entry)
    if not detach:
        if pid_file is not None:
            write_number(pid_file, os.getpid())
        return _wait(sock, ours)
    pid = os.fork()
    if pid == 0:
        status = words.EXIT_FAULT
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for fd in fds[:_STREAMS]:
                os.dup2(null, fd)
            os.closerange(_STREAMS, sock.fileno())
            os.closerange(sock.fileno() + 1, 1 << 20)
            status = _wait(sock, None)
        finally:
            os._exit(status)
    if pid_file is not None:
        write_number(pid_file, pid)
    return 0


def _wait(sock: socket.socket, terminal: socket.socket | None) -> int:
    """Until the program has ended; signals are passed on to it."""
    import select

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, lambda n, _frame: control.send(sock, {"signal": int(n)}))

    def ended() -> bool:
        return bool(select.select([sock], [], [], 0)[0])

    master = console.take(terminal) if terminal is not None else -1
    if master >= 0:
        try:
            console.attach(master, ended)
        finally:
            os.close(master)
    found = control.receive(sock)
    if found is None:
        raise SupervisorError("the container's monitor is gone, and the program with it")
    return int(control.opened(found[0])["ended"])


def read_process(path: str) -> dict[str, Any]:
    """The file of ``--process``. Raises RequestError."""
    import json

    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_PROCESS + 1)
        found = json.loads(text) if len(text) <= _MAX_PROCESS else None
    except OSError as error:
        raise RequestError("--process", path, f"cannot read: {(error.strerror or '').lower()}") from None
    except (ValueError, RecursionError) as error:
        raise RequestError("--process", path, f"not JSON: {error}".lower()) from None
    if not isinstance(found, dict):
        raise RequestError("--process", path, "expected an object")
    return found
