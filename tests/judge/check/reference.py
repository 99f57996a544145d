"""The comparisons as one would write them without a thought for size: what the native ones are tested against."""

from __future__ import annotations

import math
import re

WHITE = rb"[ \t\n\v\f\r]+"
NUMBER = re.compile(rb"[+-]?([0-9]*\.[0-9]+|[0-9]+\.|[0-9]+)([Ee][+-]?[0-9]+)?")
LONGEST = 1024


def number(token: bytes) -> float | None:
    if len(token) > LONGEST or not NUMBER.fullmatch(token):
        return None
    value = float(token)
    return value if math.isfinite(value) else None


def same_token(got: bytes, want: bytes, *, case: bool, absolute: float | None, relative: float | None) -> bool:
    expected = number(want) if absolute is not None or relative is not None else None
    if expected is not None:
        found = number(got)
        if found is None:
            return False
        off = abs(expected - found)
        near = absolute is not None and off <= absolute
        return near or (relative is not None and off <= relative * abs(expected))
    return got == want if case else got.lower() == want.lower()


def gaps(data: bytes) -> list[bytes]:
    """White space before, between and after the tokens."""
    return re.split(rb"[^ \t\n\v\f\r]+", data)


def tokens(
    got: bytes, want: bytes, *, case: bool = False, space: bool = False, line: bool = False,
    absolute: float | None = None, relative: float | None = None,
) -> bool:  # fmt: skip
    mine, theirs = got.split(), want.split()
    if len(mine) != len(theirs):
        return False
    if space and gaps(got) != gaps(want):
        return False
    if line:
        ends = [[bool(re.search(rb"[\r\n]", gap)) for gap in gaps(data)[1:-1]] for data in (got, want)]
        if ends[0] != ends[1]:
            return False
    return all(
        same_token(a, b, case=case, absolute=absolute, relative=relative) for a, b in zip(mine, theirs, strict=True)
    )


def stripped(data: bytes) -> bytes:
    return b"\n".join(line.rstrip(b" \t\n\v\f\r") for line in data.split(b"\n")).rstrip(b"\n")


def sorted_lines(data: bytes) -> list[list[bytes]]:
    return sorted(line.split() for line in data.replace(b"\r", b"\n").split(b"\n") if line)
