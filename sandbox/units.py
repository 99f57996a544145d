"""Sizes, durations and counts: text to int and back. Nothing else in the project parses units.

Sizes are bytes; suffixes K, M, G, T are powers of 1024, with or without ``B``/``iB`` (as Docker
and systemd read them). Durations are nanoseconds; suffixes ns, us, ms, s, m, h; a bare number is
seconds. Python numbers are taken as bytes and as seconds. Rates are bytes or operations a second.
"""

from __future__ import annotations

from .errors import RequestError
from .record import Record

_SIZE = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TIME_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "": 1_000_000_000,
            "m": 60_000_000_000, "h": 3_600_000_000_000}  # fmt: skip

# The kernel keeps limits in signed 64-bit counters; half of that leaves room for sums.
MAX_BYTES = 1 << 62
MAX_NS = 1 << 62
UNLIMITED = -1

# A page a second: less would hold back for hours what the kernel reads or writes at once (up to 1 MiB).
MIN_RATE_BYTES = 4096
# v1 keeps operations in 32 bits and cuts off the rest without a word; the largest number means no limit.
MAX_RATE_OPS = (1 << 32) - 2

_DIGITS = frozenset("0123456789")


def _split(field: str, value: str) -> tuple[str, str, str]:
    """("1.50Ms") -> ("1", "50", "ms"): whole digits, fraction digits, suffix in lower case."""
    text = value.strip()
    end = 0
    while end < len(text) and (text[end] in _DIGITS or text[end] == "."):
        end += 1
    whole, _, fraction = text[:end].partition(".")
    if not (whole or fraction) or not set(whole + fraction) <= _DIGITS or len(text) > 40:
        raise RequestError(field, value, "expected a number with an optional unit")
    return whole or "0", fraction, text[end:].strip().lower()


def _scaled(field: str, value: str, unit: int, whole: str, fraction: str) -> int:
    # Integers all the way: a float would turn "0.1s" times 10**9 into a neighbour of the truth.
    return int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def parse_size(field: str, value: int | str) -> int:
    """Bytes of ``256M``, ``1.5GiB``, ``4096``. Raises RequestError naming ``field``."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise RequestError(field, value, "expected bytes as an int, or a text such as 256M")
    if isinstance(value, int):
        size = value
    else:
        whole, fraction, suffix = _split(field, value)
        letter = suffix.removesuffix("ib") if suffix.endswith("ib") else suffix.removesuffix("b")
        if letter not in _SIZE:
            raise RequestError(field, value, "unknown size unit; use K, M, G or T")
        size = _scaled(field, value, _SIZE[letter], whole, fraction)
    if not 0 <= size <= MAX_BYTES:
        raise RequestError(field, value, "out of range (0 to 2^62 bytes)")
    return size


def parse_duration(field: str, value: int | float | str) -> int:
    """Nanoseconds of ``1.5s``, ``200ms``, ``2m``; bare numbers are seconds. Raises RequestError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RequestError(field, value, "expected seconds as a number, or a text such as 1.5s")
    if isinstance(value, str):
        whole, fraction, suffix = _split(field, value)
        if suffix not in _TIME_NS:
            raise RequestError(field, value, "unknown time unit; use ns, us, ms, s, m or h")
        ns = _scaled(field, value, _TIME_NS[suffix], whole, fraction)
    elif value != value or abs(value) > MAX_NS:  # so large that a product with 10^9 may be infinite
        raise RequestError(field, value, "expected a finite number of seconds, at most 146 years")
    else:
        ns = int(value * 1_000_000_000) if isinstance(value, float) else value * 1_000_000_000
    if not 0 < ns <= MAX_NS:
        raise RequestError(field, value, "out of range (more than 0, at most 146 years)")
    return ns


def parse_count(field: str, value: int | str, low: int = 0, high: int = 1 << 31) -> int:
    """A whole number between ``low`` and ``high``, both included. Raises RequestError."""
    number = value
    if isinstance(number, str):
        text = number.strip()
        if not text or not set(text) <= _DIGITS or len(text) > 20:
            raise RequestError(field, value, "expected a whole number")
        number = int(text)
    if isinstance(number, bool) or not isinstance(number, int):
        raise RequestError(field, value, "expected a whole number")
    if not low <= number <= high:
        raise RequestError(field, value, f"out of range ({low} to {high})")
    return number


