"""``linux.resources`` -> limits. config-linux.md, "Control groups".

Each becomes a limit of the sandbox, with the same enforcement and the same error where nothing enforces it. What has no
counterpart is refused: a limit that is not kept is worse than a container that does not start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reader import Node

_CPU_PERIOD_US = 100_000  # the kernel's default
_NO_COUNTERPART = "no such limit is known here; leave it out"


def limits(resources: Node) -> dict[str, Any]:
    """Fields of the Request; a limit of -1, or of 0 for pids, is none."""
    values = {**_memory(resources.node("memory")), **_cpu(resources.node("cpu")), **_pids(resources.node("pids"))}
    _block_io(resources.node("blockIO"))
    for key in ("hugepageLimits", "network", "rdma", "unified"):
        if resources.data.get(key):
            resources.fail(key, _NO_COUNTERPART)
    # A sandbox has the devices of its own /dev and no way to make others: less than any rule here can leave it.
    for node in resources.nodes("devices"):
        node.flag("allow")
        if node.text("type", "a") not in ("a", "b", "c"):
            node.fail("type", "expected a, b or c")
    return values


def _memory(node: Node) -> dict[str, Any]:
    values: dict[str, Any] = {}
    limit, swap = node.number("limit"), node.number("swap")
    if limit > 0:
        values["mem"] = limit
    if swap > 0:  # memory and swap together
        if limit <= 0 or swap < limit:
            node.fail("swap", "counts memory and swap together: give a memory limit that is not more", swap)
        values["swap"] = swap - limit
    elif swap == -1 and limit > 0:
        node.fail("swap", "swap without a limit beside a limit of memory cannot be had", swap)
    for key in ("reservation", "kernel", "kernelTCP"):
        if node.number(key) > 0:
            node.fail(key, _NO_COUNTERPART)
    if node.has("swappiness"):
        node.fail("swappiness", _NO_COUNTERPART)
    if node.flag("disableOOMKiller"):
        node.fail("disableOOMKiller", "a program at its memory limit is always killed")
    return values


def _cpu(node: Node) -> dict[str, Any]:
    values: dict[str, Any] = {}
    quota, period = node.number("quota"), node.number("period") or _CPU_PERIOD_US
    if quota > 0:
        if period < 0:
            node.fail("period", "expected microseconds", period)
        values["cpus"] = f"{quota / period:.3f}"
    if cpus := node.text("cpus"):
        values["cpuset"] = cpus
    if node.text("mems"):
        node.fail("mems", _NO_COUNTERPART)
    if node.number("shares") not in (0, 1024):  # the kernel's default
        node.fail("shares", _NO_COUNTERPART)
    for key in ("realtimeRuntime", "realtimePeriod", "idle", "burst"):
        if node.number(key):
            node.fail(key, _NO_COUNTERPART)
    return values


def _pids(node: Node) -> dict[str, Any]:
    limit = node.number("limit")
    return {"pids": limit} if limit > 0 else {}


def _block_io(node: Node) -> None:
    for key in ("weight", "leafWeight"):
        if node.number(key):
            node.fail(key, _NO_COUNTERPART)
    for key in ("weightDevice", "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice",
                "throttleWriteIOPSDevice"):  # fmt: skip
        if node.nodes(key):
            node.fail(key, "limits for one device cannot be had; leave them out")
