"""``pysandbox update LIMITS CONTAINER...``"""

from __future__ import annotations

from .names import each, some


def main(words: list[str]) -> int:
    """Other limits for each."""
    values, names = some("update", words)
    from ...containers.limits_now import changed
    from ...spec import Limits

    changed(Limits(mem_bytes=1 << 62), values)  # wrong words are wrong for all of them
    return each(names, lambda container: container.call("update", limits=values))
