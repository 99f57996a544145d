"""How many CPUs a program is shown, and which of them it runs on."""

from __future__ import annotations

from ..units import cpus_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from ..spec import Limits


def affinity(limits: Limits, allowed: Sequence[int], position: int) -> tuple[int, ...]:
    """The program's affinity mask; () leaves it as the caller's is.

    ``--cpuset`` is taken as it is. A whole number of ``--cpus`` becomes that many CPUs out of those, or out of
    ``allowed`` (the caller's), from ``position`` on around the list, so that sandboxes that run at the same
    time are spread. A fraction is a share of time and no number of CPUs: nothing is pinned for it.
    """
    base = cpus_of(limits.cpuset) if limits.cpuset else tuple(allowed)
    count = whole(limits)
    if not count or count >= len(base):
        return base if limits.cpuset else ()
    return tuple(sorted(base[(position + n) % len(base)] for n in range(count)))


def whole(limits: Limits) -> int:
    """The whole number of CPUs that ``--cpus`` asks for; 0 if it asks for none, or for a fraction."""
    milli = limits.cpu_milli or 0
    return 0 if milli % 1000 else milli // 1000


def shown(limits: Limits, allowed: int, enforced: Container[str]) -> int | None:
    """How many CPUs the figures show; None where nothing limits them.

    Those of ``--cpuset``; ``--cpus`` rounded up; of both the smaller. A limit that nothing enforces
    (best effort) is not shown, unless the affinity mask follows it all the same.
    """
    counted = limits.cpu_milli is not None and ("cpus" in enforced or whole(limits) > 0)
    if limits.cpuset is None and not counted:
        return None
    count = len(cpus_of(limits.cpuset)) if limits.cpuset else allowed
    if counted:
        count = min(count, -(-(limits.cpu_milli or 0) // 1000))
    return max(1, count)
