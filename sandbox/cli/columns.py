"""Aligned columns of plain text, for the lists that commands print."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def columns(rows: Sequence[Sequence[object]], headers: Sequence[str], right: Sequence[str] = ()) -> list[str]:
    """One line for the headers and one a row; ``right`` names the headers of columns of figures.

    A control character in a cell is shown as an escape: what a terminal reads is ours alone.
    """
    table = [list(headers), *([_plain(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in table) for n in range(len(headers))]
    to_the_right = [header in right for header in headers]
    lines = []
    for row in table:
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, to_the_right, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def human(size: int) -> str:
    """Bytes for the eye: ``512``, ``1.9M``; units are powers of 1024."""
    amount, units = float(size), "KMGTP"
    if size < 1024:
        return str(size)
    for unit in units:
        amount /= 1024
        if amount < 999.95 or unit == units[-1]:
            break
    return f"{amount:.1f}{unit}"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
