"""The sysinfo room: is sysinfo(2) answered from the limits, and by which steps.

/proc/meminfo is a file and can be another one; sysinfo(2), which sysconf(_SC_PHYS_PAGES), busybox and many
runtimes ask for the size of the machine, can only be answered by a seccomp listener (native/sysinfo.c).
"""

from __future__ import annotations

import errno
import os

from .errors import HostError
from .steps import AnswerSysinfo, Gauge, Listen, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .host import HostFacts
    from .spec import Spec

# /proc/sys/kernel/yama/ptrace_scope: from 2 on CAP_SYS_PTRACE is asked for, at 3 nobody may attach.
_YAMA_CAPABILITY, _YAMA_NOBODY = 2, 3


def wanted(spec: Spec, host: HostFacts, limited: bool) -> bool:
    """Is sysinfo(2) to be answered in this run? ``limited``: is a limit of memory enforced?

    Raises HostError where it was asked for by name and cannot be.
    """
    if spec.sysinfo == "off" or (spec.sysinfo == "auto" and not limited):
        return False
    why, fix = _obstacle(spec, host)
    if why and spec.sysinfo == "on":
        raise HostError(f"sysinfo(2) cannot be answered: {why}", fix)
    return not why


def _obstacle(spec: Spec, host: HostFacts) -> tuple[str, str]:
    """What is in the way and what to do about it; empty if nothing is."""
    if not spec.has("mount") and spec.has("pid"):  # spec.validate() refuses it with sysinfo="on"
        return "the program's processes are not in the host's /proc", "leave out pid as well"
    if host.listener_errno:
        said = os.strerror(host.listener_errno).lower()
        if host.listener_errno in (errno.EINVAL, errno.ENOSYS):
            said = "the kernel has no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
        return said, "use Linux 5.19 or newer, or --sysinfo off"
    if host.ptrace_scope >= _YAMA_NOBODY or (host.ptrace_scope >= _YAMA_CAPABILITY and not spec.has("user")):
        fix = "an administrator: sysctl -w kernel.yama.ptrace_scope=1 (from 3 only by a reboot), or --sysinfo off"
        return f"kernel.yama.ptrace_scope is {host.ptrace_scope}", fix
    return "", ""


def enter(spec: Spec, host: HostFacts, gauges: Mapping[str, bool], boottime_ns: int) -> tuple[Step, ...]:
    """Steps of the init. ``gauges``: what the cgroup tells ("memory", "swap", "tasks") and whether memory is
    counted in it as well; ``boottime_ns``: the boot clock when the sandbox's began, 0 if it has none."""
    limits = spec.limits
    told = limits.mem_bytes is not None and "memory" in gauges
    return (
        AnswerSysinfo(
            mem_bytes=limits.mem_bytes if told else None, swap_bytes=limits.swap_bytes if told else None,
            # ptrace(2): whoever looks into a process needs all that it has, or CAP_SYS_PTRACE
            boottime_ns=boottime_ns, ptrace=host.ptrace_scope >= _YAMA_CAPABILITY or spec.kept != 0,
        ),
        *(Gauge(what=what, fd=f"gauge:{what}", with_memory=both) for what, both in gauges.items()),
    )  # fmt: skip


def program(spec: Spec) -> tuple[Step, ...]:
    """The step of the program's process."""
    return (Listen(required=spec.sysinfo == "on"),)
