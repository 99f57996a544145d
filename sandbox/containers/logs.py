"""What a container has written, in the log format of the Kubernetes CRI: ``TIME STREAM F|P TEXT``, one line a line.

F ends a line of the program's, P is a piece of one (its output came in pieces, or it had no newline). Bytes are as
they were. Two files, ``log`` and before it ``log.1``, so that a program that writes without end fills MAX_BYTES and no
more.
"""

from __future__ import annotations

import os
import time
from time import gmtime, strftime, time_ns

from ..record import Record

MAX_BYTES = 16 << 20

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from .container import Container

_FOLLOW_S = 0.05


class Log:
    """The writer: the container's monitor. The file is made by the first byte."""

    def __init__(self, directory: str, max_bytes: int = MAX_BYTES) -> None:
        self._path = f"{directory}/log"
        self._half = max_bytes // 2
        self._fd = -1
        self._size = 0
        self.lost = 0  # bytes that the disk had no room for

    def tap(self, stream: str) -> Callable[[bytes], None]:
        """Who takes the chunks of a stream, for a Tap."""
        word = stream.encode()
        return lambda data: self.write(word, data)

    def write(self, stream: bytes, data: bytes) -> None:
        """One chunk. A full disk loses it and ends nothing."""
        lines = data.split(b"\n")
        piece = lines.pop()
        head = b"%s %s " % (_stamp(time_ns()), stream)
        text = b"".join([b"%sF %s\n" % (head, line) for line in lines])
        if piece:
            text += b"%sP %s\n" % (head, piece)
        try:
            if self._fd < 0 or self._size + len(text) > self._half:
                self._next()
            self._size += os.write(self._fd, text)
        except OSError:
            self.lost += len(data)

    def _next(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            os.rename(self._path, f"{self._path}.1")
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._size = os.fstat(self._fd).st_size

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _stamp(now_ns: int) -> bytes:
    """RFC 3339 with nanoseconds, UTC."""
    seconds, nanos = divmod(now_ns, 1_000_000_000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{nanos:09d}Z".encode()


class Entry(Record):
    """One line of the log. ``data`` has the newline if the program wrote one; ``stamp`` is RFC 3339."""

    stamp: str
    stream: str  # stdout or stderr
    data: bytes

    @property
    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""
        import calendar

        seconds = calendar.timegm(time.strptime(self.stamp[:19], "%Y-%m-%dT%H:%M:%S"))
        return seconds * 1_000_000_000 + int(self.stamp[20:29])


def entries(container: Container, *, follow: bool = False, since_ns: int | None = None,
            tail: int | None = None) -> Iterator[Entry]:  # fmt: skip
    """The log of a container, the oldest first. ``tail``: only so many lines of it before what ``follow`` brings."""
    path = f"{container.directory}/log"
    since = _stamp(since_ns).decode() if since_ns is not None else ""
    reader = _Reader(path)
    try:
        old = [entry for entry in [*_all_of(f"{path}.1"), *reader.more()] if entry.stamp >= since]
        yield from old if tail is None else _last(old, tail)
        while follow:
            running = container.running
            found = reader.more()
            yield from (entry for entry in found if entry.stamp >= since)
            if not running and not found:
                return
            if not found:
                time.sleep(_FOLLOW_S)
    finally:
        reader.close()


def _last(found: list[Entry], lines: int) -> list[Entry]:
    """The last lines of both streams together, each with all of its pieces: those of the other may be between."""
    whole: list[list[int]] = []
    under_way: dict[str, list[int]] = {}
    for at, entry in enumerate(found):
        under_way.setdefault(entry.stream, []).append(at)
        if entry.data.endswith(b"\n"):
            whole.append(under_way.pop(entry.stream))
    whole += sorted(under_way.values(), key=lambda pieces: pieces[-1])
    last = whole[len(whole) - min(lines, len(whole)) :]
    return [found[at] for at in sorted(at for pieces in last for at in pieces)]


def _all_of(path: str) -> list[Entry]:
    reader = _Reader(path)
    try:
        return reader.more()
    finally:
        reader.close()


class _Reader:
    """A file that grows, and is replaced by another when it is full."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def more(self) -> list[Entry]:
        """What has come since."""
        found: list[Entry] = []
        if self._file is None and not self._open():
            return found
        found += self._read()
        if self._replaced():
            found += self._read()
            self.close()
            if self._open():
                found += self._read()
        return found

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> bool:
        try:
            self._file = open(self._path, "rb")
        except FileNotFoundError:
            return False
        self._rest = b""
        return True

    def _replaced(self) -> bool:
        assert self._file is not None
        try:
            return os.stat(self._path).st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _read(self) -> list[Entry]:
        assert self._file is not None
        lines = (self._rest + self._file.read()).split(b"\n")
        self._rest = lines.pop()
        return [entry for entry in map(_parse, lines) if entry is not None]


def _parse(line: bytes) -> Entry | None:
    """None for what a full disk has torn."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or len(parts[0]) != 30 or parts[2] not in (b"F", b"P"):
        return None
    data = parts[3] + b"\n" * (parts[2] == b"F")
    return Entry(stamp=parts[0].decode("ascii", "replace"), stream=parts[1].decode("ascii", "replace"), data=data)
