"""cgroup v1: one hierarchy a controller (some mounted together), a leaf is a directory in each it needs.

Theory of operation. Nobody moves a process: a pid written to cgroup.procs waits 14 ms for an RCU grace
period, so the init of the sandbox writes "0" to ``tasks`` files that we opened (0.05 ms). The kernel
then checks the credentials of whoever opened the file against the *writer's* uid and saved uid (since
CVE-2021-4197), so the init attaches before it becomes another user. Memory, cpuacct and pids always get
a directory, because the numbers of a Result come from there; cpu, cpuset and blkio only when a limit asks.

Numbers: OOM kills are ``oom_kill`` in memory.oom_control. Not failcnt: it counts page cache that was
reclaimed at the limit as well, and with memsw equal to the limit it stays 0 after a real kill.
"""

from __future__ import annotations

import os
import select
from errno import ENOENT

from ..errors import HostError, SupervisorError
from ..result import Usage
from . import blockio, files
from .control import Control, held, quota_us
from .names import new_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..keeper.client import Keeper
    from ..spec import Limits

# The init of the sandbox is one task that the program did not ask for.
INIT_TASKS = 1

# cpuacct.stat counts in USER_HZ, which is 100 on every architecture we build for.
TICK_NS = 10_000_000

# The whole tree is gone within 200 ms of a kill at the default pids limit; rmdir may begin before that.
CLOSE_PATIENCE_NS = 300_000_000

ACCOUNTING = ("memory", "cpuacct", "pids")


def _effective_cpus(base: str) -> bytes:
    return files.read_or_none(f"{base}/cpuset.effective_cpus") or files.read(f"{base}/cpuset.cpus")


