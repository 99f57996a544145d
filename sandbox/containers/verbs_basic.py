"""Verbs that every container needs: how it is, its end, signals."""

from __future__ import annotations

from time import monotonic_ns

from .. import result as words
from ..errors import RequestError
from ..units import format_duration, parse_duration
from .model import PAUSED
from .verbs import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .monitor import Ask, Monitor

DEFAULT_GRACE_NS = 10_000_000_000  # Docker's
KILL = 9


def state(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """Its state, as it is written down."""
    return monitor.held.state.asdict()


def wait(monitor: Monitor, ask: Ask) -> None:
    """Answered at the end: exit_status, outcome."""
    monitor.waiting.append(ask)


def signal(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """``signal``: a number. 9 is the end of all of it; any other goes to the program."""
    number = _number(ask.words.get("signal"))
    send(monitor, number, f"killed by signal {number}, as asked")
    return {}


def stop(monitor: Monitor, ask: Ask) -> None:
    """``signal`` (default: the container's own), ``grace`` (a duration, 10 s), then the kill; answered at the end."""
    number = ask.words.get("signal")
    number = _number(number) if number is not None else monitor.prepared.stop_signal
    asked = ask.words.get("grace")
    grace = DEFAULT_GRACE_NS if asked is None else parse_duration("grace", asked) if asked not in (0, "0") else 0
    monitor.waiting.append(ask)
    why = f"still there {format_duration(grace)} after the stop signal" if grace else "stopped without a grace"
    monitor.at(monotonic_ns() + grace, lambda: monitor.running.supervision.kill(words.INTERRUPTED, why))
    if monitor.held.state.state == PAUSED:
        from .verbs_cgroup import thaw

        thaw(monitor)
    if grace:
        send(monitor, number, "stopped by SIGKILL, which is its stop signal")


def network(monitor: Monitor, ask: Ask) -> Answer:
    """Its network for another container: fds of the user namespace and of the network namespace, hosts, resolv."""
    place = monitor.running.place()
    made = monitor.prepared.network
    words = {"hosts": {}, "resolv": ""}
    if made is not None:
        words = {"hosts": {name: list(addresses) for name, addresses in made.hosts.items()},
                 "resolv": made.resolv.decode("utf-8", "surrogateescape")}  # fmt: skip
    return Answer(words, (place.user_fd, place.net_fd))


def send(monitor: Monitor, number: int, why: str) -> None:
    """Send the program a signal; 9 ends the container."""
    if number == KILL:
        monitor.running.supervision.kill(words.INTERRUPTED, why)
    else:
        monitor.running.supervision.signal(number)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65:
        raise RequestError("signal", value, "expected a number from 1 to 64")
    return value