class Rate(Record):
    """Bytes and operations a second; None = not limited, and at least one of them is."""

    bytes_per_s: int | None = None
    ops_per_s: int | None = None


def parse_rate(field: str, value: int | str) -> Rate:
    """Bytes a second (``10M`` or an int), operations a second (``500iops``), or both (``10M,500iops``).

    Raises RequestError naming ``field``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise RequestError(field, value, "expected bytes a second as an int, or a text such as 10M or 10M,500iops")
    found: dict[str, int] = {}
    for part in value.split(",") if isinstance(value, str) else (value,):
        ops = part.strip().lower() if isinstance(part, str) else ""
        if ops.endswith("iops"):
            name, number = "ops_per_s", parse_count(field, ops.removesuffix("iops"), 1, MAX_RATE_OPS)
        else:
            name, number = "bytes_per_s", parse_size(field, part)
            if number < MIN_RATE_BYTES:
                raise RequestError(field, value, f"too small: at least {MIN_RATE_BYTES} bytes a second")
        if name in found:
            raise RequestError(field, value, "expected one number of bytes and one of operations (10M,500iops)")
        found[name] = number
    return Rate(**found)


def parse_cpus(field: str, value: int | float | str) -> int:
    """CPUs in thousandths: ``1.5`` -> 1500 (cfs quotas are no finer). Raises RequestError."""
    if isinstance(value, str):
        whole, fraction, suffix = _split(field, value)
        if suffix:
            raise RequestError(field, value, "expected a number of CPUs such as 1.5")
        milli = _scaled(field, value, 1000, whole, fraction)
    elif isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) > 1e6:
        raise RequestError(field, value, "expected a number of CPUs such as 1.5")
    else:
        milli = int(value * 1000)
    if not 10 <= milli <= 1_000_000:
        raise RequestError(field, value, "out of range (0.01 to 1000 CPUs)")
    return milli


def parse_cpuset(field: str, value: str) -> str:
    """A canonical CPU list: ``1,0,2-3`` -> ``0-3`` (cpuset(7) list format). Raises RequestError."""
    if not isinstance(value, str) or not value or len(value) > 4096:
        raise RequestError(field, value, "expected a list of CPUs such as 0-1,4")
    cpus: set[int] = set()
    for part in value.split(","):
        low, dash, high = part.strip().partition("-")
        first = parse_count(field, low, 0, 8191)
        last = parse_count(field, high, 0, 8191) if dash else first
        if last < first:
            raise RequestError(field, value, "a range of CPUs must not run backwards")
        cpus.update(range(first, last + 1))
    ordered, out = sorted(cpus), []
    start = previous = ordered[0]
    for cpu in [*ordered[1:], -1]:
        if cpu != previous + 1:
            out.append(str(start) if start == previous else f"{start}-{previous}")
            start = cpu
        previous = cpu
    return ",".join(out)


def cpus_of(cpuset: str) -> tuple[int, ...]:
    """The CPU numbers of a canonical list."""
    out: list[int] = []
    for part in cpuset.split(","):
        low, dash, high = part.partition("-")
        out.extend(range(int(low), int(high if dash else low) + 1))
    return tuple(out)


def format_size(size: int) -> str:
    """``268435456`` -> ``256M``; bytes where no unit divides evenly, ``unlimited`` for -1."""
    if size == UNLIMITED:
        return "unlimited"
    for letter in "TGMK":
        unit = _SIZE[letter.lower()]
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)


def format_duration(ns: int) -> str:
    """``1500000000`` -> ``1.5s``, ``250000`` -> ``0.25ms``."""
    unit, scale = ("s", 1_000_000_000) if ns >= 1_000_000_000 else ("ms", 1_000_000)
    return f"{ns / scale:.6f}".rstrip("0").rstrip(".") + unit
