"""What a run has come to: its Result, made of what was seen of it.

A Supervision notes in ``Seen`` what it sees and does; ``result_of`` puts that together with the figures of the cgroup
and the output. The outcome is decided by what fired, by a declared order (``result.PRECEDENCE``); what is a fault of
ours is raised, and never looks like the program's. What may not live here: deadlines, kills, what decides that a run is
done.
"""

from __future__ import annotations

import os
from errno import ENOMEM
from time import monotonic_ns

from . import result as words
from .errors import SupervisorError
from .native._core import lib
from .result import Cause, Result, Usage
from .units import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .cgroup.protocol import Leaf
    from .native.peel import PeelWatch
    from .native.run import Event, Run
    from .raw import RawDenial
    from .spec import Spec
    from .streams import Streams

# Below this share of the wall time a run that ran out of it is called idle.
IDLE_SHARE = 0.1


class Seen:
    """Of one run, so far: its events, when they came, what was done to it and why. Times are CLOCK_MONOTONIC in
    nanoseconds, of the caller."""

    def __init__(self, *, listener_due: bool) -> None:
        self.began: Event | None = None
        self.began_ns: int | None = None
        self.failed: Event | None = None
        self.ended: Event | None = None
        self.end_ns: int | None = None
        self.kill_ns: int | None = None  # it was killed by us
        self.term_ns: int | None = None  # a signal was passed on
        self.causes: list[Cause] = []
        self.output = 0  # bytes
        self.notes = 0  # PYSB_NOTE_*
        self.listener_due = listener_due  # a listener is to come to us, and has not yet
        self.unheard = False
        self.denied: dict[int, bytes] = {}
        self.denials: bytes | None = None

    def blame(self, kind: str, detail: str) -> None:
        """Note a cause of the end, now; the first of a kind stays."""
        at = None if self.began_ns is None else monotonic_ns() - self.began_ns
        if all(c.kind != kind for c in self.causes):
            self.causes.append(Cause(kind=kind, detail=detail, at_ns=at))

    def blames(self, kind: str) -> bool:
        return any(c.kind == kind for c in self.causes)

    def refused(self) -> tuple[tuple[RawDenial, ...], int]:
        """The refused calls, and how many more there were of kinds that the init found no room to tell."""
        if not self.denied and self.denials is None:
            return (), 0
        from .raw import read

        return read(self.denied, self.denials)


def result_of(
    seen: Seen, run: Run, spec: Spec, leaf: Leaf | None, streams: Streams, filtered: bool, peel: PeelWatch | None,
    oom_around: Callable[[], bool],
) -> Result:  # fmt: skip
    """The facts of a run that is done. ``oom_around``: has the kernel killed at the memory limit of the sandbox that it
    has joined? Raises SetupError or SupervisorError: a fault that is not the program's."""
    failed = seen.failed
    exec_errno = 0
    if failed is not None:
        if not (failed.phase == lib.PYSB_PHASE_PROGRAM and failed.step == len(run.plan.program) - 1):
            if spec.joins and failed.phase == lib.PYSB_PHASE_SPAWN and failed.error == ENOMEM:
                raise SupervisorError("the sandbox has ended")  # clone(2): pid 1 of its pid namespace is gone
            raise run.failure(failed)
        exec_errno = failed.error
    if seen.began is None and seen.kill_ns is None and seen.term_ns is None and failed is None:
        if spec.joins:
            raise SupervisorError("the sandbox has ended, or the program was killed in it before it began")
        raise SupervisorError("the sandbox's init died while it built the sandbox")
    if _lost_listener(seen):
        raise SupervisorError("the seccomp listener did not come out of the program (too many fds under way?)")
    usage = _usage(seen, leaf, run.plan.time_offset_ns)
    if leaf is not None and usage.oom_kills:
        seen.blame(words.MEMORY, f"the kernel killed {usage.oom_kills} of its processes at the memory limit")
    exit_code, signal = _status(seen, exec_errno, spec.joins)
    if signal == 9 and oom_around():
        seen.blame(words.MEMORY, "the kernel killed at the memory limit of the sandbox")
    kind = _outcome(seen, exec_errno, exit_code, signal, usage, filtered)
    stdout, out_cut = streams.collected("stdout")
    stderr, err_cut = streams.collected("stderr")
    return Result(
        outcome=kind, exit_code=exit_code, signal=signal, causes=tuple(seen.causes), usage=usage,
        stdout=stdout, stderr=stderr, stdout_truncated=out_cut, stderr_truncated=err_cut,
        error=os.strerror(exec_errno) if exec_errno else "", notes=_notes(seen, peel),
    )  # fmt: skip


