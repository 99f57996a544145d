"""Signals from the first moment on: remembered until there is a program, then passed on to it.

Python's own answer to Ctrl-C, an exception at any line, can get lost while modules are imported: the
import system ignores exceptions in its clean-up. A remembered number cannot.
"""

from __future__ import annotations

# the C part of ``signal``, without its enums: 3 ms at every start
import _signal  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Passed on to the program; a second one kills.
FORWARDED = (1, 2, 3, 15)  # HUP, INT, QUIT, TERM
_SIGWINCH = 28


class Ended(Exception):
    """A signal came before the program had begun: there is nothing to pass it on to."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = 128 + number


class Signals:
    """The signals of one command line. Ignored ones stay ignored: nohup(1), a shell's background jobs."""

    def __init__(self) -> None:
        self._early: list[int] = []
        self._target: Callable[[int], None] | None = None
        self._before: list[tuple[int, Any]] = []
        for number in FORWARDED:
            handler = _signal.getsignal(number)
            if handler != _signal.SIG_IGN:
                self._before.append((number, _signal.signal(number, self._arrived)))

    def _arrived(self, number: int, _frame: object) -> None:
        if self._target is None:
            self._early.append(number)
        else:
            self._target(number)

    def check(self) -> None:
        """Raise Ended if one has come already."""
        if self._early:
            raise Ended(self._early[0])

    def pass_on(self, target: Callable[[int], None]) -> None:
        """There is a program: ``target`` gets what came, and what comes."""
        self._target = target
        for number in self._early:
            target(number)

    def on_resize(self, handler: Callable[..., None]) -> None:
        """Call ``handler`` when the terminal's size has changed."""
        self._before.append((_SIGWINCH, _signal.signal(_SIGWINCH, handler)))

    def restore(self) -> None:
        """As it was."""
        for number, handler in self._before:
            _signal.signal(number, handler)


def under_signals(command: Callable[[list[str], Signals], int], words: list[str]) -> int:
    """The exit status of a command that runs a program; 128+n if signal n came before the program had begun."""
    signals = Signals()
    try:
        return command(words, signals)
    except Ended as early:
        return early.exit_status
    finally:
        signals.restore()
