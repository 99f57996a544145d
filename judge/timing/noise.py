"""What went on beside a test: /proc/pressure/cpu before and after it, and how long CPU limits made it wait.

"some", "total" of that file are the microseconds in which at least one task waited for a CPU (Linux 4.20, PSI,
Documentation/accounting/psi.rst): of the whole machine, ours among it.
"""

from __future__ import annotations

import os
import time

from ..facts import Evidence, Noise

PRESSURE_FILE = "/proc/pressure/cpu"


class Pressure:
    """One open file of the kernel's; closed by ``close``. Safe for several threads: it is read by pread(2)."""

    def __init__(self, path: str = PRESSURE_FILE) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # no CONFIG_PSI, or psi=0
            self._fd = -1

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def waited_us(self) -> int | None:
        """Microseconds since boot in which somebody waited; None if the kernel does not say."""
        if self._fd < 0:
            return None
        try:
            line = os.pread(self._fd, 256, 0).partition(b"\n")[0]
            return int(line.rpartition(b"total=")[2]) if line.startswith(b"some ") else None
        except (OSError, ValueError):  # EOPNOTSUPP: booted with psi=0
            return None


class Watch:
    """From its making on: ``noise(evidence, beside)`` says what there was."""

    def __init__(self, pressure: Pressure) -> None:
        self._pressure, self._start_us, self._start_ns = pressure, pressure.waited_us(), time.monotonic_ns()

    def noise(self, evidence: Evidence, beside: int) -> Noise:
        end_us, took_us = self._pressure.waited_us(), (time.monotonic_ns() - self._start_ns) / 1000
        share = None
        if end_us is not None and self._start_us is not None and took_us > 0:
            share = round(min(1.0, max(0.0, (end_us - self._start_us) / took_us)), 4)
        throttled = sum(facts.run.throttled_ns or 0 for facts in evidence.passes if facts.run is not None)
        return Noise(share, throttled, beside)
