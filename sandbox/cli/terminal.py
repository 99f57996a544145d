"""The caller's terminal while a program has one of its own: raw, and resized along with it."""

from __future__ import annotations

import os
import termios
import tty

from ..native._core import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Terminal:
    """Ours, if stdin is one."""

    def __init__(self) -> None:
        self._saved: list[Any] | None = None
        self._master = -1

    def attach(self, master: int) -> None:
        """The program's terminal is there: give it our size, and let every key pass to it."""
        self._master = master
        self.resize()
        if os.isatty(0):
            self._saved = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSADRAIN)

    def resize(self, *_signal: object) -> None:
        """SIGWINCH: the same size for both."""
        if self._master >= 0 and os.isatty(0):
            lib.core_winsize(0, self._master)

    def restore(self) -> None:
        """As it was before."""
        self._master = -1
        if self._saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
            self._saved = None
