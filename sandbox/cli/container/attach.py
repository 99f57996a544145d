"""``pysandbox attach CONTAINER``: its output from now on, our input if it takes any, its exit status."""

from __future__ import annotations

import fcntl
import os
import select

from ...errors import RequestError, SandboxError
from ..main import tell
from ..signals import Signals, under_signals
from .keys import DEFAULT, Keys, parse_keys
from .names import one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...containers import Container
    from ...containers.control import Connection

CHUNK = 65536
ATOMIC = 4096  # POLLOUT of a pipe promises room for this much (pipe(7))
PIPE_BYTES = 1 << 20  # what we may be behind before the monitor has to keep it
LAST_WORDS_MS = 2000  # for output that is on its way when the container has ended


def main(words: list[str]) -> int:
    """Until it ends, or the detach keys are typed."""
    return under_signals(_main, words)


def _main(words: list[str], signals: Signals) -> int:
    values, container = one("attach", words)
    keys = parse_keys(values.get("detach_keys", DEFAULT))
    if not container.running:
        raise RequestError("container", container.name, "is not running; `pysandbox logs` has what it wrote")
    quiet = bool(values.get("no_stdin"))
    session = Session(container, keys, with_input=not quiet)
    try:
        signals.check()
        if quiet or values.get("no_signals"):
            signals.restore()
        else:
            signals.pass_on(session.signal)
        if session.tty:
            signals.on_resize(session.resize)
        return session.run()
    finally:
        session.close()


class Session:
    """One attachment: two pipes for the output, the container's input, and a question that its end answers."""

    def __init__(self, container: Container, keys: bytes, with_input: bool) -> None:
        from ...containers import control

        self._container = container
        self._outputs: dict[int, int] = {}
        self._input, self._pending, self._typing = -1, b"", False
        self._saved: list[Any] | None = None
        self._links: list[Connection] = []
        ends = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        self._outputs = {ends[0][0]: 1, ends[1][0]: 2}
        try:
            for read, _write in ends:
                _enlarge(read)
            for _ in range(2):
                self._links.append(control.connect(container.id))
            self._end = self._links[1]
            self._links[0].send({"verb": "attach"}, [write for _read, write in ends])
            answer, fds = control.answer(self._links[0], container.id)
            self._end.send({"verb": "wait"})
        except BaseException:
            self.close()
            raise
        finally:
            for _read, write in ends:
                os.close(write)
        self.tty = bool(answer.get("tty"))
        self._keys = Keys(keys if self.tty else b"")
        if with_input and fds:
            self._input = fds.pop()
            self._typing = True
        control.close_all(fds)
        if self._typing and self.tty and os.isatty(0):
            self._raw()

    def run(self) -> int:
        """The exit status of the container, 0 if we were sent away by the keys."""
        from ...containers import control

        while True:
            for fd, events in self._poll(None):
                if fd == self._end.fileno():
                    answer, fds = control.answer(self._end, self._container.id)
                    control.close_all(fds)
                    self._last_words()
                    return int(answer["exit_status"])
                if fd in self._outputs:
                    self._show(fd)
                    if not self._outputs and not self._typing:
                        self._behind()
                elif fd == self._input:
                    self._give(events)
                elif not self._read():
                    return 0

    def _poll(self, timeout_ms: int | None) -> list[tuple[int, int]]:
        poll = select.poll()
        for fd in self._outputs:
            poll.register(fd, select.POLLIN)
        poll.register(self._end.fileno(), select.POLLIN)
        if self._pending:
            poll.register(self._input, select.POLLOUT)
        elif self._typing:
            poll.register(0, select.POLLIN)
        # the end is looked at last: what was written before it comes first
        return sorted(poll.poll(timeout_ms), key=lambda event: event[0] == self._end.fileno())

    def _show(self, fd: int) -> None:
        data = os.read(fd, CHUNK)
        if not data:
            os.close(fd)
            del self._outputs[fd]
            return
        while data:
            data = data[os.write(self._outputs[fd], data) :]

    def _behind(self) -> None:
        """Both pipes are closed, and it has not ended yet: or it has, and the word of it is on its way."""
        poll = select.poll()
        poll.register(self._end.fileno(), select.POLLIN)
        if not poll.poll(LAST_WORDS_MS):
            tell("more output came than was read; `pysandbox logs -f` has it all")
            poll.poll()

    def _last_words(self) -> None:
        poll = select.poll()
        for fd in self._outputs:
            poll.register(fd, select.POLLIN)
        while self._outputs and (ready := poll.poll(LAST_WORDS_MS)):
            for fd, _events in ready:
                self._show(fd)
                if fd not in self._outputs:
                    poll.unregister(fd)

    # ---- input ----

    def _read(self) -> bool:
        """What is typed; False for the keys."""
        data = os.read(0, ATOMIC)
        if not data:
            self._typing = False
            return True
        self._pending, leave = self._keys.feed(data)
        if leave:
            os.write(2, b"\r\n")
            tell(f"detached; `pysandbox attach {self._container.name}` comes back")
        return not leave

    def _give(self, events: int) -> None:
        try:
            if events & select.POLLERR:
                raise BrokenPipeError
            self._pending = self._pending[os.write(self._input, self._pending[:ATOMIC]) :]
        except BrokenPipeError:  # nobody reads it any more
            self._pending, self._typing = b"", False

    def _raw(self) -> None:
        import termios
        import tty

        self._saved = termios.tcgetattr(0)
        tty.setraw(0, termios.TCSADRAIN)
        self.resize()

    # ---- signals ----

    def signal(self, number: int) -> None:
        """Pass it on."""
        try:
            self._container.kill(number)
        except SandboxError:  # it is about to end
            pass

    def resize(self, *_signal: object) -> None:
        """Its terminal gets the size of ours."""
        try:
            size = os.get_terminal_size(0)
            if not size.lines or not size.columns:  # nobody has said how large it is
                return
            self._container.call("terminal_size", rows=size.lines, columns=size.columns)
        except (OSError, SandboxError):
            pass

    def close(self) -> None:
        """Let go of everything; the terminal as it was."""
        if self._saved is not None:
            import termios

            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
            self._saved = None
        for link in self._links:
            link.close()
        self._links.clear()
        for fd in (*self._outputs, self._input):
            if fd >= 0:
                os.close(fd)
        self._outputs, self._input = {}, -1


def _enlarge(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:  # the user's share of pipe pages is used up (pipe(7))
        pass
