"""``pysandbox run`` with an image, a name, -d or a network: a container."""

from __future__ import annotations

import os

from ...containers import record
from ...containers.options import configure
from ...containers.starting import Face, Taps, finish, run_to_end, start_detached
from ...errors import RequestError
from ...request import CAPTURE, Tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...containers.logs import Log
    from ...containers.model import ContainerConfig
    from ...containers.monitor import Monitor
    from ...pipeline import Sandbox
    from ...result import Result
    from ..signals import Signals

_OF_COMMAND = ("json", "quiet", "stdin", "stdout", "stderr")


def detached(values: dict[str, Any], argv: list[str]) -> int:
    """Start it, print its id."""
    if wrong := [name for name in _OF_COMMAND[:1] + _OF_COMMAND[2:] if values.get(name) is not None]:
        why = "a detached container writes to its log; see pysandbox logs"
        raise RequestError(f"--{wrong[0]}", values[wrong[0]], why)
    config = configure(argv, **{k: v for k, v in values.items() if k not in _OF_COMMAND})
    os.write(1, f"{start_detached(config)}\n".encode())
    return 0


def foreground(values: dict[str, Any], argv: list[str], signals: Signals, box: Sandbox) -> Result:
    """Run it under this process, from its record to its end."""
    config = configure(argv, **{k: v for k, v in values.items() if k not in _OF_COMMAND})
    signals.check()
    held = record.create(config)
    face = Foreground(values, signals)
    monitor = None
    try:
        monitor, result = run_to_end(held, box.start_request, face=face)
        if config.remove:
            box.end()
            held.discard()  # while the spawner ends
    finally:
        box.close()  # before the lock is free: what comes next finds nothing of ours
        if monitor is None:
            held.end(remove=True)
    finish(monitor, result.exit_status, result.outcome)
    record.sweep()  # what others have left
    return result


class Foreground(Face):
    """To the caller's own streams, and to the log if it stays."""

    def __init__(self, values: dict[str, Any], signals: Signals) -> None:
        self._values, self._signals = values, signals
        self._terminal: Any = None

    def streams(self, config: ContainerConfig, taps: Taps) -> dict[str, Any]:
        from ..options import defaults

        chosen = defaults({k: v for k, v in self._values.items() if k in _OF_COMMAND})
        for name, fd in (("stdout", 1), ("stderr", 2)):
            if chosen[name] == fd:
                chosen[name] = Tap(taps.take(name), fd)
        return {k: v for k, v in chosen.items() if k in ("stdin", "stdout", "stderr")}

    def log(self, directory: str) -> Log | None:
        if self._values.get("remove") or CAPTURE in (self._values.get("stdout"), self._values.get("stderr")):
            return None
        return super().log(directory)

    def watch(self, monitor: Monitor, taps: Taps) -> None:
        watch = monitor.running.supervision
        if monitor.held.config.tty:
            from ..terminal import Terminal

            self._terminal = Terminal()
            watch.terminal_ends = (0, 1, taps.take("stdout"))
            watch.on_terminal = self._terminal.attach
            self._signals.on_resize(self._terminal.resize)
        self._signals.pass_on(watch.interrupt)

    def restore(self) -> None:
        if self._terminal is not None:
            self._terminal.restore()