def _lost_listener(seen: Seen) -> bool:
    """Did the program's process end by SIGILL before its exec, because it could not pass its listener on?"""
    ended = seen.ended
    if ended is None or seen.unheard or not os.WIFSIGNALED(ended.status) or os.WTERMSIG(ended.status) != 4:
        return False
    return bool(seen.notes & lib.PYSB_NOTE_NO_LISTENER) or seen.listener_due


def _status(seen: Seen, exec_errno: int, joins: bool) -> tuple[int | None, int | None]:
    if exec_errno:
        # as shells do: 127 what is not there, 126 what cannot be executed
        return (words.EXIT_NOT_FOUND if exec_errno in (2, 20) else words.EXIT_NOT_EXECUTABLE), None
    if seen.ended is None:
        if seen.kill_ns is None and not joins and not seen.blames(words.MEMORY):
            raise SupervisorError("the sandbox's init died before the program ended")
        return None, 9
    status = seen.ended.status
    return (None, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), None)


def _outcome(
    seen: Seen, exec_errno: int, exit_code: int | None, signal: int | None, usage: Usage, filtered: bool
) -> str:  # fmt: skip
    if exec_errno:
        seen.blame(words.EXEC_FAILED, os.strerror(exec_errno))
    elif signal is not None:
        if signal == 31 and filtered:
            seen.blame(words.SYSCALL, f"killed by SIGSYS: {_deadly(seen)} that the policy answers with death")
        elif seen.kill_ns is None:
            seen.blame(words.SIGNALED, f"ended by signal {signal}")
    elif exit_code:
        seen.blame(words.EXITED, f"exit code {exit_code}")
    wall, cpu = usage.wall_ns, usage.cpu_ns
    if seen.blames(words.WALL_TIME) and wall and cpu is not None and cpu < IDLE_SHARE * wall:
        seen.blame(words.IDLE, f"used the CPU for {format_duration(cpu)} in {format_duration(wall)}")
    return next((k for k in words.PRECEDENCE if seen.blames(k)), words.OK)


def _deadly(seen: Seen) -> str:
    """The system call that the program died of, as far as it is known."""
    from .raw import deadly

    raw, _more = seen.refused()
    calls = set(deadly(raw))
    return f"system call {' or '.join(sorted(calls))}" if calls else "a system call"


def _usage(seen: Seen, leaf: Leaf | None, time_offset_ns: int) -> Usage:
    began, ended = seen.began, seen.ended
    wall = end = None
    sources = {"output_bytes": "counted by the supervisor"}
    if began is not None:
        if ended is not None:
            end = ended.at_ns
            wall = end - (began.at_ns + time_offset_ns)
            sources["wall_ns"] = "CLOCK_MONOTONIC in the sandbox, exec to exit"
            sources["ended_at_ns"] = "CLOCK_MONOTONIC of the init when it reaped the program"
        elif seen.end_ns is not None and seen.began_ns is not None:
            end = seen.end_ns
            wall = end - seen.began_ns
            sources["wall_ns"] = "CLOCK_MONOTONIC of the supervisor, exec to end"
            sources["ended_at_ns"] = "CLOCK_MONOTONIC of the supervisor, at the end"
    if leaf is not None and began is not None:
        usage = leaf.usage(began.extra)
        sources |= usage.sources
        return usage.replace(wall_ns=wall, ended_at_ns=end, output_bytes=seen.output, sources=sources)
    if ended is None:
        return Usage(wall_ns=wall, ended_at_ns=end, output_bytes=seen.output, sources=sources)
    word = "getrusage(2) of the init's children; misses children whose parent ignored SIGCHLD"
    sources |= dict.fromkeys(("cpu_ns", "user_ns", "system_ns"), word)
    sources["memory_peak_bytes"] = "getrusage(2) ru_maxrss: the largest single process"
    user, system = ended.user_us * 1000, ended.system_us * 1000
    return Usage(
        cpu_ns=user + system, user_ns=user, system_ns=system, wall_ns=wall, ended_at_ns=end,
        output_bytes=seen.output, memory_peak_bytes=ended.maxrss_kib * 1024, sources=sources,
    )  # fmt: skip


def _notes(seen: Seen, peel: PeelWatch | None) -> tuple[str, ...]:
    notes = []
    if seen.notes & lib.PYSB_NOTE_CHROOT:
        notes.append("pivot_root was refused here (initial ramfs): the root was changed by chroot instead")
    if peel is not None and peel.note:
        peel.settle()
        notes.append(peel.note)
    if seen.notes & lib.PYSB_NOTE_HOSTNAME_KEPT:
        notes.append("the host name is the caller's: a seccomp filter on this process forbids sethostname(2)")
    if seen.notes & lib.PYSB_NOTE_SYSINFO_OF_HOST:
        notes.append("some calls of sysinfo(2) told the host's figures: the memory of a process that is not "
                     "dumpable, or closed by a security module, cannot be written")  # fmt: skip
    return tuple(notes)
