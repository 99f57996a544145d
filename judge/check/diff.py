"""Where an output of a sample test leaves its answer, for a person. Never for secret data."""

from __future__ import annotations

import os

from ..native._compare import ffi, lib
from .visible import visible
from .windows import WINDOW, chunks

LINE = 120  # bytes of a line that are shown
BEFORE = 40  # of them at most so many before the difference


def diff(output_fd: int, answer_fd: int) -> str:
    """The first line that differs, as expected and as got, "" if the files are the same. Control characters are shown
    as escapes; a long line is cut around the difference. Both fds are read by pread."""
    at = _common(output_fd, answer_fd)
    ends = tuple(os.fstat(fd).st_size == at for fd in (output_fd, answer_fd))
    if all(ends):
        return ""
    line, start = _line(output_fd, at)
    first = start if at - start <= BEFORE else at - BEFORE
    shown = []
    for word, fd in (("expected", answer_fd), ("got", output_fd)):
        text = os.pread(fd, LINE + 1, first)
        text = text[: end + 1] if (end := text.find(b"\n")) >= 0 else text
        dots = "..." if first > start else ""
        shown.append(f"{word:8} {dots}{visible(text, LINE)}" if text else f"{word:8} (end of file)")
    return "\n".join([f"line {line}:", *shown])


def _common(a: int, b: int) -> int:
    mine, theirs = bytearray(WINDOW), bytearray(WINDOW)
    at = 0
    while True:
        size = min(os.preadv(a, [mine], at), os.preadv(b, [theirs], at))
        same: int = lib.jc_common(ffi.from_buffer("uint8_t[]", mine), ffi.from_buffer("uint8_t[]", theirs), size)
        at += same
        if same < size or not size:
            return at


def _line(fd: int, at: int) -> tuple[int, int]:
    """Number, from 1, and offset of the line that holds the byte at this offset."""
    number, start, seen = 1, 0, 0
    for data, size in chunks(fd, at):
        part = bytes(ffi.buffer(data, size))
        if ends := part.count(b"\n"):
            number += ends
            start = seen + part.rindex(b"\n") + 1
        seen += size
    return number, start
