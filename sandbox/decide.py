"""Request -> Decision: all that is decided of a run before anything is made for it.

``pysandbox plan`` stops here; a run goes on to make its cgroup and to launch.
"""

from __future__ import annotations

import os
import time

from . import landlock
from . import plan as planning
from .enforce import capability_notes, disk_notes, disks_of, enforcement
from .listening import Listening
from .listening import decide as listening_for
from .procview import PLAIN, matters
from .record import Record
from .seccomp import EVERY_CALL, filter_for
from .validate import validate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cgroup.protocol import Backend
    from .disks import Disks
    from .host import HostFacts
    from .plan import LaunchPlan
    from .procview import View
    from .request import Request
    from .seccomp import Filter
    from .spec import Limits, Spec
    from .steps import Step
    from .warm import Warm


class Decision(Record):
    """One run, decided. ``cpus``: its affinity, () for the caller's; ``listening``: what its listener is for."""

    spec: Spec
    host: HostFacts
    backend: Backend
    disks: Disks | None
    enforced: dict[str, str]
    not_enforced: dict[str, str]
    filter: Filter
    cpus: tuple[int, ...]
    view: View
    listening: Listening | None
    listening_notes: tuple[str, ...]

    @property
    def answers(self) -> bool:
        """Is sysinfo(2) answered?"""
        return self.listening is not None and self.listening.sysinfo

    @property
    def listens(self) -> bool:
        """Does the init take a listener?"""
        return planning.listens(self.listening)

    @property
    def limits(self) -> Limits:
        """For the cgroup: lxcfs on v1 counts the CPUs of a cpuset, so the view may need one."""
        limits = self.spec.limits
        return limits.replace(cpuset=self.view.cpuset) if self.view.cpuset else limits

    @property
    def notes(self) -> tuple[str, ...]:
        """What a careful reader of the Result should know and is known already."""
        return (*disk_notes(self.backend, self.disks, self.enforced), *capability_notes(self.spec), *self.view.notes,
                *self.listening_notes,
                *landlock.notes(self.spec, self.host, "pids" in self.enforced))  # fmt: skip

    def plan(
        self, attach: tuple[str, ...], baseline: bool, gauges: Mapping[str, bool] | None,
        setup: tuple[Step, ...] | None = None,
    ) -> LaunchPlan:  # fmt: skip
        """The steps; ``setup`` where the caller has those of an equal setup already."""
        return planning.build(
            self.spec, self.host, seccomp=self.filter.program or None, asking=self.filter.asking,
            attach=attach, baseline=baseline, cpus=self.cpus,
            rlimit_nproc="pids" not in self.backend.enforces(), clocks_ns=_clocks(),
            window=window() if self.spec.tty else (0, 0), setup=setup, gauges=gauges, view=self.view,
            listening=self.listening,
        )  # fmt: skip

    def foreseen_plan(self) -> LaunchPlan:
        """As ``plan``, without a cgroup that has been made: named as they would be."""
        gauges = None
        if self.answers:
            offered = self.backend.enforces()
            gauges = {"memory": False} if "mem" in offered else {}
            if gauges and self.spec.limits.swap_bytes:
                gauges["swap"] = self.backend.name == "v1"
            if "pids" in offered:
                gauges["tasks"] = False
        attach = tuple(f"cgroup {name}" for name in self._hierarchies()) if self.backend.name == "v1" else ()
        return self.plan(attach, self.backend.name != "none", gauges)

    def _hierarchies(self) -> list[str]:
        """The v1 hierarchies that a leaf of this run has a directory in."""
        from .cgroup.blockio import wanted

        names = [p.split("/")[-1] if p.count("/") < 5 else p.split("/")[4] for p in self.backend.parents()]
        needed = {"cpu": self.limits.cpu_milli is not None, "cpuset": self.limits.cpuset is not None,
                  "blkio": wanted(self.limits), "freezer": False}  # fmt: skip
        return [name for name in names if needed.get(name, True) or self.spec.leaf]


def decide(request: Request, warm: Warm, *, prepare: bool = True) -> Decision:
    """Raises RequestError, PolicyError, HostError. With ``prepare=False`` no cgroup is touched."""
    spec = validate(request)
    compiled = filter_for(spec.policy)
    spec = spec.with_capabilities(compiled.capabilities)  # what the policy keeps comes in here
    host = warm.facts()
    landlock.require(spec, host)
    backend = warm.backend(spec, prepare)
    disks = disks_of(spec, host, request)
    enforced, not_enforced = enforcement(spec, backend, disks)
    if compiled.asks and not spec.notify:
        from .errors import PolicyError

        raise PolicyError(spec.policy, 0, "", "has notify rules, and nobody listens; give notify= a callable")
    if spec.notify_all:  # the policy's answers are the handler's to give
        compiled = compiled.replace(program=EVERY_CALL, asks=True)
    cpus: tuple[int, ...] = ()
    if spec.limits.cpuset is not None or spec.limits.cpu_milli is not None:
        from .procview.cpus import affinity

        cpus = affinity(spec.limits, sorted(os.sched_getaffinity(0)), warm.cpu_position)
        warm.cpu_position += len(cpus)
    view = PLAIN
    if matters(spec, enforced):
        from .procview.choose import choose

        view = choose(spec, warm.figures(), enforced=enforced, backend=backend.name, affinity=cpus,
                      leaf_cpus=backend.cpus)  # fmt: skip
    listening, notes = listening_for(spec, host, limited="mem" in enforced, reports=compiled.asking != compiled.program)
    return Decision(spec=spec, host=host, backend=backend, disks=disks, enforced=enforced, not_enforced=not_enforced,
                    filter=compiled, cpus=cpus, view=view, listening=listening, listening_notes=notes)  # fmt: skip


def _clocks() -> tuple[int, int]:
    """The monotonic and the boot clock, which the sandbox's time namespace sets back to zero."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC), time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def window(terminal: int = 0) -> tuple[int, int]:
    """Rows and columns of our terminal, for the program's own."""
    try:
        size = os.get_terminal_size(terminal)
    except OSError:  # no terminal: the program's has no size until somebody sets one
        return 0, 0
    return size.lines, size.columns
