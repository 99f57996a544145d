"""Where an archive's files are made.

Each is opened relative to the fd of its directory, which was opened relative to that of its parent, O_NOFOLLOW all
the way from the one that we made: no name is ever resolved twice. Bytes are counted as they are written; what a header
says about sizes is not believed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from . import names

CHUNK = 256 << 10
OPEN_DIRECTORIES = 64
# Deflate cannot expand by more than 1,032 (RFC 1951: 258 bytes for two bits), bzip2 and xz by far more. Below the
# floor a ratio says nothing: tests of equal numbers compress well.
RATIO = 1100
RATIO_FLOOR_BYTES = 64 << 20

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(Exception):
    """The archive is not unpacked; the message says why."""


class Growth:
    """A new directory below ``into``, gone again at the end of the ``with`` block unless ``keep`` was called.

    archive_bytes: the archive's own size, for the ratio.
    """

    def __init__(self, into: Path, stem: str, archive_bytes: int, limit_bytes: int, limit_files: int) -> None:
        self._limit_bytes, self.limit_files = limit_bytes, limit_files
        self._ratio_bytes = max(RATIO_FLOOR_BYTES, RATIO * archive_bytes)
        self._bytes = self._files = 0
        self._kept = False
        # Folded place -> place as it was written, and whether it is a directory.
        self._known: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = {}
        self._open: dict[tuple[str, ...], int] = {}
        self._into = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._name = self._make_root(stem)
            self._root = os.open(self._name, _DIRECTORY, dir_fd=self._into)
        except BaseException:
            os.close(self._into)
            raise
        self.path = into / self._name

    def _make_root(self, stem: str) -> str:
        stem = "".join(c if c.isprintable() and c != "/" else "_" for c in stem).encode()[:200].decode(errors="ignore")
        for number in range(1, 1000):
            name = stem if number == 1 else f"{stem}-{number}"
            try:
                os.mkdir(name, 0o755, dir_fd=self._into)
                return name
            except FileExistsError:
                continue
        raise FileExistsError(17, f"{stem} is taken")

    def __enter__(self) -> Growth:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_directories()
        os.close(self._root)
        try:
            if not self._kept:
                shutil.rmtree(self._name, dir_fd=self._into)
        finally:
            os.close(self._into)

    def keep(self) -> None:
        """All of it is there."""
        self._kept = True

    def single_directory(self) -> str | None:
        """The name of the only thing at the top, if it is a directory."""
        top = [place for place, _ in self._known.values() if len(place) == 1]
        if len(top) != 1 or not self._known[_fold(top[0])][1]:
            return None
        return top[0][0]

    def room(self, size: int, name: str) -> None:
        """Refuses a size that is declared too large, before any work."""
        if size < 0:
            raise Refused(f"{names.show(name)}: a negative size")
        if self._bytes + size > self._limit_bytes:
            raise self._too_large()

    def directory(self, name: str) -> None:
        """A directory of the archive, with those above it. Twice the same one is allowed."""
        place = self._place(name)
        if place:
            self._enter(place)

    def file(self, name: str, data: Iterator[bytes], *, executable: bool = False) -> None:
        """A file of the archive. ``data`` is not read if the name is refused."""
        place = self._place(name)
        if place is None:
            for _ in data:  # part of the stream, and of what it may cost
                pass
            return
        if not place:
            raise Refused(f"{names.show(name)}: a file without a name")
        folder = self._enter(place[:-1])
        self._add(place, directory=False)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(place[-1], flags, 0o600, dir_fd=folder)
        with open(fd, "wb", buffering=0) as out:
            for chunk in data:
                self.spend(len(chunk))
                view = memoryview(chunk)
                while view:
                    view = view[out.write(view) :]
            os.fchmod(fd, 0o755 if executable else 0o644)

    def spend(self, count: int) -> None:
        """Counts bytes that came out of the archive, whatever they are for."""
        self._bytes += count
        if self._bytes > self._limit_bytes:
            raise self._too_large()
        if self._bytes > self._ratio_bytes:
            raise Refused(f"expands to more than {RATIO} times its size")

    def _too_large(self) -> Refused:
        return Refused(f"unpacks to more than {self._limit_bytes} bytes")

    def _place(self, name: str) -> tuple[str, ...] | None:
        try:
            place = names.parts(name)
        except names.BadName as bad:
            raise Refused(str(bad)) from bad
        return None if names.junk(place) else place

    def _add(self, place: tuple[str, ...], *, directory: bool) -> bool:
        """Is it new? Refuses what cannot be beside what is there."""
        known = self._known.get(_fold(place))
        if known is not None:
            there, is_directory = known
            shown = names.show("/".join(place))
            if there != place:
                raise Refused(f"{shown}: differs in case alone from {names.show('/'.join(there))}")
            if is_directory != directory:
                raise Refused(f"{shown}: both a file and a directory")
            if not directory:
                raise Refused(f"{shown}: there twice")
            return False
        self._files += 1
        if self._files > self.limit_files:
            raise Refused(f"holds more than {self.limit_files} files and directories")
        self._known[_fold(place)] = place, directory
        return True

    def _enter(self, place: tuple[str, ...]) -> int:
        """An fd of this directory, which is made if need be. Valid until the next call."""
        if not place:
            return self._root
        known = self._open.get(place)
        if known is not None:
            return known
        if len(self._open) >= OPEN_DIRECTORIES:
            self._close_directories()
        above = self._enter(place[:-1])
        if self._add(place, directory=True):
            os.mkdir(place[-1], 0o755, dir_fd=above)
        self._open[place] = os.open(place[-1], _DIRECTORY, dir_fd=above)
        return self._open[place]

    def _close_directories(self) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()


def _fold(place: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.casefold() for part in place)