class V1Leaf(Control):
    """The directories of one run; made whole or not at all."""

    event_mask = select.EPOLLIN  # an eventfd

    def __init__(
        self, bases: dict[str, str], limits: Limits, disks: tuple[str, ...] = (), family: int = 0, whole: bool = False
    ) -> None:  # fmt: skip
        self._bases = bases
        self._name = new_name(family)
        self._directories: list[str] = []
        self._attach: list[int] = []
        self._disks = disks
        self._limits = limits
        self._cpuacct = self._oom = self._event = -1
        wanted = [*ACCOUNTING]
        if limits.cpu_milli is not None or whole:
            wanted.append("cpu")
        if limits.cpuset is not None or whole:
            wanted.append("cpuset")
        self._blockio = "blkio" in bases and blockio.wanted(limits)
        if self._blockio or whole:
            wanted.append("blkio")
        if whole:
            wanted.append("freezer")
        self._has = {name for name in wanted if name in bases}
        try:
            # Controllers mounted together (cpu,cpuacct) share a base: one directory, one tasks file.
            for base in dict.fromkeys(bases[name] for name in wanted if name in bases):
                self._make(base)
            if "memory" in bases:
                self._limit_memory()
            if "pids" in bases:
                self._write("pids", "pids.max", b"%d" % (limits.pids + INIT_TASKS))
            if limits.cpu_milli is not None and "cpu" in bases:
                self._write("cpu", "cpu.cfs_quota_us", b"%d" % quota_us(limits.cpu_milli))
            if "cpuset" in self._has:
                self._limit_cpuset(limits.cpuset)
            if self._blockio:
                for file, value in blockio.v1_lines(limits, disks):
                    self._write("blkio", file, value)
            # Opened last: cpuset refuses a task (ENOSPC) while cpus or mems are empty.
            for directory in self._directories:
                self._attach.append(os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC))
            if "cpuacct" in bases:
                self._cpuacct = os.open(self._path("cpuacct", "cpuacct.usage"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as fault:
            self._abandon()
            raise files.failed("prepare", str(fault.filename or self._name), b"", fault) from fault
        except BaseException:
            self._abandon()
            raise

    def _path(self, controller: str, file: str) -> str:
        return f"{self._bases[controller]}/{self._name}/{file}"

    def _make(self, base: str) -> None:
        directory = f"{base}/{self._name}"
        try:
            os.mkdir(directory, 0o755)
        except OSError as fault:
            fix = "run `sudo pysandbox setup` again" if fault.errno == ENOENT else ""
            raise files.failed("make", directory, b"", fault, fix) from fault
        self._directories.append(directory)

    def _write(self, controller: str, file: str, value: bytes) -> None:
        path = self._path(controller, file)
        try:
            files.write(path, value)
        except OSError as fault:
            fix = f"the limits of {self._bases[controller]} may be lower"
            raise files.failed("write", path, value, fault, fix) from fault

    def _limit_memory(self) -> None:
        mem_bytes, swap_bytes = self._limits.mem_bytes, self._limits.swap_bytes
        if mem_bytes is not None:
            self._write("memory", "memory.limit_in_bytes", b"%d" % mem_bytes)
            # The kernel demands memsw >= limit at every moment, so it comes second.
            try:
                files.write(self._path("memory", "memory.memsw.limit_in_bytes"), b"%d" % (mem_bytes + swap_bytes))
            except FileNotFoundError:
                # swapaccount=0. Reclaim at the limit of a cgroup honours swappiness 0 strictly
                # (Documentation/admin-guide/cgroup-v1/memory.rst, 5.3), so nothing dodges the limit by swapping.
                self._write("memory", "memory.swappiness", b"0" if swap_bytes == 0 else b"60")
        self._oom = os.open(self._path("memory", "memory.oom_control"), os.O_RDONLY | os.O_CLOEXEC)
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            files.write(self._path("memory", "cgroup.event_control"), b"%d %d" % (self._event, self._oom))
        except FileNotFoundError:  # PREEMPT_RT kernels have none; the counter is polled as well
            os.close(self._event)
            self._event = -1

    def _limit_cpuset(self, asked: str | None) -> None:
        base = self._bases["cpuset"]
        memories = files.read_or_none(f"{base}/cpuset.effective_mems") or files.read(f"{base}/cpuset.mems")
        allowed = _effective_cpus(base)
        if not files.cpus(memories) or not files.cpus(allowed):
            raise HostError(f"{base} has no cpus or memory nodes of its own", "run `sudo pysandbox setup` again")
        asked = asked or allowed.decode().strip()
        outside = files.cpus(asked.encode()) - files.cpus(allowed)
        if outside:
            shown = allowed.decode().strip()
            raise HostError(f"cpuset {asked}: cpu {min(outside)} is not among those of {base}", f"choose from {shown}")
        self._write("cpuset", "cpuset.mems", memories.strip())
        self._write("cpuset", "cpuset.cpus", asked.encode())

    def _close_fds(self) -> None:
        open_fds = [*self._attach, *(fd for fd in (self._cpuacct, self._oom, self._event) if fd >= 0)]
        self._attach, self._cpuacct, self._oom, self._event = [], -1, -1, -1
        for fd in open_fds:
            os.close(fd)

    def _abandon(self) -> None:
        self._close_fds()
        for directory in self._directories:
            files.remove(directory, 0)

    def attach_fds(self) -> tuple[int, ...]:
        """``tasks`` of every directory, write-only; the init writes "0" to each, as the user who opened them."""
        return tuple(self._attach)

    def clone_fd(self) -> int | None:
        """CLONE_INTO_CGROUP is for v2 only."""
        return None

    def baseline_fd(self) -> int | None:
        """cpuacct.usage."""
        return self._cpuacct if self._cpuacct >= 0 else None

    def open_gauges(self, swap: bool) -> dict[str, tuple[int, bool]]:
        """memory.usage_in_bytes, pids.current, and memory.memsw.usage_in_bytes, in which memory is counted."""
        paths = {"memory": ("memory", "memory.usage_in_bytes"), "tasks": ("pids", "pids.current")}
        if swap:
            paths["swap"] = ("memory", "memory.memsw.usage_in_bytes")
        found = {what: self._path(*path) for what, path in paths.items() if path[0] in self._bases}
        return files.open_all({what: (path, what == "swap") for what, path in found.items()})

    def event_fds(self) -> tuple[int, ...]:
        """An eventfd: readable after an OOM. It also fires when the directory is removed."""
        return (self._event,) if self._event >= 0 else ()

    def cpu_ns(self) -> int | None:
        """cpuacct.usage: exact, and of the dead as well as of the living."""
        return int(os.pread(self._cpuacct, 32, 0)) if self._cpuacct >= 0 else None

    def baseline_ns(self, raw: bytes) -> int:
        """The number itself; 0 if the init never got to read it."""
        return files.number(raw) or 0

    def polls_memory(self) -> bool:
        """No: v1 has always kept the peak."""
        return False

    def oom_kills(self) -> int | None:
        """``oom_kill`` of memory.oom_control (kernel 4.13), None where it is not counted."""
        return files.keyed(os.pread(self._oom, files.READ_BYTES, 0), b"oom_kill") if self._oom >= 0 else None

    def kill(self) -> None:
        """Lifts the CPU quota and the I/O limits: a throttled process gets no time to die in, and one that waits
        for the disk does not die at all. Killing is the pid namespace's, or where there is none the init's and the
        spawner's, one process after the other: so nothing may be forked any more."""
        if "pids" in self._bases:
            try:
                files.write(self._path("pids", "pids.max"), b"0")
            except FileNotFoundError:
                pass  # closed already
        if self._blockio:
            blockio.lift(self._path("blkio", "")[:-1])
        if self._limits.cpu_milli is not None and "cpu" in self._bases:
            try:
                files.write(self._path("cpu", "cpu.cfs_quota_us"), b"-1")
            except FileNotFoundError:
                pass  # closed already
        if "freezer" in self._has:  # what stands still does not die (freezer-subsystem.rst)
            try:
                self._set_frozen(False)
            except FileNotFoundError:
                pass

    # ---- while it runs ----

    def _file(self, controller: str, name: str) -> str:
        return self._path(controller, name) if controller in self._has else ""

    def _procs(self) -> str:
        return f"{self._directories[0]}/cgroup.procs" if self._directories else ""

    def frozen(self) -> bool:
        """FREEZING is not frozen yet."""
        return "freezer" in self._has and self._text("freezer", "freezer.state").strip() == b"FROZEN"

    def _set_frozen(self, on: bool) -> None:
        if "freezer" not in self._has:
            raise HostError("the sandbox's cgroup has no freezer",
                            "start it with leaf=True; `sudo pysandbox setup` gives the freezer to a user")  # fmt: skip
        files.write(self._path("freezer", "freezer.state"), b"FROZEN" if on else b"THAWED")

    def _update_memory(self, limits: Limits) -> None:
        now = self._limits
        asked = limits.mem_bytes
        both = [("memory.limit_in_bytes", asked),
                ("memory.memsw.limit_in_bytes", None if asked is None else asked + limits.swap_bytes)]
        grows = asked is None or (now.mem_bytes is not None and asked > now.mem_bytes)
        for name, value in reversed(both) if grows else both:  # memsw >= limit at every moment
            path = self._need("memory", name, "mem")
            if os.path.exists(path):
                self._put("memory", name, b"-1" if value is None else b"%d" % value, "mem")

    def _update_cpus(self, milli: int | None) -> None:
        self._put("cpu", "cpu.cfs_quota_us", b"-1" if milli is None else b"%d" % quota_us(milli), "cpus")

    def _update_cpuset(self, cpus: str | None) -> None:
        self._need("cpuset", "cpuset.cpus", "cpuset")
        self._limit_cpuset(cpus)

    def _update_io(self, limits: Limits) -> None:
        self._need("blkio", blockio.V1_STAT, "io_read, io_write")
        blockio.lift(self._path("blkio", "")[:-1])
        for file, value in blockio.v1_lines(limits, self._disks):
            self._write("blkio", file, value)

    def stats(self) -> dict[str, int | None]:
        """See Control."""
        found: dict[str, int | None] = {
            "memory_bytes": held(self._number("memory", "memory.usage_in_bytes"),
                                 self._key("memory", "memory.stat", b"total_inactive_file")),
            "memory_peak_bytes": self._number("memory", "memory.max_usage_in_bytes"), "cpu_ns": self.cpu_ns(),
            "pids": self._tasks(), "oom_kills": self.oom_kills(),
            "throttled_ns": self._key("cpu", "cpu.stat", b"throttled_time"),
            "io_read_bytes": None, "io_write_bytes": None,
        }  # fmt: skip
        if "blkio" in self._has:
            found["io_read_bytes"], found["io_write_bytes"] = blockio.v1_bytes(self._text("blkio", blockio.V1_STAT))
        return found

    def usage(self, baseline: bytes) -> Usage:
        """The final numbers; call it before close()."""
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        total_ns = self.cpu_ns()
        if total_ns is not None:
            values["cpu_ns"] = cpu_ns = max(0, total_ns - self.baseline_ns(baseline))
            sources["cpu_ns"] = "cgroup v1 cpuacct.usage"
            user_ns = self._user_share(cpu_ns)
            if user_ns is not None:
                values["user_ns"], values["system_ns"] = user_ns, cpu_ns - user_ns
                sources["user_ns"] = sources["system_ns"] = "cgroup v1 cpuacct.usage split as cpuacct.usage_user/_sys"
        if self._oom >= 0:
            values["memory_peak_bytes"] = self._number("memory", "memory.max_usage_in_bytes")
            sources["memory_peak_bytes"] = "cgroup v1 memory.max_usage_in_bytes (with page cache)"
            values["oom_kills"] = self.oom_kills()
            sources["oom_kills"] = "cgroup v1 memory.oom_control oom_kill"
        if "pids" in self._bases:
            peak = self._number("pids", "pids.peak")
            values["processes_peak"] = None if peak is None else max(0, peak - INIT_TASKS)
            sources["processes_peak"] = "cgroup v1 pids.peak (kernel 6.1)"
            values["pids_denied"] = files.keyed(self._text("pids", "pids.events"), b"max")
            sources["pids_denied"] = "cgroup v1 pids.events max"
        if self._limits.cpu_milli is not None and "cpu" in self._bases:
            values["throttled_ns"] = files.keyed(self._text("cpu", "cpu.stat"), b"throttled_time")
            sources["throttled_ns"] = "cgroup v1 cpu.stat throttled_time"
        if self._blockio:
            stat = blockio.V1_STAT
            values["io_read_bytes"], values["io_write_bytes"] = blockio.v1_bytes(self._text("blkio", stat))
            sources["io_read_bytes"] = f"cgroup v1 {stat}"
            sources["io_write_bytes"] = f"cgroup v1 {stat} (without what the kernel writes back later)"
        return Usage(**values, sources=sources)

    def _text(self, controller: str, file: str) -> bytes:
        return files.read_or_none(self._path(controller, file)) or b""

    def _user_share(self, cpu_ns: int) -> int | None:
        # user and sys are sampled at ticks (CONFIG_TICK_CPU_ACCOUNTING) while the total is exact: only their
        # proportion is used, as the kernel itself does for times(2) (cputime_adjust).
        user, system = self._number("cpuacct", "cpuacct.usage_user"), self._number("cpuacct", "cpuacct.usage_sys")
        if user is None or system is None:
            stat = self._text("cpuacct", "cpuacct.stat")  # kernel < 4.6
            user, system = files.keyed(stat, b"user"), files.keyed(stat, b"system")
            if user is None or system is None:
                return None
            user, system = user * TICK_NS, system * TICK_NS
        return cpu_ns * user // (user + system) if user + system else cpu_ns

    def close(self) -> None:
        """Removes every directory; may be called again after a SupervisorError, and after success."""
        self._close_fds()
        patience_ns = CLOSE_PATIENCE_NS
        while self._directories:
            directory = self._directories[-1]
            try:
                gone = files.remove(directory, patience_ns)
            except OSError as fault:
                raise SupervisorError(f"cannot remove {directory}: {(fault.strerror or '').lower()}") from fault
            if not gone:
                inside = ", ".join(map(str, files.pids(f"{directory}/cgroup.procs"))) or "none that we can see"
                raise SupervisorError(
                    f"cannot remove {directory}: still busy after {patience_ns // 1_000_000} ms (processes: {inside})"
                )
            self._directories.pop()


class V1Backend:
    """Leaves under one directory a controller; ``why`` says of each controller without one what is wrong."""

    name = "v1"
    charges_writeback = False
    keeper: Keeper | None = None  # its leaves can be entered from anywhere
    family = 0

    def __init__(self, bases: dict[str, str], why: dict[str, str], where: str, fix: str) -> None:
        self._bases, self._why, self._fix = bases, why, fix
        self.where = where
        self._swap = "memory" in bases and os.path.exists(f"{bases['memory']}/memory.memsw.limit_in_bytes")
        # CONFIG_CFS_BANDWIDTH may be off with the controller there.
        self._quota = "cpu" in bases and os.path.exists(f"{bases['cpu']}/cpu.cfs_quota_us")
        # And CONFIG_BLK_DEV_THROTTLING.
        self._throttle = "blkio" in bases and os.path.exists(f"{bases['blkio']}/{blockio.V1_STAT}")

    def enforces(self) -> dict[str, str]:
        """By the controllers that have a directory."""
        bases = self._bases
        words = {
            "mem": "cgroup v1 memory.limit_in_bytes" if "memory" in bases else "",
            "swap": "cgroup v1 memory.memsw.limit_in_bytes" if self._swap else "",
            "time": "cgroup v1 cpuacct.usage, polled" if "cpuacct" in bases else "",
            "pids": "cgroup v1 pids.max" if "pids" in bases else "",
            "cpus": "cgroup v1 cpu.cfs_quota_us" if self._quota else "",
            "cpuset": "cgroup v1 cpuset.cpus" if "cpuset" in bases else "",
            "io_read": "cgroup v1 blkio.throttle" if self._throttle else "",
            "io_write": "cgroup v1 blkio.throttle (direct and synchronous writes)" if self._throttle else "",
        }
        return {limit: by for limit, by in words.items() if by}

    def missing(self, limit: str) -> str:
        """Why, and the one fix."""
        needed = {"mem": "memory", "swap": "memory", "time": "cpuacct", "cpus": "cpu", "io_read": "blkio",
                  "io_write": "blkio"}.get(limit, limit)  # fmt: skip
        if needed not in self._bases:
            why = self._why.get(needed, f"no cgroup controller limits {limit}")
            return f"{limit} cannot be enforced: {why}; {self._fix}"
        if limit == "swap":
            return "swap cannot be enforced: the kernel does not account swap; boot with swapaccount=1"
        if limit == "cpus":
            return "cpus cannot be enforced: the kernel has no cpu quotas; use one built with CONFIG_CFS_BANDWIDTH"
        if needed == "blkio":
            why = "the kernel has no I/O throttling; use one built with CONFIG_BLK_DEV_THROTTLING"
            return f"{limit} cannot be enforced: {why}"
        return f"{limit} is not a limit of cgroup v1"

    def parents(self) -> tuple[str, ...]:
        """One directory a hierarchy."""
        return tuple(dict.fromkeys(self._bases.values()))

    def cpus(self) -> frozenset[int]:
        """cpuset.effective_cpus of the base."""
        return files.cpus(_effective_cpus(self._bases["cpuset"])) if "cpuset" in self._bases else frozenset()

    def open(self, limits: Limits, disks: tuple[str, ...] = (), whole: bool = False) -> V1Leaf:
        """A fresh leaf, ``whole`` with every controller there is; raises HostError and leaves nothing behind."""
        off = {name for name, there in (("cpu", self._quota), ("blkio", self._throttle)) if not there}
        return V1Leaf({k: v for k, v in self._bases.items() if k not in off}, limits, disks, self.family, whole)

    def below(self, name: str) -> V1Backend:
        """Leaves under the cgroup ``name`` here, which exists in every hierarchy and can be entered from now on."""
        bases = {controller: f"{base}/{name}" for controller, base in self._bases.items()}
        if "cpuset" in bases:  # it takes no task while these are empty
            for file in ("cpuset.cpus", "cpuset.mems"):
                path = f"{bases['cpuset']}/{file}"
                value = files.read(f"{self._bases['cpuset']}/{file}").strip()
                try:
                    files.write(path, value)
                except OSError as fault:
                    raise files.failed("write", path, value, fault) from fault
        inner = V1Backend(bases, self._why, f"{self.where}, below {name}", self._fix)
        inner.family = self.family
        return inner

    def enable(self) -> None:
        """Nothing to do: every directory of a v1 hierarchy has its controllers."""
