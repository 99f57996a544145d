"""The sysinfo room: what sysinfo(2) tells.

/proc/meminfo is a file and can be another one; sysinfo(2), which sysconf(_SC_PHYS_PAGES), busybox and many
runtimes ask for the size of the machine, can only be answered by a seccomp listener (listening.py, native/sysinfo.c).
"""

from __future__ import annotations

from .listening import YAMA_CAPABILITY
from .steps import AnswerSysinfo, Gauge, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .host import HostFacts
    from .spec import Spec


def enter(spec: Spec, host: HostFacts, gauges: Mapping[str, bool], boottime_ns: int) -> tuple[Step, ...]:
    """Steps of the init. ``gauges``: what the cgroup tells ("memory", "swap", "tasks") and whether memory is
    counted in it as well; ``boottime_ns``: the boot clock when the sandbox's began, 0 if it has none."""
    limits = spec.limits
    told = limits.mem_bytes is not None and "memory" in gauges
    return (
        AnswerSysinfo(
            mem_bytes=limits.mem_bytes if told else None, swap_bytes=limits.swap_bytes if told else None,
            # ptrace(2): whoever looks into a process needs all that it has, or CAP_SYS_PTRACE
            boottime_ns=boottime_ns, ptrace=host.ptrace_scope >= YAMA_CAPABILITY or spec.kept != 0,
        ),
        *(Gauge(what=what, fd=f"gauge:{what}", with_memory=both) for what, both in gauges.items()),
    )  # fmt: skip
