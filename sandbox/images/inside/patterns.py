"""Patterns below one directory fd, with ``**``; no symlink is followed on the way."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase

from .directories import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .directories import Place

MAX_DEPTH = 256  # directories open at once; Python's stack has two calls for each


def matches(fd: int, parts: Place, place: Place = ()) -> Iterator[Place]:
    """The places that a pattern's components match; ``**`` is any number of directories."""
    if not parts:
        yield place
        return
    part, rest = parts[0], parts[1:]
    if part == b"**":
        yield from matches(fd, rest, place) if rest else ()
    elif not set(part) & set(b"*?["):
        if part in map(os.fsencode, os.listdir(fd)):
            yield from _into(fd, part, rest, place)
        return
    if len(place) >= MAX_DEPTH:
        return
    for name in sorted(map(os.fsencode, os.listdir(fd))):
        if part == b"**":
            if not rest:
                yield (*place, name)
            elif _is_directory(fd, name):
                yield from _into(fd, name, parts, place)
        elif fnmatchcase(name.decode("latin-1"), part.decode("latin-1")):
            yield from _into(fd, name, rest, place)


def _is_directory(fd: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode)
    except FileNotFoundError:  # removed meanwhile
        return False


def _into(fd: int, name: bytes, rest: Place, place: Place) -> Iterator[Place]:
    if not rest:
        yield (*place, name)
        return
    try:
        inner = os.open(name, DIRECTORY, dir_fd=fd)
    except OSError:  # no directory, or a symlink
        return
    try:
        yield from matches(inner, rest, (*place, name))
    except FileNotFoundError:
        pass
    finally:
        os.close(inner)
