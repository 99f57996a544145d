"""choose() -> View: which files of /proc and /sys are shown by which means, so that they agree with the limits.

Only what a limit makes meaningful is shown otherwise than by the kernel itself: memory gives meminfo and
swaps, CPUs give cpuinfo, stat and sys/devices/system/cpu, either of them loadavg, diskstats and vmstat.
/proc/uptime is right already, by the time namespace.

lxcfs is asked only for what moves and for what it shows rightly here:

    meminfo, swaps   always; but not where swap may be used under cgroup v2, which lxcfs 5 shows as none
    loadavg          if it was started with -l, else it shows the host's
    stat             under cgroup v1 (v2 has no CPU times by CPU) if the run's cpuset has exactly as many CPUs as
                     are shown: right with and without --enable-cfs
    uptime           if there is no time namespace

All others are ours in any case: cpuinfo and sys do not move, and of disks there is nothing to tell.
"""

from __future__ import annotations

import os
import time

from ..errors import HostError
from ..units import cpus_of
from . import figures, lxcfs, process
from .cpus import shown
from .view import PLAIN, View, matters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Any

    from ..spec import Spec

# For how long an answer about lxcfs holds: a server that hangs is noticed, and one that is started is found.
FRESH_NS = 5_000_000_000

_FIX_LXCFS = "install and start it (apt-get install lxcfs; systemctl enable --now lxcfs), or use --proc auto"


# One of our own, which is started for the run if it is not there: its files come as detached mounts.
PRIVATE = lxcfs.Lxcfs(path="fd:lxcfs", loadavg=True)


