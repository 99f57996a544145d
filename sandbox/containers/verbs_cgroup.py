"""Verbs that need the container's cgroup: pause, unpause, stats, update."""

from __future__ import annotations

import time

from ..errors import RequestError
from .limits_now import as_words, changed
from .model import PAUSED, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..spec import Limits
    from .monitor import Ask, Monitor


def pause(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """All of its processes stand still, until ``unpause``."""
    state = monitor.held.state.state
    if state != RUNNING:
        raise RequestError("container", monitor.held.state.name, f"is {state} and cannot be paused")
    monitor.running.leaf.freeze()
    monitor.held.update(state=PAUSED)
    return {}


def unpause(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """They go on."""
    state = monitor.held.state.state
    if state != PAUSED:
        raise RequestError("container", monitor.held.state.name, f"is {state} and not paused")
    thaw(monitor)
    return {}


def thaw(monitor: Monitor) -> None:
    """Whatever is to end has to run."""
    if monitor.held.state.state == PAUSED:
        monitor.running.leaf.thaw()
        monitor.held.update(state=RUNNING)


def _limits(monitor: Monitor) -> Limits:
    """Those that hold: of the start, and what ``update`` has changed."""
    limits, since = monitor.running.spec.limits, monitor.held.state.limits
    return changed(limits, since) if since else limits


def stats(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """What it uses: of the cgroup, with the time in nanoseconds of the monotonic clock, and the limits that hold."""
    found: Mapping[str, Any] = monitor.running.leaf.stats()
    return {**{name: value for name, value in found.items() if value is not None},
            "time_ns": time.monotonic_ns(), "limits": as_words(_limits(monitor)), "net": network(monitor)}  # fmt: skip


def network(monitor: Monitor) -> dict[str, int]:
    """Bytes that its network has carried, loopback left out; {} for what is not its own."""
    pid = monitor.held.state.pid
    if monitor.held.config.net == "host" or pid is None:
        return {}
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii", errors="replace") as file:
            return carried(file.read())
    except OSError:  # it has ended, or /proc shows us no others
        return {}


def carried(text: str) -> dict[str, int]:
    """Of a /proc/net/dev."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _colon, figures = line.partition(":")
        words = figures.split()
        if name.strip() != "lo" and len(words) >= 9:
            received, sent = received + int(words[0]), sent + int(words[8])
    return {"received_bytes": received, "sent_bytes": sent}


def update(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """``limits``: fields of a Request. They hold at once, and from now on in ``inspect`` and ``stats``."""
    values = ask.words.get("limits")
    if not isinstance(values, dict):
        raise RequestError("limits", values, "expected an object")
    limits = changed(_limits(monitor), values)
    monitor.running.leaf.update(limits)
    monitor.held.update(limits={**monitor.held.state.limits, **values})
    return {"limits": as_words(limits)}
