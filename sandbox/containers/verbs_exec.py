"""``exec``: one more program in the container, for somebody at the other end of a connection.

Theory of operation. The asker sends the fds of its own streams; the monitor copies between them and the program, as a
run does, so that the program gets no open file description of anybody's. With a terminal, the asker sets its own raw,
and the monitor reads and writes it. The answer comes at the program's end. The connection is the leash: if it is
closed, the program is killed, unless it was started detached.
"""

from __future__ import annotations

import os

from .. import result as words
from ..errors import RequestError, SandboxError
from ..native._core import lib
from ..request import CAPTURE, DEVNULL, Request
from ..streams import Forward

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..result import Result
    from ..running import Running
    from .monitor import Ask, Monitor
    from .starting import Prepared

_STREAMS = ("stdin", "stdout", "stderr")
_LIMITS = ("wall", "output", "grace")
_RESULT = ("outcome", "exit_code", "signal", "error", "notes", "hints", "stdout_truncated", "stderr_truncated")


class Executed:
    """A program that was brought in, and whose it is."""

    def __init__(self, monitor: Monitor, ask: Ask, running: Running, fds: list[int], tty: bool, detached: bool) -> None:
        self.monitor, self.ask, self.running, self.fds, self.detached = monitor, ask, running, fds, detached
        if tty:
            running.supervision.terminal_ends = (fds[0], fds[1], None)
            running.supervision.on_terminal = self.resize
        monitor.adopt(running, self.ended)
        if not detached:
            ask.on_close(self.left)
            monitor.executed[ask.connection] = self

    def resize(self, master: int) -> None:
        """The asker's terminal has this size now."""
        if self.fds and os.isatty(self.fds[0]):
            lib.core_winsize(self.fds[0], master)

    def left(self) -> None:
        """Nobody waits any more; after the end that means nothing."""
        if self.ask.connection in self.monitor.executed:
            self.running.supervision.kill(words.INTERRUPTED, "who had started it has gone")

    def ended(self, running: Running) -> None:
        """Answer, with what was captured."""
        self.monitor.executed.pop(self.ask.connection, None)
        try:
            if not self.detached:
                self._answer(running)
        finally:
            running.close()
            for fd in self.fds:
                os.close(fd)
            self.fds = []

    def _answer(self, running: Running) -> None:
        try:
            result = running.result()
        except SandboxError as error:
            self.ask.fail(error)
            return
        captured = tuple(_memfd(data) for data in (result.stdout, result.stderr)) if not self.fds else ()
        self.ask.answer({"result": _plain(result), "exit_status": result.exit_status}, captured)
        for fd in captured:
            os.close(fd)


def execute(monitor: Monitor, ask: Ask) -> dict[str, Any] | None:
    """``argv``, ``env``, ``user``, ``workdir``, ``tty``, ``detach``, ``limits``; ``streams``: which of stdin, stdout
    and stderr the fds are. Without any, what the program writes comes with the answer."""
    ask_words = ask.words
    fds = ask.take()
    given = list(ask_words.get("streams", ()))
    try:
        if len(given) != len(fds) or not set(given) <= set(_STREAMS):
            raise RequestError("streams", given, f"{len(fds)} fds came with it")
        tty, detach = bool(ask_words.get("tty")), bool(ask_words.get("detach"))
        streams: dict[str, Any] = dict.fromkeys(_STREAMS, DEVNULL)
        if tty and (given[:2] != ["stdin", "stdout"] or detach):
            raise RequestError("tty", True, "needs stdin and stdout")
        if not given and not detach:
            streams |= {"stdout": CAPTURE, "stderr": CAPTURE}
        for name, fd in zip(given, fds, strict=True):
            streams[name] = Forward(fd) if name == "stdin" else fd
        if "stdout" not in given and "stdin" in given:
            streams |= {"stdout": CAPTURE, "stderr": CAPTURE}
        # the terminal's size from the first moment on: later is a resize, and what was printed before has none
        running = monitor.running.exec(request_for(monitor.prepared, ask_words, tty, streams),
                                       terminal=fds[0] if tty else 0)  # fmt: skip
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    if "stdout" not in given:  # a stdin alone is copied by now
        for fd in fds:
            os.close(fd)
        fds = []
    Executed(monitor, ask, running, fds, tty, detach)
    return {} if detach else None


def signal(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """``signal``: to the program that this connection has started; passed on as ``run`` does, with the grace."""
    executed = monitor.executed.get(ask.connection)
    if executed is not None:
        executed.running.supervision.interrupt(int(ask.words.get("signal", 15)))
    return {}


def resize(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """The asker's terminal has another size."""
    executed = monitor.executed.get(ask.connection)
    if executed is not None and executed.running.supervision.terminal >= 0:
        executed.resize(executed.running.supervision.terminal)
    return {}


def request_for(prepared: Prepared, ask: dict[str, Any], tty: bool, streams: dict[str, Any]) -> Request:
    """The words of an exec as a Request. Raises RequestError."""
    config = prepared.config
    argv = [str(word) for word in ask.get("argv", ())]
    if not argv:
        raise RequestError("exec", "", "no program was named")
    env = {**prepared.env, **({"TERM": "xterm"} if tty else {})}
    fields: dict[str, Any] = {}
    asked = ask.get("user")
    if asked and config.image:
        from .users import resolve

        user = resolve(prepared.layers, str(asked))
        fields["user"] = f"{user.uid}:{user.gid}"
        env["HOME"] = user.home
    elif asked:
        fields["user"] = str(asked)
    env |= {str(name): str(value) for name, value in (ask.get("env") or {}).items()}
    workdir = ask.get("workdir") or config.workdir
    if workdir:
        fields["workdir"] = workdir
    limits = ask.get("limits") or {}
    if unknown := set(limits) - set(_LIMITS):
        raise RequestError(sorted(unknown)[0], limits[sorted(unknown)[0]], f"an exec takes {', '.join(_LIMITS)}")
    return Request(argv=argv, env=env, tty=tty, **fields, **limits, **({} if tty else streams), policy=None)


def _plain(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(result, name) for name in _RESULT}
    found |= {"notes": list(result.notes), "hints": list(result.hints), "usage": result.usage.asdict()}
    return found | {"causes": [cause.asdict() for cause in result.causes]}


def _memfd(data: bytes) -> int:
    fd = os.memfd_create("pysandbox-exec", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    return fd