class Source:
    """What the figures are made from, read when it is needed and then kept. For one caller; safe in threads."""

    def __init__(self) -> None:
        self._meminfo = self._vmstat = b""
        self._blocks: tuple[bytes, ...] = ()
        self._of_memory: tuple[tuple[int | None, int], dict[str, bytes]] | None = None
        self._of_cpus: tuple[int, dict[str, bytes]] | None = None
        self._lxcfs: tuple[int, lxcfs.Lxcfs | None] | None = None
        self._watched: dict[str, int] = {}  # where a lxcfs is mounted -> pidfd of its process
        self._lock = _new_lock()

    def meminfo(self) -> bytes:
        """The host's /proc/meminfo, as it was at the first call."""
        if not self._meminfo:
            with open("/proc/meminfo", "rb") as file:
                self._meminfo = file.read()
        return self._meminfo

    def vmstat(self) -> bytes:
        """Our own /proc/vmstat: the same in every run."""
        if not self._vmstat:
            with open("/proc/vmstat", "rb") as file:
                self._vmstat = figures.vmstat(file.read())
        return self._vmstat

    def of_memory(self, mem_bytes: int | None, swap_bytes: int) -> dict[str, bytes]:
        """Our own files about memory. Those of the last limit are kept: making them takes longer than the rest."""
        key = (mem_bytes, swap_bytes)
        if mem_bytes is None:  # the host's own figures move
            self._meminfo, self._of_memory = b"", None
        if self._of_memory is None or self._of_memory[0] != key:
            host = self.meminfo()
            made = {"proc/meminfo": figures.meminfo(host, *key), "proc/swaps": figures.swaps(host, *key)}
            self._of_memory = (key, made)
        return self._of_memory[1]

    def processors(self, count: int) -> tuple[bytes, ...]:
        """The first ``count`` blocks of /proc/cpuinfo. No more are read: a block can cost 0.1 ms."""
        if len(self._blocks) < count:
            text = b""
            with open("/proc/cpuinfo", "rb", buffering=0) as file:
                while text.count(b"\n\n") < count and (more := file.read(4096)):
                    text += more
            found = [block for block in text.split(b"\n\n") if block.startswith(b"processor")]
            self._blocks = tuple(found[:count]) or (b"processor\t: 0",)
        return self._blocks

    def of_cpus(self, count: int) -> dict[str, bytes]:
        """Our own files about CPUs that are the same in each run with this number of them."""
        if self._of_cpus is None or self._of_cpus[0] != count:
            cpuinfo = figures.cpuinfo(self.processors(count), count)
            self._of_cpus = (count, {"proc/cpuinfo": cpuinfo, **figures.system_cpus(count)})
        return self._of_cpus[1]

    def boot_s(self, in_time_namespace: bool) -> int:
        """When the sandbox's clock of uptime began, in seconds since 1970."""
        now_ns = time.time_ns()
        return (now_ns if in_time_namespace else now_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1_000_000_000

    def lxcfs(self) -> lxcfs.Lxcfs | None:
        """The system's lxcfs as it was at most FRESH_NS ago; None if there is none."""
        now_ns = time.monotonic_ns()
        if self._watched and self._unwatch():
            self._lxcfs = None
        if self._lxcfs is None or now_ns - self._lxcfs[0] > FRESH_NS:
            path = lxcfs.find()
            self._lxcfs = (now_ns, lxcfs.ask(path) if path else None)
        return self._lxcfs[1]

    def forget(self) -> None:
        """Look for lxcfs again at the next run."""
        self._lxcfs = None

    def lxcfs_pidfd(self, path: str) -> int:
        """A pidfd of the lxcfs that is mounted at ``path``, for the caller to close; -1 if it cannot be found."""
        self._unwatch()
        with self._lock:
            if path not in self._watched:
                found = process.pidfd_of(path)
                if found < 0:
                    return -1
                self._watched[path] = found
            return os.dup(self._watched[path])

    def _unwatch(self) -> bool:
        """Drop what has ended; True if there was any."""
        with self._lock:
            ended = [path for path, pidfd in self._watched.items() if process.is_gone(pidfd)]
            for path in ended:
                os.close(self._watched.pop(path))
        return bool(ended)

    def close(self) -> None:
        """Give the pidfds back. It may be used again."""
        with self._lock:
            while self._watched:
                os.close(self._watched.popitem()[1])


def choose(
    spec: Spec,
    source: Source,
    *,
    enforced: Container[str],
    backend: str,
    affinity: tuple[int, ...] = (),
    leaf_cpus: Callable[[], frozenset[int]] = frozenset,
) -> View:
    """The view of a run.

    ``enforced`` are the limits that hold here, ``backend`` the kind of cgroup, ``affinity`` the program's mask
    as far as we set one, ``leaf_cpus`` says what a cgroup of ours can be limited to (none without a cpuset controller).
    Raises HostError if a way that was asked for by name cannot be had.
    """
    asked = spec.proc
    limits = spec.limits
    if not matters(spec, enforced):
        return PLAIN
    memory = limits.mem_bytes if "mem" in enforced else None
    cpus = shown(limits, len(os.sched_getaffinity(0)), enforced)
    if asked == "auto" and memory is None and cpus is None:
        return PLAIN
    swap = limits.swap_bytes if memory is not None else 0
    files = _files(spec, source, memory, swap, cpus)
    if asked == "static":
        return View(kind="static", files=files)
    found = PRIVATE if asked == "private" else source.lxcfs()
    if found is None or found.fault:
        if asked != "auto":
            why = "no lxcfs is mounted" if found is None else f"lxcfs at {found.path} {found.fault}"
            raise HostError(f"--proc lxcfs: {why}", _FIX_LXCFS if found is None else "restart it, or use --proc auto")
        notes = () if found is None else (f"lxcfs at {found.path} {found.fault}: /proc shows our own files instead",)
        return View(kind="static", files=files, notes=notes)
    cpuset = _cpuset(spec, cpus, affinity, leaf_cpus()) if backend == "v1" and cpus is not None else ""
    swaps = min(swap, figures.total_kib(source.meminfo(), b"SwapTotal") << 10)
    can = {
        "proc/meminfo": backend != "v2" or not swaps,
        "proc/swaps": backend != "v2" or not swaps,
        "proc/loadavg": found.loadavg,
        "proc/stat": bool(cpuset),
        "proc/uptime": not spec.has("time"),
    }
    served = tuple(name for name, right in can.items() if right and (name in files or name == "proc/uptime"))
    if not served:
        if asked != "auto":
            why = f"--proc lxcfs: lxcfs at {found.path} cannot show swap under cgroup v2, and its load is the host's"
            raise HostError(why, "leave --swap out, start lxcfs with -l, or use --proc static")
        return View(kind="static", files=files)
    return View(kind="private" if found is PRIVATE else "lxcfs", files=files, served=served, source=found.path,
                optional=asked == "auto",
                cpuset=cpuset if cpuset and limits.cpuset is None else None)  # fmt: skip


def _files(spec: Spec, source: Source, memory: int | None, swap: int, cpus: int | None) -> dict[str, bytes]:
    """Our own. Asked for by name, memory is shown without a limit too: as it was at the start."""
    files: dict[str, bytes] = {}
    if memory is not None or spec.proc != "auto":
        files |= source.of_memory(memory, swap)
    if cpus is not None:
        files |= source.of_cpus(cpus)
        files["proc/stat"] = figures.stat(cpus, source.boot_s(spec.has("time")))
        targets = [*(volume.target for volume in spec.volumes), *(tmpfs.target for tmpfs in spec.tmpfs)]
        if any(f"{target}/".startswith("/sys/") for target in targets):  # a share of the caller's stays as it is
            files = {name: content for name, content in files.items() if not name.startswith("sys/")}
    files["proc/loadavg"] = figures.LOADAVG
    files["proc/diskstats"] = b""
    files["proc/vmstat"] = source.vmstat()
    return files


def _cpuset(spec: Spec, cpus: int, affinity: tuple[int, ...], leaf_cpus: frozenset[int]) -> str:
    """The CPUs that the run's cgroup is limited to if lxcfs is to show ``cpus`` of them; "" if that cannot be."""
    if not leaf_cpus:
        return ""
    wanted = cpus_of(spec.limits.cpuset) if spec.limits.cpuset else affinity or tuple(sorted(leaf_cpus))
    return ",".join(map(str, wanted)) if len(wanted) == cpus and leaf_cpus.issuperset(wanted) else ""


def _new_lock() -> Any:
    import _thread  # what threading.Lock is, without the module

    return _thread.allocate_lock()
