"""decide(evidence, profile) -> Verdict: from stored facts alone, so that a verdict can be given again without a run.

What speaks for which word:

JE   a fault that was noted (``Evidence.fault``), a checker or interactor that failed, a run that somebody interrupted,
     and a program that could not be executed: the compiler that made it and the sandbox that shows it are ours.
TLE  CPU time beyond the limit, or the end of the wall time with the CPU in use
ILE  the end of the wall time with hardly any CPU used
MLE  an OOM kill that the run's own cgroup counted; never a peak that equals the limit: page cache fills it as well
OLE  the output limit
SV   a system call that the policy answers with death
RTE  an exit code other than 0, or a signal that no limit of ours explains
WA, PE, PAC, AC   what the checker said; a part of nothing is WA

Where two programs talked, who ended first matters. An interactor that had rejected before the submission's end has
decided. One that had accepted excuses no crash that follows, but for SIGPIPE: whether the last words of a submission
still find their reader is chance. One that fails only after the submission had failed by itself changes nothing: it
had lost its partner. A submission that was idle because the interactor did not answer is no fault of the submission.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

from ..facts import ACCEPT, FAULT, INTERACTOR, PARTIAL, PRESENTATION, REJECT, CheckFacts, Evidence, PassFacts, RunFacts
from .profiles import profile_of
from .words import Finding, Verdict

# An interactor that waited for input sees the end of it when the submission is gone, and ends as well. One that takes
# longer did something else meanwhile. Generous: a JVM needs 0.2 s to end.
ANSWERS_WITHIN_NS = 1_000_000_000
# From this share of the time (PSI, some) on a busy machine is told beside a wall time.
BUSY = 0.2

_KNOWN = frozenset((
    "ok", "exited", "signaled", "cpu_time", "wall_time", "idle", "memory", "output", "syscall", "exec_failed",
    "interrupted",
))  # fmt: skip


def decide(evidence: Evidence, profile: str) -> Verdict:
    """The verdict of one test under the profile of that name. Raises JudgeError for an unknown profile."""
    rules = profile_of(profile)
    findings = list(_findings(evidence))
    if not findings:
        findings = [Finding("AC", _accepted(evidence))]
    decided = _interactor_rejected(evidence)
    findings.sort(key=lambda found: (
        found.word != "JE", not (decided and found.word in ("WA", "PE")), rules.rank(found.word),
    ))  # fmt: skip  # stable: equals stay in the order of events
    findings = [replace(found, word=rules.word(found.word)) for found in findings]
    shown = findings[0]
    check = evidence.passes[-1].check if evidence.passes else None
    if shown.word in ("AC", "PAC") and check is not None:
        return Verdict(shown.word, shown.detail, tuple(findings), check.multiplier, check.score)
    return Verdict(shown.word, shown.detail, tuple(findings))


def _findings(evidence: Evidence) -> Iterator[Finding]:
    if evidence.fault:
        yield Finding("JE", evidence.fault)
        return
    if not evidence.passes:
        yield Finding("JE", "nothing was run")
        return
    slowest = _slowest(evidence)
    for number, facts in enumerate(evidence.passes):
        reruns = evidence.reruns if number == slowest else ()
        where = f"pass {number + 1}: " if len(evidence.passes) > 1 else ""
        for found in _of_pass(facts, reruns):
            yield replace(found, detail=where + found.detail + _busy(found, evidence.noise.pressure))


def _busy(found: Finding, pressure: float | None) -> str:
    """For whoever has to believe in a wall time: how busy the machine was."""
    if pressure is None or pressure < BUSY or not found.detail.startswith("wall-clock"):
        return ""
    return f"; {pressure:.0%} of that time somebody waited for a CPU"


def _of_pass(facts: PassFacts, reruns: tuple[RunFacts, ...]) -> Iterator[Finding]:
    run, check = facts.run, facts.check
    own = list(_of_run(run, reruns)) if run is not None else []
    if check is None:
        yield from own
        if not own:
            yield Finding("JE", "nobody looked at its output" if run else "nothing was run")
        return
    if facts.ended_first == INTERACTOR:
        if check.outcome in (REJECT, PRESENTATION):
            yield from _of_check(check)
            yield from own
            return
        own = [found for found in own if not (found.word == "RTE" and _by_sigpipe(run))]
    elif facts.ended_first and run is not None and own:
        silent = _silent(run, check)
        if silent:
            yield Finding("JE", silent)
        elif check.outcome == FAULT:  # it had lost its partner
            lost = f"; then the interactor failed: {check.by}"
            yield replace(own[0], detail=own[0].detail + lost)
            yield from own[1:]
            return
    yield from own
    yield from _of_check(check)


# ---- the run ----


def _of_run(run: RunFacts, reruns: tuple[RunFacts, ...]) -> Iterator[Finding]:
    kinds = {run.outcome, *(kind for kind, _, _ in run.causes)}
    if unknown := kinds - _KNOWN:
        yield Finding("JE", f"an outcome that is not known: {', '.join(sorted(unknown))}")
    if "exec_failed" in kinds:
        yield Finding("JE", f"the program could not be executed: {run.error or _cause(run, 'exec_failed')}")
        return
    if "interrupted" in kinds:
        yield Finding("JE", f"interrupted: {_cause(run, 'interrupted')}")
    if "memory" in kinds:
        yield Finding("MLE", _memory(run))
    if "output" in kinds:
        yield Finding("OLE", _limited(run, "output", f"{run.output_bytes} bytes of output", run.limits.output_bytes))
    late = _late(run, reruns)
    if "cpu_time" in kinds or late:
        yield Finding("TLE", _cpu(run, reruns, late))
    if "idle" in kinds:
        yield Finding("ILE", _idle(run))
    elif "wall_time" in kinds:
        yield Finding("TLE", _idle(run))
    if "syscall" in kinds:
        denied = f" ({'; '.join(run.denials)})" if run.denials else ""
        yield Finding("SV", _cause(run, "syscall") + denied)
    if "signaled" in kinds and not ("memory" in kinds and run.signal == signal.SIGKILL):
        yield Finding("RTE", _signal(run) + _pids(run))
    elif "exited" in kinds:
        yield Finding("RTE", f"exit code {run.exit_code}" + _pids(run))


def _late(run: RunFacts, reruns: tuple[RunFacts, ...]) -> bool:
    limit = run.limits.time_ns
    used = _median(reruns) if reruns else run.cpu_ns
    return limit is not None and used is not None and used > limit


def _median(reruns: tuple[RunFacts, ...]) -> int | None:
    times = sorted(run.cpu_ns for run in reruns if run.cpu_ns is not None)
    return times[len(times) // 2] if times else None


def _slowest(evidence: Evidence) -> int:
    """The pass that was run again: the one with the most CPU time."""
    times = [(facts.run.cpu_ns or 0) if facts.run else -1 for facts in evidence.passes]
    return times.index(max(times))


def _cpu(run: RunFacts, reruns: tuple[RunFacts, ...], late: bool) -> str:
    used = _spread(reruns) if late and reruns else f"CPU time {_seconds(run.cpu_ns)}"
    killed = ""
    if any(kind == "cpu_time" for kind, _, _ in run.causes):
        killed = f", ended at {_seconds(run.limits.kill_time_ns)}" + _at(run, "cpu_time")
    return f"{used}, limit {_seconds(run.limits.time_ns)}{killed}{_source(run, 'cpu_ns')}"


def _spread(reruns: tuple[RunFacts, ...]) -> str:
    times = ", ".join(_seconds(run.cpu_ns) for run in reruns)
    return f"CPU time {_seconds(_median(reruns))}, median of {len(reruns)} alone on the machine ({times})"


def _idle(run: RunFacts) -> str:
    kind = "wall_time" if any(cause[0] == "wall_time" for cause in run.causes) else "idle"
    return (f"wall-clock time {_seconds(run.wall_ns)} with {_seconds(run.cpu_ns)} of CPU time, limit "
            f"{_seconds(run.limits.wall_ns)}{_at(run, kind)}{_source(run, 'wall_ns')}")  # fmt: skip


def _memory(run: RunFacts) -> str:
    detail = _cause(run, "memory") or "the kernel killed for memory"
    peak = f", peak {_size(run.memory_peak_bytes)}" if run.memory_peak_bytes is not None else ""
    return (f"{detail}, limit {_size(run.limits.memory_bytes)}{peak}{_at(run, 'memory')}"
            f"{_source(run, 'oom_kills', 'memory_peak_bytes')}")  # fmt: skip


def _limited(run: RunFacts, kind: str, what: str, limit: int | None) -> str:
    return f"{what}, limit {_size(limit)}{_at(run, kind)}{_source(run, 'output_bytes')}"


def _signal(run: RunFacts) -> str:
    if run.signal is None:
        return "ended by a signal"
    try:
        return f"ended by signal {run.signal} ({signal.Signals(run.signal).name})"
    except ValueError:  # a real-time signal
        return f"ended by signal {run.signal}"


def _pids(run: RunFacts) -> str:
    if not run.pids_denied:
        return ""
    return f"; {run.pids_denied} times no further process or thread was given to it{_source(run, 'pids_denied')}"


# ---- the checker ----


def _of_check(check: CheckFacts) -> Iterator[Finding]:
    if check.outcome == FAULT:
        yield Finding("JE", _said(check))
    elif check.outcome == REJECT:
        yield Finding("WA", _said(check))
    elif check.outcome == PRESENTATION:
        yield Finding("PE", _said(check))
    elif check.outcome == PARTIAL:
        nothing = check.score == 0 if check.score is not None else check.multiplier == 0
        yield Finding("WA" if nothing else "PAC", _said(check))
    elif check.outcome != ACCEPT:
        yield Finding("JE", f"the checker said {check.outcome!r}, which is not known")


def _said(check: CheckFacts) -> str:
    """Nothing of ``message``: it may hold secret data, and a detail is shown to everybody."""
    part = "" if check.multiplier is None else f", share {check.multiplier:g}"
    part += "" if check.score is None else f", score {check.score:g}"
    return check.by + (f", {check.where}" if check.where else "") + part


def _accepted(evidence: Evidence) -> str:
    check = evidence.passes[-1].check
    return (_said(check) if check else "") + (f"; {_spread(evidence.reruns)}" if evidence.reruns else "")


# ---- two programs ----


def _interactor_rejected(evidence: Evidence) -> bool:
    """Had the interactor of the last pass said no before the submission's end?"""
    if evidence.fault or not evidence.passes:
        return False
    last = evidence.passes[-1]
    said = last.check.outcome if last.check else ""
    return last.ended_first == INTERACTOR and said in (REJECT, PRESENTATION)


