"""``pysandbox pause CONTAINER...``"""

from __future__ import annotations

from .names import each, some


def main(words: list[str]) -> int:
    """Freeze each."""
    _values, names = some("pause", words)
    return each(names, lambda container: container.call("pause"))
