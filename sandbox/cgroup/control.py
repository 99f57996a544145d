"""What can be done to a leaf while its processes run: stand still, go on, other limits, figures.

Both kinds of leaf (v1.py, v2.py) get this as a base class, and say by ``_file`` where a controller's file is. What a
leaf has no controller for is a HostError with what to do; a leaf that was opened ``whole`` has every one there is.
"""

from __future__ import annotations

import time
from errno import EBUSY

from ..errors import HostError, SupervisorError
from ..units import format_size
from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spec import Limits

# How long processes may take to stand still: what waits for a disk does so first.
FREEZE_NS = 5_000_000_000

PERIOD_US = 100_000  # cpu.max, cfs_period_us
LEAST_QUOTA_US = 1_000
INIT_TASKS = 1  # the sandbox's init is one that the program did not ask for


class Control:
    """Of one leaf. ``_limits`` are those that hold, ``_disks`` those that limits on I/O are for."""

    _limits: Limits
    _disks: tuple[str, ...]

    def _file(self, controller: str, name: str) -> str:
        """Where it is, "" where the leaf has nothing of this controller."""
        raise NotImplementedError

    def _procs(self) -> str:
        raise NotImplementedError

    # ---- standing still ----

    def freeze(self) -> None:
        """All processes stand still when this returns. Raises HostError where no freezer is, SupervisorError if one of
        them does not within 5 s (then all go on)."""
        self._set_frozen(True)
        end = time.monotonic_ns() + FREEZE_NS
        pause = 0.0005
        while not self.frozen():
            if time.monotonic_ns() > end:
                self._set_frozen(False)
                raise SupervisorError(f"the processes of the sandbox do not stand still within {FREEZE_NS // 10**9} s")
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def thaw(self) -> None:
        """They go on."""
        self._set_frozen(False)

    def frozen(self) -> bool:
        """Do all of them stand still?"""
        raise NotImplementedError

    def _set_frozen(self, on: bool) -> None:
        raise NotImplementedError

    # ---- limits ----

    def update(self, limits: Limits) -> None:
        """Impose those of memory, processes, CPUs and I/O that differ from what holds. None lifts one.

        Raises HostError where the leaf has no controller for one, or more memory is in use than would be allowed.
        """
        now = self._limits
        changed = {name for name in ("mem_bytes", "swap_bytes", "pids", "cpu_milli", "cpuset", "io_read", "io_write")
                   if getattr(now, name) != getattr(limits, name)}  # fmt: skip
        if {"mem_bytes", "swap_bytes"} & changed:
            self._update_memory(limits)
        if "pids" in changed:
            self._put("pids", "pids.max", b"%d" % (limits.pids + INIT_TASKS), "pids")
        if "cpu_milli" in changed:
            self._update_cpus(limits.cpu_milli)
        if "cpuset" in changed:
            self._update_cpuset(limits.cpuset)
        if {"io_read", "io_write"} & changed:
            if not self._disks:
                raise HostError("no disk of this sandbox is under a limit on I/O", "start it with one, then change it")
            self._update_io(limits)
        self._limits = limits

    def _update_memory(self, limits: Limits) -> None:
        raise NotImplementedError

    def _update_cpus(self, milli: int | None) -> None:
        raise NotImplementedError

    def _update_cpuset(self, cpus: str | None) -> None:
        raise NotImplementedError

    def _update_io(self, limits: Limits) -> None:
        raise NotImplementedError

    def _need(self, controller: str, name: str, limit: str) -> str:
        path = self._file(controller, name)
        if not path:
            raise HostError(f"{limit} cannot be changed: the sandbox's cgroup has no {controller} controller",
                            "`pysandbox doctor` says how to get it, for sandboxes that are started then")  # fmt: skip
        return path

    def _put(self, controller: str, name: str, value: bytes, limit: str) -> None:
        path = self._need(controller, name, limit)
        try:
            files.write(path, value)
        except OSError as fault:
            if controller == "memory" and fault.errno == EBUSY:
                raise self._too_much(int(value)) from fault
            raise files.failed("write", path, value, fault, "choose a value that its cgroup allows") from fault

    def _too_much(self, asked: int) -> HostError:
        used = format_size(self.stats().get("memory_bytes") or 0)
        return HostError(f"mem {format_size(asked)}: the sandbox uses {used} now", "allow it more than that")

    # ---- figures ----

    def pids(self) -> list[int]:
        """The processes, by their numbers here."""
        try:
            return list(files.pids(self._procs()))
        except OSError:  # the leaf is gone
            return []

    def stats(self) -> dict[str, int | None]:
        """memory_bytes (without page cache that nobody has used lately), memory_peak_bytes, cpu_ns, pids, oom_kills,
        throttled_ns, io_read_bytes, io_write_bytes; None for what is not accounted. The init's share is in them."""
        raise NotImplementedError

    def _number(self, controller: str, name: str) -> int | None:
        path = self._file(controller, name)
        return files.number(files.read_or_none(path)) if path else None

    def _key(self, controller: str, name: str, key: bytes) -> int | None:
        path = self._file(controller, name)
        return files.keyed(files.read_or_none(path) or b"", key) if path else None

    def _tasks(self) -> int | None:
        number = self._number("pids", "pids.current")
        return None if number is None else max(0, number - INIT_TASKS)


def quota_us(milli: int) -> int:
    """Of one period."""
    return max(LEAST_QUOTA_US, milli * PERIOD_US // 1000)


def held(usage: int | None, cache: int | None) -> int | None:
    """Memory that is really in use."""
    return None if usage is None else max(0, usage - (cache or 0))
