"""cgroup v2: one directory a run, entered by birth with CLONE_INTO_CGROUP.

Who may enter: the kernel asks for write permission on cgroup.procs of the leaf *and* of the nearest
common ancestor of where the spawner sits and the leaf (cgroup-v2.rst, "Delegation Containment"). The
leaf is ours; that the spawner sits below the same delegated directory is what delegation.py sees to.

With memory.oom.group the kernel kills the whole leaf at once, the init of the sandbox with it: then
nobody reports an exit status, and oom_kills() is what tells. ``oom_kill`` counts one for each process
killed, so only "at least one" means anything.
"""

from __future__ import annotations

import errno
import os
import select

from ..errors import HostError, SupervisorError
from ..result import Usage
from . import blockio, files
from .control import PERIOD_US, Control, held, quota_us
from .names import new_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..keeper.client import Keeper
    from ..spec import Limits

# The init of the sandbox is one task that the program did not ask for.
INIT_TASKS = 1

CLOSE_PATIENCE_NS = 300_000_000


def swap_in_use() -> bool:
    """Does the host swap at all? /proc/swaps has a heading and then a line for each area."""
    return len((files.read_or_none("/proc/swaps") or b"").splitlines()) > 1


class V2Leaf(Control):
    """The directory of one run; made whole or not at all."""

    # Not EPOLLIN: a file of kernfs can always be read (kernfs_generic_poll), and the supervisor would spin.
    event_mask = select.EPOLLPRI

    def __init__(
        self, base: str, controllers: frozenset[str], limits: Limits, disks: tuple[str, ...] = (), family: int = 0
    ) -> None:  # fmt: skip
        self.path = f"{base}/{new_name(family)}"
        self._base, self._controllers, self._limits = base, controllers, limits
        self._disks = disks
        self._directory = self._stat = self._events = self._entry = -1
        self._polls: bool | None = None  # until it was looked at
        self._highest_bytes = 0
        self._removed = False
        try:
            os.mkdir(self.path, 0o755)
        except OSError as fault:
            raise files.failed("make", self.path, b"", fault) from fault
        try:
            # O_RDONLY rather than O_PATH: clone3(2) takes both, and this one can be listed too.
            self._directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if "memory" in controllers:
                self._limit_memory()
            if "pids" in controllers:
                self._write("pids.max", b"%d" % (limits.pids + INIT_TASKS))
            if limits.cpu_milli is not None and "cpu" in controllers:
                self._write("cpu.max", b"%d %d" % (quota_us(limits.cpu_milli), PERIOD_US))
            if limits.cpuset is not None and "cpuset" in controllers:
                self._limit_cpuset(limits.cpuset)
            if "io" in controllers:
                for line in blockio.v2_lines(limits, disks):
                    self._write(blockio.V2_MAX, line)
            self._stat = self._open("cpu.stat")
            if os.geteuid() == 0:
                self._entry = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._directory)
        except OSError as fault:
            self._abandon()
            raise files.failed("prepare", f"{self.path}/{fault.filename or ''}", b"", fault) from fault
        except BaseException:
            self._abandon()
            raise

    def _open(self, file: str) -> int:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)

    def _pread(self, fd: int) -> bytes:
        try:
            return os.pread(fd, files.READ_BYTES, 0)
        except OSError as fault:
            if fault.errno != errno.ENODEV:
                raise
            # systemd removes all below a unit that has ended
            raise SupervisorError(f"{self.path} was removed during the run: whoever gave {self._base} took it back"
                                  ) from fault  # fmt: skip

    def _write(self, file: str, value: bytes) -> None:
        try:
            files.write(file, value, self._directory)
        except OSError as fault:
            fix = f"see cgroup.controllers and the limits of {self._base}"
            raise files.failed("write", f"{self.path}/{file}", value, fault, fix) from fault

    def _limit_memory(self) -> None:
        if self._limits.mem_bytes is not None:
            self._write("memory.max", b"%d" % self._limits.mem_bytes)
            try:
                files.write("memory.swap.max", b"%d" % self._limits.swap_bytes, self._directory)
            except FileNotFoundError:
                if swap_in_use():
                    raise HostError(
                        "the kernel does not account swap, so swapping dodges a memory limit",
                        "boot with swapaccount=1, or run `swapoff -a`",
                    ) from None
            try:
                files.write("memory.oom.group", b"1", self._directory)
            except FileNotFoundError:
                pass  # kernel < 4.19 kills one process; the caller ends the rest
        self._events = self._open("memory.events")
        # kernfs reports an event until the first read (kernfs_generic_poll), so read once before anyone polls.
        os.pread(self._events, files.READ_BYTES, 0)

    def _limit_cpuset(self, asked: str) -> None:
        allowed = files.read(f"{self._base}/cpuset.cpus.effective")
        outside = files.cpus(asked.encode()) - files.cpus(allowed)
        if outside:
            # The kernel would take it and quietly use the parent's cpus instead.
            raise HostError(
                f"cpuset {asked}: cpu {min(outside)} is not among those of {self._base}",
                f"choose from {allowed.decode().strip()}",
            )
        self._write("cpuset.cpus", asked.encode())

    def _close_fds(self) -> None:
        open_fds = [fd for fd in (self._directory, self._stat, self._events, self._entry) if fd >= 0]
        self._directory = self._stat = self._events = self._entry = -1
        for fd in open_fds:
            os.close(fd)

    def _abandon(self) -> None:
        self._close_fds()
        files.remove(self.path, 0)

    def attach_fds(self) -> tuple[int, ...]:
        """None: the init is born inside. But root's spawner is not root and may not clone into a directory
        of root's; there the init moves itself, through a file that root has opened (CVE-2021-4197: the
        opener's rights count), and waits the 10 to 24 ms that a move can take."""
        return (self._entry,) if self._entry >= 0 else ()

    def clone_fd(self) -> int | None:
        """The leaf's directory."""
        return self._directory if self._entry < 0 else None

    def baseline_fd(self) -> int | None:
        """cpu.stat; the three lines that matter come first."""
        return self._stat

    def open_gauges(self, swap: bool) -> dict[str, tuple[int, bool]]:
        """memory.current, pids.current, and memory.swap.current, which counts swap alone."""
        names = {"memory": "memory.current"} if "memory" in self._controllers else {}
        if swap and names:
            names["swap"] = "memory.swap.current"
        if "pids" in self._controllers:
            names["tasks"] = "pids.current"
        return files.open_all({what: (f"{self.path}/{name}", False) for what, name in names.items()})

    def event_fds(self) -> tuple[int, ...]:
        """memory.events: POLLPRI (and POLLERR) until it is read again, which oom_kills() does."""
        return (self._events,) if self._events >= 0 else ()

    def cpu_ns(self) -> int | None:
        """usage_usec of cpu.stat, which every cgroup but the root has, controllers or not."""
        if self._stat < 0:
            return None
        self._watch_memory()
        usage_us = files.keyed(self._pread(self._stat), b"usage_usec")
        return None if usage_us is None else usage_us * 1000

    def polls_memory(self) -> bool:
        """Without memory.peak (kernel < 5.19) the highest value seen at the polls is all there is."""
        if self._polls is None:
            self._polls = self._events >= 0 and files.read_or_none("memory.peak", self._directory) is None
        return self._polls

    def _watch_memory(self) -> None:
        if self.polls_memory():
            now = files.number(files.read_or_none("memory.current", self._directory)) or 0
            self._highest_bytes = max(self._highest_bytes, now)

    def baseline_ns(self, raw: bytes) -> int:
        """usage_usec in what the init read; 0 if it never got to read it."""
        return (files.keyed(raw, b"usage_usec") or 0) * 1000

    def oom_kills(self) -> int | None:
        """``oom_kill`` of memory.events; at least 1 means that the kernel killed here for memory."""
        return files.keyed(self._pread(self._events), b"oom_kill") if self._events >= 0 else None

    def kill(self) -> None:
        """cgroup.kill (kernel 5.14) where it is there. The CPU quota and the I/O limits go first: a throttled tree
        dies slowly, and a process that waits for the disk does not die at all."""
        if self._directory < 0:
            return
        try:
            if self._limits.cpu_milli is not None and "cpu" in self._controllers:
                files.write("cpu.max", b"max", self._directory)
            if "io" in self._controllers and blockio.wanted(self._limits):
                blockio.lift(self.path)
            files.write("cgroup.kill", b"1", self._directory)
        except FileNotFoundError:
            pass  # an older kernel, or the directory is gone: the caller's pid namespace does it
        except OSError as fault:
            if fault.errno != errno.ENODEV:  # gone in between
                raise

    def usage(self, baseline: bytes) -> Usage:
        """The final numbers; call it before close()."""
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        stat = self._pread(self._stat)
        for name, key in (("cpu_ns", b"usage_usec"), ("user_ns", b"user_usec"), ("system_ns", b"system_usec")):
            end_us, start_us = files.keyed(stat, key), files.keyed(baseline, key) or 0
            values[name] = None if end_us is None else max(0, end_us - start_us) * 1000
            sources[name] = f"cgroup v2 cpu.stat {key.decode()}"
        throttled_us = files.keyed(stat, b"throttled_usec")
        if throttled_us is not None and "cpu" in self._controllers:
            values["throttled_ns"] = throttled_us * 1000
            sources["throttled_ns"] = "cgroup v2 cpu.stat throttled_usec"
        if self._events >= 0:
            peak = self._number("memory", "memory.peak")
            values["memory_peak_bytes"] = peak
            sources["memory_peak_bytes"] = "cgroup v2 memory.peak (with page cache)"
            if peak is None:
                self._watch_memory()
                values["memory_peak_bytes"] = self._highest_bytes or None
                sources["memory_peak_bytes"] = "cgroup v2 memory.current, polled (memory.peak needs kernel 5.19)"
            values["oom_kills"] = self.oom_kills()
            sources["oom_kills"] = "cgroup v2 memory.events oom_kill"
        if "pids" in self._controllers:
            peak = self._number("pids", "pids.peak")
            values["processes_peak"] = None if peak is None else max(0, peak - INIT_TASKS)
            sources["processes_peak"] = "cgroup v2 pids.peak (kernel 6.1)"
            events = files.read_or_none("pids.events", self._directory) or b""
            values["pids_denied"] = files.keyed(events, b"max")
            sources["pids_denied"] = "cgroup v2 pids.events max"
        if "io" in self._controllers:
            stat = files.read_or_none(blockio.V2_STAT, self._directory) or b""
            values["io_read_bytes"], values["io_write_bytes"] = blockio.v2_bytes(stat)
            sources["io_read_bytes"] = sources["io_write_bytes"] = f"cgroup v2 {blockio.V2_STAT} (with the setup)"
        return Usage(**values, sources=sources)

    # ---- while it runs ----

    def _file(self, controller: str, name: str) -> str:
        return f"{self.path}/{name}" if controller in self._controllers else ""

    def _procs(self) -> str:
        return f"{self.path}/cgroup.procs"

    def frozen(self) -> bool:
        """``frozen 1`` of cgroup.events."""
        return files.keyed(files.read_or_none(f"{self.path}/cgroup.events") or b"", b"frozen") == 1

    def _set_frozen(self, on: bool) -> None:
        try:
            files.write(f"{self.path}/cgroup.freeze", b"1" if on else b"0")
        except FileNotFoundError:
            raise HostError("this kernel cannot freeze a cgroup v2", "use Linux 5.2 or newer") from None

    def _update_memory(self, limits: Limits) -> None:
        asked = limits.mem_bytes
        self._need("memory", "memory.max", "mem")
        if asked is not None and asked < (self.stats()["memory_bytes"] or 0):
            raise self._too_much(asked)  # the kernel would end it
        self._put("memory", "memory.max", b"max" if asked is None else b"%d" % asked, "mem")
        if os.path.exists(self._file("memory", "memory.swap.max")):
            self._put("memory", "memory.swap.max", b"max" if asked is None else b"%d" % limits.swap_bytes, "swap")

    def _update_cpus(self, milli: int | None) -> None:
        quota = b"max" if milli is None else b"%d" % quota_us(milli)
        self._put("cpu", "cpu.max", quota + b" %d" % PERIOD_US, "cpus")

    def _update_cpuset(self, cpus: str | None) -> None:
        self._need("cpuset", "cpuset.cpus", "cpuset")
        if cpus is None:
            self._write("cpuset.cpus", b"\n")
        else:
            self._limit_cpuset(cpus)

    def _update_io(self, limits: Limits) -> None:
        self._need("io", blockio.V2_MAX, "io_read, io_write")
        blockio.lift(self.path)
        for line in blockio.v2_lines(limits, self._disks):
            self._write(blockio.V2_MAX, line)

    def stats(self) -> dict[str, int | None]:
        """See Control."""
        cpu = files.read_or_none(f"{self.path}/cpu.stat") or b""
        used, throttled = files.keyed(cpu, b"usage_usec"), files.keyed(cpu, b"throttled_usec")
        found: dict[str, int | None] = {
            "memory_bytes": held(self._number("memory", "memory.current"),
                                 self._key("memory", "memory.stat", b"inactive_file")),
            "memory_peak_bytes": self._number("memory", "memory.peak"),
            "cpu_ns": None if used is None else used * 1000, "pids": self._tasks(),
            "oom_kills": self._key("memory", "memory.events", b"oom_kill"),
            "throttled_ns": None if throttled is None else throttled * 1000,
            "io_read_bytes": None, "io_write_bytes": None,
        }  # fmt: skip
        if "io" in self._controllers:
            text = files.read_or_none(self._file("io", blockio.V2_STAT)) or b""
            found["io_read_bytes"], found["io_write_bytes"] = blockio.v2_bytes(text)
        return found

    def close(self) -> None:
        """Removes the directory; may be called again after a SupervisorError, and after success."""
        self._close_fds()
        if self._removed:
            return
        try:
            self._removed = files.remove(self.path, CLOSE_PATIENCE_NS)
        except OSError as fault:
            raise SupervisorError(f"cannot remove {self.path}: {(fault.strerror or '').lower()}") from fault
        if not self._removed:
            inside = ", ".join(map(str, files.pids(f"{self.path}/cgroup.procs"))) or "none that we can see"
            waited = CLOSE_PATIENCE_NS // 1_000_000
            raise SupervisorError(f"cannot remove {self.path}: still busy after {waited} ms (processes: {inside})")


