"""What was measured, in plain data: enough to give a verdict again without running anything.

Everything here goes to JSON and comes back equal (``to_json``, ``from_json``): the journal and the stored results hold
it, and ``verdict.decide`` reads nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sandbox import Result


@dataclass(frozen=True)
class Limited:
    """The limits under which a program ran. time_ns and memory_bytes are the ones that a verdict compares with;
    kill_* are where it was ended (later than time_ns, so that a time near the limit is a measured one)."""

    time_ns: int | None = None
    kill_time_ns: int | None = None
    wall_ns: int | None = None
    memory_bytes: int | None = None
    output_bytes: int | None = None


@dataclass(frozen=True)
class RunFacts:
    """One run of one program in one sandbox: the sandbox's Result without what it wrote.

    outcome, causes, exit_code, signal, error: as in ``sandbox.Result``; causes are (kind, detail, at_ns). Numbers are
    None where nothing measured them; ``sources`` says what measured, ``enforced`` what enforced. denials: refused
    system calls in words. cpuset: where it was pinned.
    """

    outcome: str
    exit_code: int | None = None
    signal: int | None = None
    causes: tuple[tuple[str, str, int | None], ...] = ()
    cpu_ns: int | None = None
    user_ns: int | None = None
    system_ns: int | None = None
    wall_ns: int | None = None
    ended_at_ns: int | None = None
    memory_peak_bytes: int | None = None
    processes_peak: int | None = None
    output_bytes: int = 0
    throttled_ns: int | None = None
    oom_kills: int | None = None
    pids_denied: int | None = None
    limits: Limited = Limited()
    sources: dict[str, str] = field(default_factory=dict)
    enforced: dict[str, str] = field(default_factory=dict)
    denials: tuple[str, ...] = ()
    cpuset: str | None = None
    error: str = ""

    @classmethod
    def of(cls, result: Result, limits: Limited, *, cpuset: str | None = None) -> RunFacts:
        """The facts of a Result. ``result.denials`` are put into words only where the policy killed: that costs 10
        ms."""
        usage = result.usage
        told = result.outcome == "syscall" or any(cause.kind == "syscall" for cause in result.causes)
        return cls(
            outcome=result.outcome, exit_code=result.exit_code, signal=result.signal,
            causes=tuple((cause.kind, cause.detail, cause.at_ns) for cause in result.causes),
            cpu_ns=usage.cpu_ns, user_ns=usage.user_ns, system_ns=usage.system_ns, wall_ns=usage.wall_ns,
            ended_at_ns=usage.ended_at_ns, memory_peak_bytes=usage.memory_peak_bytes,
            processes_peak=usage.processes_peak, output_bytes=usage.output_bytes, throttled_ns=usage.throttled_ns,
            oom_kills=usage.oom_kills, pids_denied=usage.pids_denied, limits=limits, sources=dict(usage.sources),
            enforced=dict(result.enforced), denials=tuple(d.text for d in result.denials) if told else (),
            cpuset=cpuset, error=result.error,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunFacts:
        return cls(**{
            **data, "causes": tuple((kind, detail, at) for kind, detail, at in data["causes"]),
            "limits": Limited(**data["limits"]), "denials": tuple(data["denials"]),
        })  # fmt: skip


ACCEPT, REJECT, PRESENTATION, PARTIAL, FAULT = "accept", "reject", "presentation", "partial", "fault"


@dataclass(frozen=True)
class CheckFacts:
    """What a checker said of one output.

    outcome: ACCEPT, REJECT, PRESENTATION, PARTIAL (accepted for less than all) or FAULT (the checker's own: never
    blamed on the submission). by: who said so and how ("tokens", "validator: exit code 43"). multiplier: 0 to 1, of
    the test's full score; score: an absolute one instead (None: neither was given). where: "line 3, token 2" or "".
    message: for the jury; team_message: for the team. They may hold secret data: shown for samples only. run: of a
    checker that is a program.
    """

    outcome: str
    by: str
    multiplier: float | None = None
    score: float | None = None
    where: str = ""
    message: str = ""
    team_message: str = ""
    run: RunFacts | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(replace(self, run=None)), "run": self.run.to_json() if self.run else None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CheckFacts:
        run = data["run"]
        return cls(**{**data, "run": RunFacts.from_json(run) if run else None})


SUBMISSION, INTERACTOR = "submission", "interactor"


@dataclass(frozen=True)
class PassFacts:
    """One pass: a run (None for submit-answer) and what was said of it (None: there was nothing to check after it).

    ended_first: SUBMISSION or INTERACTOR where two programs talked, else "". stderr: the start of what the submission
    wrote there, 4 KiB at most; it may hold secret data and is shown for samples and to the jury only. diff: of a sample
    that is wrong, where its output leaves the answer.
    """

    run: RunFacts | None = None
    check: CheckFacts | None = None
    ended_first: str = ""
    stderr: str = ""
    diff: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run.to_json() if self.run else None, "check": self.check.to_json() if self.check else None,
            "ended_first": self.ended_first, "stderr": self.stderr, "diff": self.diff,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PassFacts:
        return cls(
            RunFacts.from_json(data["run"]) if data["run"] else None,
            CheckFacts.from_json(data["check"]) if data["check"] else None, data["ended_first"],
            data.get("stderr", ""), data.get("diff", ""),
        )  # fmt: skip


@dataclass(frozen=True)
class Noise:
    """What else went on: share of the time in which somebody waited for a CPU (/proc/pressure/cpu, 0 to 1, None where
    the kernel has none), what a CPU limit made it wait, and how many runs of ours were under way besides."""

    pressure: float | None = None
    throttled_ns: int = 0
    beside: int = 0


@dataclass(frozen=True)
class Evidence:
    """All that is known about one test: a verdict follows from this and a profile, and from nothing else.

    passes: one, more for multi-pass. reruns: runs alone on the machine because the first was near a limit; where
    there are some, their median decides about time. fault: what went wrong on our side ("" if nothing): then the
    verdict is JE.
    """

    passes: tuple[PassFacts, ...] = ()
    reruns: tuple[RunFacts, ...] = ()
    noise: Noise = Noise()
    fault: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "passes": [p.to_json() for p in self.passes], "reruns": [r.to_json() for r in self.reruns],
            "noise": asdict(self.noise), "fault": self.fault,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evidence:
        return cls(
            tuple(PassFacts.from_json(p) for p in data["passes"]), tuple(RunFacts.from_json(r) for r in data["reruns"]),
            Noise(**data["noise"]), data["fault"],
        )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
