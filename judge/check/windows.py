"""Two files through two windows: what the native comparison is driven by. Memory does not depend on their size."""

from __future__ import annotations

import os
from typing import Any

from ..native._compare import ffi, lib

# Large enough that the calls do not count, small enough that both windows stay in a core's cache.
WINDOW = 256 << 10


class Window:
    """A stretch of a file, read by pread: the position of the fd does not matter and does not change."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._file_size = os.fstat(fd).st_size
        self._buffer = bytearray(min(WINDOW, self._file_size + 1))
        self._view = memoryview(self._buffer)
        self._data = ffi.from_buffer("uint8_t[]", self._buffer)
        self._at = self._low = self._high = 0
        self.end = False
        self.seek(0)

    @property
    def data(self) -> Any:
        """uint8_t *"""
        return self._data + self._low

    @property
    def size(self) -> int:
        return self._high - self._low

    def seek(self, at: int) -> None:
        """Start at this offset of the file, with JC_NEED bytes at least, or with all that is left."""
        if self._at <= at <= self._at + self.size:
            self._low += at - self._at
        else:
            self._low = self._high = 0
            self.end = False
        self._at = at
        if self.size < lib.JC_NEED and not self.end:
            self._fill()

    def _fill(self) -> None:
        kept = self.size
        self._buffer[:kept] = self._buffer[self._low : self._high]
        self._low, self._high = 0, kept
        while self._high < len(self._buffer):
            got = os.preadv(self._fd, [self._view[self._high :]], self._at + self._high)
            self._high += got
            if not got or self._at + self._high >= self._file_size:
                self.end = True
                return


class Truncated(Exception):
    """A file became shorter while it was read."""


def walk(step: Any, state: Any, output: int, answer: int) -> int:
    """Calls ``step`` (jc_tokens or jc_stripped) over both files until it says something; returns what."""
    mine, theirs = Window(output), Window(answer)
    while True:
        before = (state.output_at, state.answer_at, state.phase)
        ended = mine.end and theirs.end
        said: int = step(state, mine.data, mine.size, mine.end, theirs.data, theirs.size, theirs.end)
        if said != lib.JC_MORE:
            return said
        if ended and before == (state.output_at, state.answer_at, state.phase):
            raise Truncated
        mine.seek(state.output_at)
        theirs.seek(state.answer_at)


def chunks(fd: int, until: int | None = None) -> Any:
    """(uint8_t *, size) of a file in order, up to the offset ``until``."""
    buffer = bytearray(WINDOW)
    view, data, at = memoryview(buffer), ffi.from_buffer("uint8_t[]", buffer), 0
    while until is None or at < until:
        room = WINDOW if until is None else min(WINDOW, until - at)
        got = os.preadv(fd, [view[:room]], at)
        if not got:
            return
        yield data, got
        at += got


def place(fd: int, at: int, *, next_token: bool = False) -> tuple[int, int]:
    """Line and token, both from 1, of the byte at this offset, or of the next token that would start there."""
    found = ffi.new("struct jc_place *")
    for data, size in chunks(fd, at):
        lib.jc_locate(found, data, size)
    return found.line + 1, found.token + 1 + (found.inside if next_token else 0)


def token_at(fd: int, at: int, limit: int = 101) -> bytes:
    """The start of the token at this offset, b"" if there is none."""
    words = os.pread(fd, limit, at).split(maxsplit=1)
    return words[0] if words else b""
