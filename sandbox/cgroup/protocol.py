"""The Cgroup protocol: what every backend offers to the plan and to the supervisor.

Order of events of one run:

    backend = delegation.find(spec, host)     once a process for each kind of answer; raises HostError
    backend.enforces()                        limit name -> words; the plan refuses what is missing
    leaf = backend.open(limits, disks)        a fresh leaf with its limits set, nothing in it yet
    leaf.attach_fds()                         v1: ``tasks`` files that the init writes "0" to
    leaf.clone_fd()                           v2: directory for CLONE_INTO_CGROUP
    leaf.baseline_fd()                        the init reads it just before the program starts
    leaf.cpu_ns() leaf.oom_kills() ...        polled by the supervisor
    leaf.kill()                               whatever this kind of cgroup can do to end all at once
    leaf.usage(baseline)                      the final numbers, each with its source
    leaf.close()                              rmdir; raises SupervisorError if it stays busy

A leaf is never reused: a reused one carries oom_kill and peak into the next verdict.
Leaf names are ``pysandbox-<pid>-<starttime>-<n>`` of the caller, so that whoever comes next (the
spawner when the caller dies, the next command when both died) can tell an orphan and remove it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ..keeper.client import Keeper
    from ..result import Usage
    from ..spec import Limits

    class Leaf(Protocol):
        """The cgroup of one run."""

        event_mask: int  # what epoll is to look for on ``event_fds``

        def attach_fds(self) -> tuple[int, ...]: ...
        def clone_fd(self) -> int | None: ...
        def baseline_fd(self) -> int | None:
            """A file (cpuacct.usage or cpu.stat) of which the init sends up to 512 bytes back at exec."""

        def open_gauges(self, swap: bool) -> dict[str, tuple[int, bool]]:
            """Files that tell the use of "memory", "tasks" and (if asked for) "swap": fds that are the caller's to
            close, and whether memory is counted in it as well. What is not accounted is not there."""

        def event_fds(self) -> tuple[int, ...]:
            """fds on which ``event_mask`` is reported when memory events happen; may be empty."""

        def cpu_ns(self) -> int | None:
            """CPU time of everything ever in the leaf, nanoseconds; None if not accounted."""

        def baseline_ns(self, raw: bytes) -> int:
            """The CPU time in what the init read from ``baseline_fd``."""

        def polls_memory(self) -> bool:
            """Is the peak only known from cpu_ns() being called again and again?"""

        def oom_kills(self) -> int | None: ...
        def kill(self) -> None: ...
        def freeze(self) -> None:
            """All processes stand still when it returns (control.py, as all up to ``stats``)."""

        def thaw(self) -> None: ...
        def frozen(self) -> bool: ...
        def update(self, limits: Limits) -> None: ...
        def pids(self) -> list[int]: ...
        def stats(self) -> dict[str, int | None]: ...
        def usage(self, baseline: bytes) -> Usage: ...
        def close(self) -> None: ...

    class Backend(Protocol):
        """A place where leaves can be made."""

        name: str  # "v2", "v1", "none"
        where: str  # a sentence for doctor and for Result: which subtree, and who gave it
        charges_writeback: bool  # are pages that the kernel writes back later charged to the leaf?
        keeper: Keeper | None  # who starts spawners there; None: we do
        family: int  # of the names of its leaves (names.py)

        def enforces(self) -> dict[str, str]:
            """Limit name (mem, swap, time, pids, cpus, cpuset, io_read, io_write) -> what enforces it."""

        def missing(self, limit: str) -> str:
            """Why ``limit`` cannot be enforced here and the one thing to do about it."""

        def parents(self) -> tuple[str, ...]:
            """Absolute paths of the directories that hold our leaves (for sweeping)."""

        def cpus(self) -> frozenset[int]:
            """The CPUs that a leaf can be limited to; none without a cpuset controller."""

        def open(self, limits: Limits, disks: tuple[str, ...] = (), whole: bool = False) -> Leaf:
            """``disks`` are those that the I/O limits are for, as "254:0"; ``whole``: limits may come later."""

        def below(self, name: str) -> Backend:
            """A backend for leaves under the existing cgroup ``name`` here (a private lxcfs' own root)."""

        def enable(self) -> None:
            """Give the leaves of a backend that ``below`` made their controllers."""
