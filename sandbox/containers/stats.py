"""What running containers use, from two looks at their counters."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Use(Record):
    """Of one container between two looks, or since its start. ``cpu``: CPUs in use, 1.0 is one of them wholly.

    Bytes; None where this host does not count it, or nothing is limited."""

    cpu: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    pids: int | None = None
    pids_limit: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    oom_kills: int | None = None

    @property
    def memory_share(self) -> float | None:
        """Of its limit, from 0 to 1."""
        if self.memory_bytes is None or not self.memory_limit_bytes:
            return None
        return self.memory_bytes / self.memory_limit_bytes


def use(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> Use:
    """From two answers of the verb ``stats``; without ``before`` there is no rate."""
    limits, net = now.get("limits", {}), now.get("net", {})
    return Use(
        cpu=_rate(now, before), memory_bytes=now.get("memory_bytes"), memory_limit_bytes=limits.get("mem_bytes"),
        pids=now.get("pids"), pids_limit=limits.get("pids"), received_bytes=net.get("received_bytes"),
        sent_bytes=net.get("sent_bytes"), oom_kills=now.get("oom_kills"),
    )  # fmt: skip


def _rate(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> float | None:
    if before is None or now.get("cpu_ns") is None or before.get("cpu_ns") is None:
        return None
    elapsed = now["time_ns"] - before["time_ns"]
    # a counter of many CPUs is read while it is written, and may seem to go back
    return float(max(0, now["cpu_ns"] - before["cpu_ns"]) / elapsed) if elapsed > 0 else None
