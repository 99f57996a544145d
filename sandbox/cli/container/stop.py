"""``pysandbox stop CONTAINER...``"""

from __future__ import annotations

from ...units import parse_duration
from .names import each, some

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...containers import Container


def main(words: list[str]) -> int:
    """The stop signal to each, a grace, the kill. One that has ended already is fine, as for docker and podman."""
    values, names = some("stop", words)
    grace = values.get("time")
    if grace is not None and grace != "0":
        parse_duration("--time", grace)

    def stop(container: Container) -> None:
        if container.running:
            container.stop(grace if grace is not None else container.config.options.get("grace"))

    return each(names, stop)
