"""Spec + HostFacts -> LaunchPlan: the rooms' steps in the one order that works.

Pure: nothing is opened, made or asked here. ``pysandbox plan`` prints what this returns.
"""

from __future__ import annotations

from . import fs, identity, landlock, net, procfs
from .procview import PLAIN
from .record import Record
from .steps import (
    Affinity,
    Attach,
    Channel,
    Exec,
    HandOut,
    Keyring,
    Listen,
    OpenNamespaces,
    Rlimit,
    Seccomp,
    Session,
    Started,
    Step,
    Stream,
    SwitchRoot,
    UnshareCgroup,
    UnshareTime,
    Wait,
)  # fmt: skip
from .units import UNLIMITED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .host import HostFacts
    from .listening import Listening
    from .procview import View
    from .spec import Limits, Spec

# sched.h
CLONE_FLAGS = {"user": 0x10000000, "pid": 0x20000000, "mount": 0x00020000, "net": 0x40000000, "ipc": 0x08000000,
               "uts": 0x04000000}  # fmt: skip

# asm-generic/resource.h
RLIMITS = {"CPU": 0, "FSIZE": 1, "DATA": 2, "STACK": 3, "CORE": 4, "NPROC": 6, "NOFILE": 7, "MEMLOCK": 8,
           "MSGQUEUE": 12, "NICE": 13, "RTPRIO": 14}  # fmt: skip

_SYS_CHROOT = 18  # linux/capability.h


class LaunchPlan(Record):
    """All that the spawner needs.

    ``setup`` makes the sandbox and holds nothing of the run, so that the spawner may do it ahead (unless
    it names fds, or the init is born into the run's cgroup); ``enter`` is what the init does for this
    run; ``program`` is done by the program's own process.
    """

    clone_flags: int
    fresh_net: bool
    user_namespace: bool
    ids: str
    setup: tuple[Step, ...]
    enter: tuple[Step, ...]
    program: tuple[Step, ...]
    argv: tuple[bytes, ...]
    env: tuple[bytes, ...]
    time_offset_ns: int = 0
    joins: bool = False  # a sandbox that is there; ``setup`` enters it

    def describe(self) -> list[str]:
        """One line a step, in order."""
        made = [n for n, flag in CLONE_FLAGS.items() if self.clone_flags & flag]
        if self.fresh_net:
            made.append("net (prepared, unused by any other run)")
        lines = [f"clone the init into new namespaces: {', '.join(made) or 'none'}"]
        if self.joins:
            lines = ["clone a process that joins the sandbox"]
        lines += [step.describe() for step in self.setup]
        lines.append("take the order of this run (the sandbox may have been made ahead)")
        lines += [step.describe() for step in self.enter]
        lines.append("fork the program from the init")
        lines += [step.describe() for step in self.program]
        return lines


def build(
    spec: Spec,
    host: HostFacts,
    *,
    seccomp: bytes | None,
    asking: bytes = b"",
    attach: tuple[str, ...] = (),
    baseline: bool = False,
    cpus: tuple[int, ...] = (),
    rlimit_nproc: bool = True,
    clocks_ns: tuple[int, int] = (0, 0),
    window: tuple[int, int] = (0, 0),
    setup: tuple[Step, ...] | None = None,
    gauges: Mapping[str, bool] | None = None,
    view: View = PLAIN,
    listening: Listening | None = None,
) -> LaunchPlan:
    """Order the steps.

    ``seccomp`` is the compiled filter or None, ``asking`` the one that asks about what it
    refuses; ``attach`` the roles of the cgroup files to enter by,
    ``baseline`` whether there is a CPU counter to read; ``cpus`` an affinity mask where the CPUs are
    limited by one; ``rlimit_nproc`` whether RLIMIT_NPROC is what bounds the processes;
    ``clocks_ns`` the monotonic and the boot clock now, for the time namespace; ``window`` rows and columns
    of the terminal; ``setup`` the result of ``setup_steps`` for an equal spec, where the caller has it already;
    ``gauges`` what ``sysinfo.enter`` takes, None if sysinfo(2) is left to the kernel; ``view`` the figures in /proc;
    ``listening`` what the run's seccomp listener is for, None if it has none.
    """
    flags = 0
    for name, flag in CLONE_FLAGS.items():
        if spec.has(name) and not (name == "net" and net.fresh(spec)):
            flags |= flag
    # Entered as late as possible: what the setup used is not billed to the program. The cgroup
    # namespace after it, or its root would be the spawner's cgroup (CVE-2023-25809).
    enter: list[Step] = [*procfs.enter(view), *(Attach(fd=role) for role in attach)]
    if spec.has("cgroup"):
        enter.append(UnshareCgroup())
    if spec.has("time"):
        enter.append(UnshareTime(monotonic_ns=clocks_ns[0], boottime_ns=clocks_ns[1]))
    if gauges is not None:
        from . import sysinfo

        enter += sysinfo.enter(spec, host, gauges, clocks_ns[1] if spec.has("time") else 0)
    enter += landlock.enter(spec)
    if spec.joinable:
        enter.append(HandOut())
    return LaunchPlan(
        clone_flags=flags,
        fresh_net=net.fresh(spec),
        user_namespace=spec.has("user"),
        ids=spec.ids,
        setup=setup_steps(spec, host, view, listens(listening)) if setup is None else setup,
        enter=tuple(enter),
        program=program_steps(spec, host, seccomp, asking, baseline, cpus, rlimit_nproc, window, listening),
        argv=spec.argv,
        env=tuple(k + b"=" + v for k, v in spec.env),
        time_offset_ns=clocks_ns[0] if spec.has("time") else 0,
    )


