"""Block I/O in a cgroup: ``io.max`` and ``io.stat`` of v2, ``blkio.throttle.*`` of v1.

Limits are for whole disks, by number ("254:0"); ``disks.py`` finds out which. Throttled I/O waits where no
signal reaches it, SIGKILL neither: whoever wants a leaf to end lifts its limits first (``lift``).
"""

from __future__ import annotations

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Limits

V2_MAX, V2_STAT = "io.max", "io.stat"
V1_STAT = "blkio.throttle.io_service_bytes"
V1_LIMITS = tuple(f"blkio.throttle.{way}_{unit}_device" for way in ("read", "write") for unit in ("bps", "iops"))

_V2_OFF = b"rbps=max wbps=max riops=max wiops=max"


def wanted(limits: Limits) -> bool:
    """Is any I/O limit asked for?"""
    return limits.io_read is not None or limits.io_write is not None


def v2_lines(limits: Limits, disks: tuple[str, ...]) -> Iterator[bytes]:
    """What to write to ``io.max``, one write(2) each. A disk gets both limits, also one that is only read."""
    words = []
    for letter, rate in (("r", limits.io_read), ("w", limits.io_write)):
        if rate is not None:
            words += [f"{letter}{unit}={value}" for unit, value in (("bps", rate.bytes_per_s), ("iops", rate.ops_per_s))
                      if value is not None]  # fmt: skip
    for disk in disks:
        yield " ".join((disk, *words)).encode()


def v1_lines(limits: Limits, disks: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """(file, what to write), as ``v2_lines``."""
    for way, rate in (("read", limits.io_read), ("write", limits.io_write)):
        if rate is not None:
            for unit, value in (("bps", rate.bytes_per_s), ("iops", rate.ops_per_s)):
                if value is not None:
                    for disk in disks:
                        yield f"blkio.throttle.{way}_{unit}_device", f"{disk} {value}".encode()


def lift(directory: str) -> None:
    """No I/O limit any more in this cgroup, and what waits goes on at once. Raises nothing.

    A disk or a cgroup that went away in between holds nobody back.
    """
    for file in (V2_MAX, *V1_LIMITS):
        try:
            text = files.read_or_none(f"{directory}/{file}") or b""
            for line in text.splitlines():
                disk = line.split(b" ")[0]
                files.write(f"{directory}/{file}", disk + b" " + (_V2_OFF if file == V2_MAX else b"0"))
        except OSError:
            continue


def v2_bytes(text: bytes) -> tuple[int, int]:
    """(read, written) of ``io.stat``, all disks together."""
    totals = {b"rbytes": 0, b"wbytes": 0}
    for line in text.splitlines():
        for word in line.split(b" ")[1:]:
            key, _, value = word.partition(b"=")
            if key in totals and value.isdigit():
                totals[key] += int(value)
    return totals[b"rbytes"], totals[b"wbytes"]


def v1_bytes(text: bytes) -> tuple[int, int]:
    """(read, written) of ``blkio.throttle.io_service_bytes``, all disks together."""
    totals = {b"Read": 0, b"Write": 0}
    for line in text.splitlines():
        words = line.split(b" ")
        if len(words) == 3 and words[1] in totals:
            totals[words[1]] += int(words[2])
    return totals[b"Read"], totals[b"Write"]