def _by_sigpipe(run: RunFacts | None) -> bool:
    return run is not None and run.outcome == "signaled" and run.signal == signal.SIGPIPE


def _silent(run: RunFacts, check: CheckFacts) -> str:
    """Why it was the interactor that kept the submission waiting, or ""."""
    kinds = {run.outcome, *(kind for kind, _, _ in run.causes)}
    if not kinds & {"idle", "wall_time"} or check.run is None:
        return ""
    if check.run.outcome not in ("ok", "exited", "signaled"):
        return f"the interactor did not answer while the submission waited ({check.by})"
    gone, end = run.ended_at_ns, check.run.ended_at_ns
    if gone is None or end is None or end - gone <= ANSWERS_WITHIN_NS:
        return ""
    if 2 * (check.run.cpu_ns or 0) >= end - gone:  # it computed; what it computed before is in the wall limit
        return ""
    return (f"the interactor did not answer: it went on for {_seconds(end - gone)} after the submission, which waited, "
            f"had been ended ({check.by})")  # fmt: skip


# ---- words ----


def _cause(run: RunFacts, kind: str) -> str:
    return next((detail for name, detail, _ in run.causes if name == kind), "")


def _at(run: RunFacts, kind: str) -> str:
    when = next((at for name, _, at in run.causes if name == kind), None)
    return "" if when is None else f", {_seconds(when)} after its start"


def _source(run: RunFacts, *names: str) -> str:
    told = next((run.sources[name] for name in names if name in run.sources), "")
    return f" [{told}]" if told else ""


def _seconds(ns: int | None) -> str:
    return "unknown" if ns is None else f"{ns / 1e9:.3f} s"


def _size(size: int | None) -> str:
    if size is None:
        return "unknown"
    return f"{size / (1 << 20):g} MiB" if size >= 1 << 20 else f"{size} bytes"
