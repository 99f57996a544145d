"""The kernel pipes between two runs, and who holds which end how long.

Each program gets its ends from the first exec on (``HandOver``); no byte passes the judge while both run. The judge
keeps a copy of each end, for three reasons (problemtools, support/interactive/interactive.cc, keeps the writing ends
for the first of them):

- While the judge holds the writing end of a program's output, its partner sees the end of input only after that
  program's end has been noted. So the end that was caused is always the later one, and no race decides the verdict.
- While the judge holds the reading end, a program that writes to a partner that has gone gets no SIGPIPE: what it
  writes is read and thrown away. Interactors need not handle SIGPIPE, and last words hurt nobody.
- A program that closes its output itself, to tell its partner so, is heard as well: the writing ends are given up
  (``release``) after a while, halfway to the wall limit. From then on the time of both ends tells who was first.
"""

from __future__ import annotations

import fcntl
import os

# What packages are tried with (problemtools); the kernel's own size is 64 KiB.
SIZE_BYTES = 1 << 20


class Pipe:
    """One direction. ``reader`` and ``writer`` are closed once, whoever comes first; -1 then."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        self.dropped = 0
        try:
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, SIZE_BYTES)
        except PermissionError:  # pipe(7): the user has too many pages in pipes; a small one is a pipe as well
            pass

    def release(self) -> None:
        """Give up the writing end."""
        fd, self.writer = self.writer, -1
        _close(fd)

    def close_reader(self) -> None:
        fd, self.reader = self.reader, -1
        _close(fd)

    def close(self) -> None:
        self.release()
        self.close_reader()

    def drop(self) -> bool:
        """Read a chunk and throw it away, without waiting. False at the end of it."""
        try:
            data = os.read(self.reader, 65536)
        except BlockingIOError:
            return True
        self.dropped += len(data)
        return bool(data)


class Tail:
    """What a program writes to stderr: the first ``keep`` bytes are kept, the rest is read and thrown away."""

    def __init__(self, keep: int) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        self.keep, self.data = keep, bytearray()

    def read(self) -> bool:
        """Take a chunk, without waiting. False if there is nothing now."""
        try:
            chunk = os.read(self.reader, 65536)
        except BlockingIOError:
            return False
        self.data += chunk[: self.keep - len(self.data)]
        return bool(chunk)

    def close(self) -> None:
        for fd in (self.reader, self.writer):
            _close(fd)
        self.reader = self.writer = -1


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
