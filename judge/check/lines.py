"""Lines in any order, or each for its share: DMOJ's sorted, unordered, easy, linecount and linematches.

Lines end at CR or LF; empty ones do not count.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from itertools import zip_longest

from ..facts import ACCEPT, PARTIAL, REJECT, CheckFacts
from ..native._compare import ffi, lib
from . import options
from .visible import visible
from .windows import WINDOW, chunks

SMALL = 1 << 20  # of files up to here a message names the piece that differs
WHITE = b" \t\n\v\f\r"


def compare(wanted: options.Lines, output: int, answer: int) -> CheckFacts:
    if wanted.partial or wanted.distribution is not None:
        return _shares(wanted, output, answer)
    if wanted.split_on == "characters":
        return _characters(output, answer)
    return _unordered(wanted.split_on, output, answer)


def _unordered(split_on: str, output: int, answer: int) -> CheckFacts:
    by = "lines in any order" if split_on == "lines" else "tokens in any order"
    # One key for both sums and for nothing else: nobody can have prepared an output for it.
    key = os.urandom(16)
    mine, theirs = _sum(split_on, key, output), _sum(split_on, key, answer)
    if mine == theirs:
        return CheckFacts(ACCEPT, by)
    what = "lines" if split_on == "lines" else "tokens"
    message = f"expected {theirs[2]} {what}, got {mine[2]}" if mine[2] != theirs[2] else f"other {what} than expected"
    if max(os.fstat(output).st_size, os.fstat(answer).st_size) <= SMALL:
        got, want = (_pieces(split_on, os.pread(fd, SMALL, 0)) for fd in (output, answer))
        more, less = next(iter(got - want), None), next(iter(want - got), None)
        message += f'; not expected: "{visible(more)}"' if more is not None else ""
        message += f'; missing: "{visible(less)}"' if less is not None else ""
    return CheckFacts(REJECT, by, message=message)


def _sum(split_on: str, key: bytes, fd: int) -> tuple[int, int, int]:
    state = ffi.new("struct jc_sum *")
    state.by = lib.JC_BY_LINE if split_on == "lines" else lib.JC_BY_TOKEN
    state.key[0], state.key[1] = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    lib.jc_sum_start(state)
    for data, size in chunks(fd):
        lib.jc_sum_add(state, data, size)
    lib.jc_sum_end(state)
    return state.sum[0], state.sum[1], state.pieces


def _pieces(split_on: str, data: bytes) -> Counter[bytes]:
    if split_on == "whitespace":
        return Counter(data.split())
    return Counter(b" ".join(line.split()) for line in data.replace(b"\r", b"\n").split(b"\n") if line)


def _characters(output: int, answer: int) -> CheckFacts:
    by = "characters in any order, without case"
    mine, theirs = _letters(output), _letters(answer)
    if mine == theirs:
        return CheckFacts(ACCEPT, by)
    off = sorted(code for code in mine.keys() | theirs.keys() if mine[code] != theirs[code])[0]
    shown = visible(bytes([off]))
    return CheckFacts(REJECT, by, message=f'expected {theirs[off]} times "{shown}", got {mine[off]}')


def _letters(fd: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for data, size in chunks(fd):
        found.update(bytes(ffi.buffer(data, size)).lower().translate(None, WHITE))
    return found


def _shares(wanted: options.Lines, output: int, answer: int) -> CheckFacts:
    """linecount: a line is right if it is the same but for white space around it, and more lines than expected are
    wrong. linematches (a distribution is given): it must be the same, byte for byte."""
    by = "lines, each for its share"
    weights = wanted.distribution
    right = total = 0.0
    got_lines = want_lines = 0
    where = ""
    for got, want in zip_longest(_read(output, weights is None), _read(answer, weights is None)):
        got_lines += got is not None
        want_lines += want is not None
        if want is None:
            if weights is None or wanted.filler_lines_required:
                return CheckFacts(REJECT, by, multiplier=0.0, message="more lines than expected")
            continue
        if weights is not None and want_lines > len(weights):
            break
        weight = weights[want_lines - 1] if weights is not None else 1.0
        total += weight
        right += weight if got == want else 0.0
        where = where or ("" if got == want else f"line {want_lines}")
    if weights is not None and want_lines != len(weights):
        raise options.OptionError(f"distribution: {len(weights)} numbers for an answer of another number of lines")
    if weights is not None and wanted.filler_lines_required and got_lines != want_lines:
        return CheckFacts(REJECT, by, multiplier=0.0, message=f"expected {want_lines} lines, got {got_lines}")
    share = right / total if total else 1.0
    if share == 1.0:
        return CheckFacts(ACCEPT, by)
    message = f"{right:g} of {total:g}"
    return CheckFacts(PARTIAL if share else REJECT, by, multiplier=share, where=where, message=message)


def _read(fd: int, strip: bool) -> Iterator[tuple[bool, bytes]]:
    """Lines that are not empty. (True, digest) stands for one that is longer than a window, white space included."""
    line, digest = b"", None
    for data, size in chunks(fd):
        first, *more = bytes(ffi.buffer(data, size)).replace(b"\r", b"\n").split(b"\n")
        for index, part in enumerate([first, *more]):
            if index:
                if digest or line:
                    yield (True, digest.digest()) if digest else (False, line.strip() if strip else line)
                line, digest = part, None
            elif digest:
                digest.update(part)
            else:
                line += part
        if len(line) > WINDOW and digest is None:
            line, digest = b"", blake2b(line)
    if digest or line:
        yield (True, digest.digest()) if digest else (False, line.strip() if strip else line)