def listens(listening: Listening | None) -> bool:
    """Is the init to take a listener?"""
    return listening is not None and not listening.notify


def setup_key(spec: Spec, view: View = PLAIN, listens: bool = False) -> tuple[object, ...]:
    """All that ``setup_steps`` looks at, but for the host: equal keys, equal steps (a test holds this)."""
    limits = spec.limits
    return (spec.absent, spec.ids, spec.uid, spec.gid, spec.hostname,
            spec.hostname_asked, limits.disk_bytes, limits.inodes, spec.rootfs, spec.overlays, spec.devices,
            spec.workdir, spec.volumes, spec.tmpfs, spec.program, spec.program_inode, spec.tty, spec.kept,
            view.key(), listens,
            spec.landlock, spec.isolation, spec.net)  # fmt: skip


def setup_steps(spec: Spec, host: HostFacts, view: View = PLAIN, listens: bool = False) -> tuple[Step, ...]:
    """The steps that make the sandbox; they depend on nothing but these four."""
    setup: list[Step] = [*identity.setup(spec), *net.setup(spec)]
    if spec.has("mount"):
        setup += [*fs.setup(spec, host), *procfs.setup(spec, host, view), *fs.finish(spec)]
        if view.served and spec.has("user"):
            setup.append(OpenNamespaces())
        # chroot(2) is no jail for a program that may call it
        setup.append(SwitchRoot(or_chroot=not spec.keeps(_SYS_CHROOT)))
    setup += landlock.setup(spec, host)
    if listens:
        setup.append(Listen())
    return tuple(setup)


def program_steps(
    spec: Spec, host: HostFacts, seccomp: bytes | None, asking: bytes, baseline: bool,
    cpus: tuple[int, ...], rlimit_nproc: bool, window: tuple[int, int], listening: Listening | None,
) -> tuple[Step, ...]:
    """The steps of the program's process, up to its exec."""
    steps: list[Step] = [Session(tty=spec.tty, rows=window[0], columns=window[1])]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        steps.append(Stream(number=number, role="pty" if spec.tty else name))
    steps += [Stream(number=number, role=f"pass:{number}") for number in spec.pass_fds]
    if spec.has("mount") or spec.scratch is not None:
        steps += fs.program(spec)
    steps.append(Keyring())
    if cpus:
        steps.append(Affinity(cpus=cpus))
    if listening is not None:
        steps.append(Channel(number=listening.number, to_python=listening.notify))
    steps += _rlimits(spec.limits, rlimit_nproc and spec.has("user"))
    steps += identity.program(spec)
    steps += identity.lock(spec)
    steps += landlock.program(spec, host)
    if spec.gated:
        steps.append(Wait(fd="gate"))
    steps.append(Started(baseline=baseline))
    if listening is not None:
        from .listening import filter_of

        loaded = filter_of(seccomp or b"", asking, listening, host.machine)
        listener = "python" if listening.notify else "init"
        steps.append(Seccomp(policy=spec.policy, program=seccomp or b"", asking=loaded, listener=listener,
                             required=listening.required))  # fmt: skip
    elif seccomp:
        steps.append(Seccomp(policy=spec.policy, program=seccomp))
    steps.append(Exec(candidates=_candidates(spec)))
    return tuple(steps)


def _rlimits(limits: Limits, nproc: bool) -> list[Step]:
    values: dict[str, int | None] = {
        # 1 is less than any core file, and the one value at which the kernel also spares the handler that
        # the host may pipe core files to, which runs as root outside (fs/coredump.c). Policies keep it.
        "CORE": max(1, limits.core_bytes) if limits.core_bytes != UNLIMITED else UNLIMITED,
        "NOFILE": limits.nofile,
        "FSIZE": limits.fsize_bytes,
        "STACK": limits.stack_bytes,
        # Counted for each user namespace since Linux 5.14, so for this run alone; one more for the init.
        "NPROC": limits.pids + 1 if nproc else None,
        "MEMLOCK": 8 << 20,
        "MSGQUEUE": 819200,  # the kernel's default; POSIX message queues are kernel memory
        "NICE": 0,
        "RTPRIO": 0,
    }
    return [
        Rlimit(name=n, resource=RLIMITS[n], soft=v, hard=v, or_less=n.lower() not in limits.asked)
        for n, v in values.items()
        if v is not None
    ]


def _candidates(spec: Spec) -> tuple[bytes, ...]:
    """What to execute: a path as it is, a bare name in each directory of the sandbox's PATH."""
    if spec.program and spec.isolation == "landlock":
        return (spec.program.encode("utf-8", "surrogateescape"),)
    if spec.program:
        return (fs.app_path(spec.program).encode("utf-8", "surrogateescape"),)
    name = spec.argv[0]
    if b"/" in name:
        return (name,)
    path = dict(spec.env).get(b"PATH", b"/usr/bin:/bin")
    return tuple(d + b"/" + name for d in path.split(b":") if d)