class V2Backend:
    """Leaves under ``base``; ``controllers`` are those that leaves there have."""

    name = "v2"
    family = 0

    def __init__(
        self, base: str, controllers: frozenset[str], where: str, fix: str, keeper: Keeper | None = None
    ) -> None:
        self._base, self._controllers, self._fix = base, controllers, fix
        self.where, self.keeper = where, keeper
        # cgroup-v2.rst, "Writeback": it takes both controllers to charge a dirty page to who made it dirty.
        self.charges_writeback = {"memory", "io"} <= controllers
        # io.max is missing without CONFIG_BLK_DEV_THROTTLING; the root cgroup never has it.
        self._throttle = "io" in controllers and (
            os.path.exists(f"{base}/{blockio.V2_MAX}") or not os.path.exists(f"{base}/cgroup.events")
        )
        # memory.swap.max is missing with swapaccount=0; without swap there is nothing to account. The root
        # cgroup never has the file, so there the leaf finds out.
        self._swap = (
            not os.path.exists(f"{base}/memory.max") or os.path.exists(f"{base}/memory.swap.max") or not swap_in_use()
        )

    def enforces(self) -> dict[str, str]:
        """By the controllers that leaves have; CPU time needs none."""
        memory = "memory" in self._controllers and self._swap
        words = {
            "mem": "cgroup v2 memory.max" if memory else "",
            "swap": "cgroup v2 memory.swap.max" if memory else "",
            "time": "cgroup v2 cpu.stat, polled",
            "pids": "cgroup v2 pids.max" if "pids" in self._controllers else "",
            "cpus": "cgroup v2 cpu.max" if "cpu" in self._controllers else "",
            "cpuset": "cgroup v2 cpuset.cpus" if "cpuset" in self._controllers else "",
            "io_read": "cgroup v2 io.max" if self._throttle else "",
            "io_write": "cgroup v2 io.max" if self._throttle else "",
        }
        return {limit: by for limit, by in words.items() if by}

    def missing(self, limit: str) -> str:
        """Why, and the one fix."""
        needed = {"mem": "memory", "swap": "memory", "cpus": "cpu", "io_read": "io", "io_write": "io"}.get(limit, limit)
        if needed not in self._controllers:
            return f"{limit} cannot be enforced: {self._base} has no {needed} controller to give; {self._fix}"
        if needed == "io":
            why = "the kernel has no I/O throttling; use one built with CONFIG_BLK_DEV_THROTTLING"
            return f"{limit} cannot be enforced: {why}"
        return f"{limit} cannot be enforced: the kernel does not account swap; boot with swapaccount=1, or `swapoff -a`"

    def parents(self) -> tuple[str, ...]:
        """The one directory."""
        return (self._base,)

    def cpus(self) -> frozenset[int]:
        """cpuset.cpus.effective of the base."""
        if "cpuset" not in self._controllers:
            return frozenset()
        return files.cpus(files.read_or_none(f"{self._base}/cpuset.cpus.effective"))

    def open(self, limits: Limits, disks: tuple[str, ...] = (), whole: bool = False) -> V2Leaf:
        """A fresh leaf, which has every controller in any case; raises HostError and leaves nothing behind."""
        return V2Leaf(self._base, self._controllers, limits, disks, self.family)

    def below(self, name: str) -> V2Backend:
        """Leaves under the cgroup ``name`` here, which exists; ``enable`` it first."""
        where = f"{self.where}, below {name}"
        inner = V2Backend(f"{self._base}/{name}", self._controllers, where, self._fix, self.keeper)
        inner.family = self.family
        return inner

    def enable(self) -> None:
        """Give leaves the controllers. Raises HostError, as while processes are beside them."""
        control = f"{self._base}/cgroup.subtree_control"
        text = " ".join(f"+{name}" for name in sorted(self._controllers)).encode()
        try:
            if text:
                files.write(control, text)
        except OSError as fault:
            raise files.failed("write", control, text, fault) from fault
