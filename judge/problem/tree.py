"""The files of a package, looked at once: what leaves it, loops, cannot be read or is no file is a fault and not there.

A symbolic link that stays in the package is allowed (problem package format, General requirements); it is resolved
here, so that every path handed out is one without links and may be opened with O_NOFOLLOW.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Faults

LIMIT_FILES = 200_000
LIMIT_DEPTH = 24
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Entry:
    """name: its last part; relative: its place in the package as people see it; path: absolute, links resolved."""

    name: str
    relative: str
    path: Path
    directory: bool
    size: int = 0
    executable: bool = False


class Tree:
    """``hidden``: names with a leading dot that are wanted all the same; all others are passed over, as is "-..."
    (2025-09, General requirements: auxiliary files)."""

    def __init__(self, root: Path, faults: Faults, *, hidden: frozenset[str] = frozenset()) -> None:
        self.root = root
        self._faults = faults
        self.real = os.path.realpath(root)
        self._hidden = hidden
        self._directories: dict[str, list[Entry]] = {}
        self._files: dict[str, Entry] = {}
        self._count = 0
        self._scan("", self.real, 0, (self.real,))

    def entries(self, relative: str) -> list[Entry]:
        """What a directory holds, by name (code points); nothing if there is no such directory."""
        return self._directories.get(relative, [])

    def has_directory(self, relative: str) -> bool:
        return relative in self._directories

    def file(self, relative: str) -> Entry | None:
        """A regular, readable file, else None."""
        return self._files.get(relative)

    def files(self, relative: str) -> list[Entry]:
        """All files below a directory, in order of their places."""
        found: list[Entry] = []
        waiting = [relative]
        while waiting:
            for entry in self.entries(waiting.pop()):
                if entry.directory:
                    waiting.append(entry.relative)
                else:
                    found.append(entry)
        return sorted(found, key=lambda entry: entry.relative)

    def forget(self, wrong: Callable[[Entry], bool]) -> None:
        """From here on the package is as if these were not in it, nor what is below them."""
        before, self._directories, self._files = self._directories, {}, {}
        waiting = [""]
        while waiting:
            place = waiting.pop()
            kept = self._directories[place] = [entry for entry in before.get(place, []) if not wrong(entry)]
            waiting += [entry.relative for entry in kept if entry.directory]
            self._files |= {entry.relative: entry for entry in kept if not entry.directory}

    def everything(self) -> list[Entry]:
        """All entries, directories too, in order of their places."""
        return sorted((e for entries in self._directories.values() for e in entries), key=lambda e: e.relative)

    def _scan(self, relative: str, path: str, depth: int, above: tuple[str, ...]) -> None:
        where = relative or "."
        if depth > LIMIT_DEPTH:
            self._faults.error(where, 0, f"directories are nested more than {LIMIT_DEPTH} deep")
            return
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            self._faults.error(where, 0, f"the directory cannot be read: {error.strerror}")
            return
        entries = self._directories[relative] = []
        for name in names:
            if name.startswith((".", "-")) and name not in self._hidden:
                continue
            self._count += 1
            if self._count > LIMIT_FILES:
                if self._count == LIMIT_FILES + 1:
                    self._faults.error(where, 0, f"the package has more than {LIMIT_FILES} files")
                return
            place = f"{relative}/{name}" if relative else name
            if _CONTROL.search(name):
                self._faults.error(ascii(place)[1:-1], 0, "the name has bytes that are no text, or control characters")
                continue
            entry = self._entry(name, place, os.path.join(path, name))
            if entry is None:
                continue
            if entry.directory:
                real = str(entry.path)
                if real in above:
                    self._faults.error(place, 0, "a symbolic link to a directory that it is in")
                    continue
                self._scan(place, real, depth + 1, (*above, real))
                if place not in self._directories:
                    continue
            else:
                self._files[place] = entry
            entries.append(entry)

    def _entry(self, name: str, place: str, path: str) -> Entry | None:
        try:
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode):
                real = os.path.realpath(path)
                if real != self.real and not real.startswith(self.real.rstrip("/") + "/"):
                    self._faults.error(place, 0, "a symbolic link out of the package", "put the file itself there")
                    return None
                info, path = os.lstat(real), real
                if stat.S_ISLNK(info.st_mode):
                    self._faults.error(place, 0, "a symbolic link that leads to itself")
                    return None
        except OSError as error:
            self._faults.error(place, 0, f"a broken symbolic link, or unreadable: {error.strerror}")
            return None
        if stat.S_ISDIR(info.st_mode):
            return Entry(name, place, Path(path), True)
        if not stat.S_ISREG(info.st_mode):
            self._faults.error(place, 0, f"neither a file nor a directory but {_special(info.st_mode)}")
            return None
        if not os.access(path, os.R_OK):
            self._faults.error(place, 0, "cannot be read: Permission denied")
            return None
        return Entry(name, place, Path(path), False, info.st_size, bool(info.st_mode & 0o111))


def _special(mode: int) -> str:
    kinds = (
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((word for test, word in kinds if test(mode)), "something else")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key for an order in which 2 is before 10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(p[:4000]), p) if p[0] in "0123456789" else (1, 0, p) for p in parts]
