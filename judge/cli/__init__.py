"""``pysandbox judge``: what a person starts. The words have become values in ``sandbox.cli.judge``.

Faults are exceptions below SandboxError; the command line says them in one line and ends with 125.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

EXIT_GOOD, EXIT_BAD = 0, 1

_MODULES = {"": "submit", "check": "check", "languages": "languages", "calibrate": "calibrate", "verdict": "verdict"}


def main(command: str, values: dict[str, Any], words: Sequence[str]) -> int:
    """Run one subcommand; "" judges. Imports only what that one needs."""
    # What was cleaned for a terminal may still be more than its encoding has.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _ending():
            module = __import__(f"{__package__}.{_MODULES[command]}", fromlist=["main"])
            return int(module.main(values, list(words)))
    except Ended as ended:
        return 128 + ended.number


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP: what was unpacked and what runs is cleaned away as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _ending() -> Iterator[None]:
    """Both as exceptions. Ignored ones stay ignored (nohup(1))."""

    def arrived(number: int, _frame: object) -> None:
        raise Ended(number)

    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, arrived)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
