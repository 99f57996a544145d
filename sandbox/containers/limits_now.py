"""Limits that a container is given while it runs: what was said, on top of what holds."""

from __future__ import annotations

from ..errors import RequestError
from ..units import parse_count, parse_cpus, parse_cpuset, parse_rate, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..spec import Limits

# As of Request -> (field of Limits, how it is read).
_FIELDS = {
    "mem": ("mem_bytes", parse_size),
    "swap": ("swap_bytes", parse_size),
    "pids": ("pids", lambda field, value: parse_count(field, value, 1)),
    "cpus": ("cpu_milli", parse_cpus),
    "cpuset": ("cpuset", parse_cpuset),
    "io_read": ("io_read", parse_rate),
    "io_write": ("io_write", parse_rate),
}
NAMES = tuple(_FIELDS)


def changed(limits: Limits, values: Mapping[str, Any]) -> Limits:
    """``limits`` with what is in ``values`` (fields of a Request) in place of what was there. Raises RequestError."""
    if not values:
        raise RequestError("update", "", f"name a limit to change: {', '.join(map(_flag, NAMES))}")
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _FIELDS:
            raise RequestError("update", name, f"what can be changed is {', '.join(map(_flag, NAMES))}")
        field, parse = _FIELDS[name]
        found[field] = parse(_flag(name), value)
    if found.get("mem_bytes") == 0:
        raise RequestError("--mem", values["mem"], "nothing can run without memory")
    if found.get("swap_bytes") and found.get("mem_bytes", limits.mem_bytes) is None:
        raise RequestError("--swap", values["swap"], "goes with --mem")
    return limits.replace(**found, asked=limits.asked | set(values))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def as_words(limits: Limits) -> dict[str, Any]:
    """For JSON: the limits that hold, bytes, nanoseconds and counts."""
    words: dict[str, Any] = {}
    for name, value in limits.asdict().items():
        if name != "asked" and value is not None:
            words[name] = value.asdict() if hasattr(value, "asdict") else value
    return words
