"""Tables of texts for people, and how long ago something was."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GAP = 3
_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (7, "day"), (1 << 30, "week"))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what is in them; the last one is not filled up."""
    lines = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "".join(f"{line}\n" for line in _padded(lines, widths))


def _padded(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for line in lines:
        yield "".join(f"{cell:<{width + GAP}}" for cell, width in zip(line, widths, strict=True)).rstrip()


def clean(text: str) -> str:
    """Names and words of a container's: nothing in them is for the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short(text: str, width: int) -> str:
    """At most so many characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def age(then_ns: int | None, now_ns: int | None = None) -> str:
    """``3 minutes``: since a time in nanoseconds since the epoch, rounded down; "" for never."""
    if then_ns is None:
        return ""
    count = max(0, ((time.time_ns() if now_ns is None else now_ns) - then_ns) // 1_000_000_000)
    for step, name in _STEPS:
        if count < step:
            return f"{count} {name}{'' if count == 1 else 's'}"
        count //= step
    raise AssertionError("the last step has no end")


def size(count: int | float) -> str:
    """``1.5M``: three digits that count, powers of 1024."""
    value = float(count)
    for unit in ("B", "K", "M", "G", "T"):
        if value < 999.5 or unit == "T":
            return f"{value:.0f}{unit}" if unit == "B" or value >= 99.95 else f"{value:.1f}{unit}"
        value /= 1024
    raise AssertionError("T takes what is left")
