"""Files from ``/from`` to ``/to``: all of them, or those that patterns match. No symlink is followed on either side.

Both are mounts of somebody's tree, a running container's for one, which may change under our hands. Each directory is
opened from the one above by its own name with O_NOFOLLOW, and nothing else is resolved.
"""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ...images.inside.start import Refused, shown
else:
    from inside.start import Refused, shown  # mounted beside us

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_NOTES = 50
_MAX_DEPTH = 256  # directories open at once, two each; Python's stack has two calls for each
_CHUNK = 1 << 20


class Copier:
    """``links``: symlinks are made anew; without they are left out, for ``/to`` is the host's."""

    def __init__(self, limit_bytes: int, limit_files: int, links: bool) -> None:
        self._limit_bytes, self._limit_files, self._links = limit_bytes, limit_files, links
        self.bytes = self.files = 0
        self.skipped: list[str] = []

    def entry(self, above: int, name: bytes, to: int, shown_as: bytes, depth: int = 0) -> None:
        """What ``name`` is in ``above``, with all below it, into ``to`` under the same name."""
        found = os.lstat(name, dir_fd=above)
        if stat.S_ISDIR(found.st_mode):
            if depth >= _MAX_DEPTH:
                raise Refused(f"{shown(shown_as)}: more than {_MAX_DEPTH} directories deep")
            fd = os.open(name, _DIRECTORY, dir_fd=above)
            inner = -1
            try:
                inner = below(to, name)
                self.content(fd, inner, shown_as, depth + 1)
                _attributes(inner, os.fstat(fd), self._links)
            finally:
                os.close(fd)
                if inner >= 0:
                    os.close(inner)
        elif stat.S_ISREG(found.st_mode):
            self._file(above, name, to, shown_as)
        elif stat.S_ISLNK(found.st_mode) and self._links:
            self._count(0)
            _unlink(to, name)
            os.symlink(os.readlink(name, dir_fd=above), name, dir_fd=to)
        else:
            self._skip(shown_as)

    def content(self, fd: int, to: int, shown_as: bytes, depth: int = 0) -> None:
        """Everything in a directory."""
        for entry in sorted(map(os.fsencode, os.listdir(fd))):
            try:
                self.entry(fd, entry, to, shown_as + b"/" + entry if shown_as else entry, depth)
            except FileNotFoundError:
                pass  # removed meanwhile

    def _skip(self, shown_as: bytes) -> None:
        if len(self.skipped) < _MAX_NOTES:
            self.skipped.append(shown(shown_as))

    def _count(self, size: int) -> None:
        self.files += 1
        self.bytes += size
        if self.bytes > self._limit_bytes:
            raise Refused(f"more than {self._limit_bytes} bytes")
        if self.files > self._limit_files:
            raise Refused(f"more than {self._limit_files} files")

    def _file(self, above: int, name: bytes, to: int, shown_as: bytes) -> None:
        # NONBLOCK: a FIFO may have taken the file's place.
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=above)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                self._skip(shown_as)
                return
            self._count(0)
            _unlink(to, name)
            out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=to)
            try:
                while data := os.read(fd, _CHUNK):
                    self.files -= 1
                    self._count(len(data))
                    view = memoryview(data)
                    while view:
                        view = view[os.write(out, view) :]
                _attributes(out, found, self._links)
            finally:
                os.close(out)
        finally:
            os.close(fd)


def _attributes(fd: int, found: os.stat_result, whole: bool) -> None:
    """Mode and time. Setuid and the like are not for the host, and nothing there is for others to write."""
    mode = stat.S_IMODE(found.st_mode)
    os.fchmod(fd, mode if whole else (mode & 0o755) | (0o700 if stat.S_ISDIR(found.st_mode) else 0o600))
    os.utime(fd, ns=(found.st_mtime_ns, found.st_mtime_ns))


def _unlink(to: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=to)
    except FileNotFoundError:
        pass


def below(to: int, name: bytes) -> int:
    """A directory in ``to``, made if it is not there; the caller closes it."""
    try:
        os.mkdir(name, 0o755, dir_fd=to)
    except FileExistsError:
        pass
    return os.open(name, _DIRECTORY, dir_fd=to)


def matches(fd: int, parts: tuple[bytes, ...], place: tuple[bytes, ...] = ()) -> Iterator[tuple[bytes, ...]]:
    """The places below ``fd`` that a pattern's components match; ``**`` is any number of directories."""
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
    if len(place) >= _MAX_DEPTH:
        return
    for name in sorted(map(os.fsencode, os.listdir(fd))):
        if part == b"**":
            if not rest:
                yield (*place, name)
            elif stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode):
                yield from _into(fd, name, parts, place)
        elif fnmatchcase(name.decode("latin-1"), part.decode("latin-1")):
            yield from _into(fd, name, rest, place)


def _into(fd: int, name: bytes, rest: tuple[bytes, ...], place: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    if not rest:
        yield (*place, name)
        return
    try:
        inner = os.open(name, _DIRECTORY, dir_fd=fd)
    except OSError:  # no directory, or a symlink
        return
    try:
        yield from matches(inner, rest, (*place, name))
    except FileNotFoundError:
        pass
    finally:
        os.close(inner)


def main(words: list[str]) -> dict[str, Any]:
    """``limit_bytes limit_files links|nolinks`` and patterns, as hexadecimal; without one all of ``/from``."""
    limit, files, links, *rest = words
    copier = Copier(int(limit), int(files), links == "links")
    source = os.open("/from", _DIRECTORY)
    target = os.open("/to", _DIRECTORY)
    unmatched = []
    if not rest:
        copier.content(source, target, b"")
    done: set[tuple[bytes, ...]] = set()
    for word in rest:
        pattern = bytes.fromhex(word)
        parts = tuple(part for part in pattern.split(b"/") if part not in (b"", b"."))
        found = 0
        for place in matches(source, parts):
            found += 1
            if any(place[:end] in done for end in range(1, len(place) + 1)):
                continue
            done.add(place)
            _one(copier, source, target, place)
        if not found:
            unmatched.append(shown(pattern))
    return {"bytes": copier.bytes, "files": copier.files, "skipped": copier.skipped, "unmatched": unmatched}


def _one(copier: Copier, source: int, target: int, place: tuple[bytes, ...]) -> None:
    """A place that matched, with the directories that lead to it."""
    above, to = os.dup(source), os.dup(target)
    try:
        for name in place[:-1]:
            outer = above
            above = os.open(name, _DIRECTORY, dir_fd=outer)
            os.close(outer)
            outer = to
            to = below(outer, name)
            os.close(outer)
        copier.entry(above, place[-1], to, b"/".join(place), len(place))
    except (FileNotFoundError, NotADirectoryError):
        pass  # it has gone meanwhile
    finally:
        os.close(above)
        os.close(to)
