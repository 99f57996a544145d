"""Signals by name or number, as images and people write them: TERM, SIGTERM, 15, SIGRTMIN+3."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]

from ..errors import RequestError


def signal_number(field: str, text: str | int) -> int:
    """Raises RequestError for what is no signal."""
    word = str(text).strip().upper()
    if word.isascii() and word.isdigit():
        if 0 < int(word) < 65:
            return int(word)
    else:
        name, plus, more = word.partition("+")
        name = name if name.startswith("SIG") else f"SIG{name}"
        number = getattr(_signal, name, None)
        if name.isidentifier() and "_" not in name and isinstance(number, int) and (not plus or more.isdigit()):
            number = int(number) + (int(more) if plus else 0)
            if 0 < number < 65 and (not plus or name == "SIGRTMIN"):
                return number
    raise RequestError(field, text, "expected a signal: TERM, SIGTERM, or a number from 1 to 64")
