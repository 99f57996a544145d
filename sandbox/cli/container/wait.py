"""``pysandbox wait CONTAINER...``"""

from __future__ import annotations

from .names import each, some


def main(words: list[str]) -> int:
    """A line with the exit status of each, in the order of the names, when it has ended."""
    _values, names = some("wait", words)
    return each(names, lambda container: container.wait(), show=True)
