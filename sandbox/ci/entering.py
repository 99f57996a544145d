"""A program in a job's container: started there, its output passed on, its limits of time kept."""

from __future__ import annotations

import select
import signal

from ..containers import control
from ..containers.execute import question, result_of
from ..errors import HostError, RequestError, SandboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..containers import Container
    from ..containers.control import Connection
    from ..result import Result

# How often the CPU time of a step with a limit is looked at: so much it may have too much, on each CPU.
_LOOK_MS = 50
_SECOND = 1_000_000_000


def run(
    container: Container,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    input_fd: int | None = None,
    output_fd: int | None = None,
    error_fd: int | None = None,
    wall_ns: int | None = None,
    time_ns: int | None = None,
    output: str | None = None,
    forward_signals: bool = False,
) -> Result:
    """Run it in the container and wait for its end.

    With ``output_fd`` both streams go there (stderr to ``error_fd`` if that is given), else they are in the Result.
    ``time_ns``: CPU time of all that runs in the container meanwhile. ``forward_signals``: SIGTERM, SIGINT and SIGHUP
    are passed on to it; only from the main thread. Raises RequestError if the container does not run, HostError for a
    ``time_ns`` where nothing counts CPU time, and what a run raises.
    """
    limits: dict[str, Any] = {}
    if wall_ns is not None:
        limits["wall"] = max(wall_ns, 1_000_000) / _SECOND
    if output is not None:
        limits["output"] = output
    words = question(argv, env=env, workdir=workdir, limits=limits)
    fds: list[int] = []
    if input_fd is not None:
        fds.append(input_fd)
        words["streams"].append("stdin")
    if output_fd is not None:
        fds += [output_fd, output_fd if error_fd is None else error_fd]
        words["streams"] += ["stdout", "stderr"]
    before = cpu_ns(container) if time_ns is not None else None
    if time_ns is not None and before is None:
        raise HostError(
            "a step's limit of CPU time cannot be kept: its container has no cgroup", "see pysandbox doctor"
        )
    connection = control.connect(container.id)
    try:
        connection.send(words, fds)
        with _forwarding(connection, forward_signals):
            answer, captured, over = _wait(connection, container, before, time_ns)
    except OSError:
        raise RequestError("container", container.id[:12], "ended while it was asked") from None
    finally:
        connection.close()
    if over:
        return _over()
    return result_of(answer, captured)


def _wait(
    connection: Connection, container: Container, before: int | None, time_ns: int | None
) -> tuple[dict[str, Any], list[int], bool]:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    while True:
        # Without a limit too it wakes up now and then, so that Python's handlers of signals run.
        if not poll.poll(_LOOK_MS if time_ns is not None else 1000):
            now = cpu_ns(container) if time_ns is not None else None
            if time_ns is not None and before is not None and now is not None and now - before > time_ns:
                return {}, [], True  # closing the connection kills it
            continue
        words, fds = control.answer(connection, container.id)
        if words:  # an empty one is for a signal that was passed on
            return words, fds, False
        control.close_all(fds)


def _over() -> Result:
    from ..result import CPU_TIME, Cause, Result, Usage

    cause = Cause(kind=CPU_TIME, detail="the step's limit of CPU time", at_ns=None)
    return Result(outcome=CPU_TIME, exit_code=None, signal=signal.SIGKILL, causes=(cause,), usage=Usage())


class _forwarding:
    """Signals of this process go to the program while this lasts."""

    def __init__(self, connection: Connection, wanted: bool) -> None:
        self._connection, self._wanted = connection, wanted
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if self._wanted:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._arrived)

    def _arrived(self, number: int, _frame: object) -> None:
        try:
            self._connection.send({"verb": "exec_signal", "signal": number})
        except OSError:  # it has ended: the answer is on its way
            pass

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def cpu_ns(container: Container) -> int | None:
    """CPU time of the container so far; None where nothing counts it."""
    try:
        value = container.call("stats").get("cpu_ns")
    except SandboxError:
        return None
    return value if isinstance(value, int) else None
