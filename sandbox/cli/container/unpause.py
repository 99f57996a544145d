"""``pysandbox unpause CONTAINER...``"""

from __future__ import annotations

from .names import each, some


def main(words: list[str]) -> int:
    """Let each go on."""
    _values, names = some("unpause", words)
    return each(names, lambda container: container.call("unpause"))
