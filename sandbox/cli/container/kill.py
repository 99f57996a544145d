"""``pysandbox kill CONTAINER...``"""

from __future__ import annotations

from ...containers.signals import signal_number
from .names import each, some


def main(words: list[str]) -> int:
    """A signal to the program of each; SIGKILL ends all of its processes."""
    values, names = some("kill", words)
    number = signal_number("--signal", values.get("signal", "KILL"))
    return each(names, lambda container: container.kill(number))
