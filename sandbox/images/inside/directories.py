"""Directories below one fd, opened step by step with O_NOFOLLOW; some of them stay open for the next step."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    Place = tuple[bytes, ...]

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_DIRECTORIES = 64


class Directories:
    """``enter`` is the one way to a directory. Nobody is believed to leave the tree alone meanwhile."""

    def __init__(self, root: int) -> None:
        self.root = root
        self._open: dict[Place, int] = {}

    def enter(self, place: Place) -> int:
        """An fd of this directory; good until the next call."""
        known = len(place)
        while known and place[:known] not in self._open:
            known -= 1
        fd = self._open[place[:known]] if known else self.root
        for depth in range(known, len(place)):
            above, fd = fd, self.step(fd, place[: depth + 1])
            self._remember(place[: depth + 1], fd, above)
        return fd

    def step(self, above: int, place: Place) -> int:
        """Open the last component of ``place`` in the directory ``above``."""
        return os.open(place[-1], DIRECTORY, dir_fd=above)

    def forget(self, place: Place) -> None:
        """Close what is open at or below a place."""
        for known in [known for known in self._open if known[: len(place)] == place]:
            os.close(self._open.pop(known))

    def _remember(self, place: Place, fd: int, above: int) -> None:
        if len(self._open) >= OPEN_DIRECTORIES:
            for known in [known for known in self._open if place[: len(known)] != known]:
                os.close(self._open.pop(known))
        if len(self._open) >= OPEN_DIRECTORIES:  # a deep place: its own ancestors fill the table
            for known in [known for known in self._open if self._open[known] != above]:
                os.close(self._open.pop(known))
        self._open[place] = fd
