"""What judging gives: a tree of groups and tests with verdicts, scores and the evidence behind each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .facts import Evidence, RunFacts
from .verdict import Verdict

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TestResult:
    """One test. origin: "run", "journal" (finished before a crash), "same" (an equal test was run: ``same_as``),
    "skipped"."""

    __test__ = False

    name: str
    verdict: Verdict
    sample: bool = False
    score: float | None = None
    evidence: Evidence = Evidence()
    origin: str = "run"
    same_as: str = ""
    diff: str = ""  # of a sample that is wrong; secret data never

    @property
    def cpu_ns(self) -> int | None:
        """The longest of the passes; the median of the reruns if there are some."""
        if self.evidence.reruns:
            times = sorted(run.cpu_ns for run in self.evidence.reruns if run.cpu_ns is not None)
            return times[len(times) // 2] if times else None
        return _highest(p.run.cpu_ns for p in self.evidence.passes if p.run)

    @property
    def memory_bytes(self) -> int | None:
        return _highest(p.run.memory_peak_bytes for p in self.evidence.passes if p.run)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "verdict": self.verdict.to_json(), "sample": self.sample, "score": self.score,
            "evidence": self.evidence.to_json(), "origin": self.origin, "same_as": self.same_as, "diff": self.diff,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TestResult:
        return cls(**{
            **data, "verdict": Verdict.from_json(data["verdict"]), "evidence": Evidence.from_json(data["evidence"]),
        })  # fmt: skip


@dataclass(frozen=True)
class GroupResult:
    """A group; ``name`` "" is the root. score: None where the problem has none."""

    name: str
    verdict: Verdict
    score: float | None = None
    children: tuple[GroupResult | TestResult, ...] = ()

    def tests(self) -> Iterator[TestResult]:
        for child in self.children:
            if isinstance(child, TestResult):
                yield child
            else:
                yield from child.tests()

    def to_json(self) -> dict[str, Any]:
        children = [{("group" if isinstance(c, GroupResult) else "test"): c.to_json()} for c in self.children]
        return {"name": self.name, "verdict": self.verdict.to_json(), "score": self.score, "children": children}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GroupResult:
        children = tuple(
            GroupResult.from_json(child["group"]) if "group" in child else TestResult.from_json(child["test"])
            for child in data["children"]
        )
        return cls(data["name"], Verdict.from_json(data["verdict"]), data["score"], children)


@dataclass(frozen=True)
class CompileFacts:
    """ok, or the compiler's message, capped. cached: taken from the cache. fault: ours, then the verdict is JE."""

    ok: bool
    message: str = ""
    cached: bool = False
    compiler: str = ""
    run: RunFacts | None = None
    fault: str = ""

    def to_json(self) -> dict[str, Any]:
        run = self.run.to_json() if self.run else None
        return {
            "ok": self.ok, "message": self.message, "cached": self.cached, "compiler": self.compiler, "run": run,
            "fault": self.fault,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CompileFacts:
        return cls(**{**data, "run": RunFacts.from_json(data["run"]) if data["run"] else None})


@dataclass(frozen=True)
class SubmissionResult:
    """One submission. time_ns, memory_bytes: the limits it was judged by. notes: what a careful reader should know."""

    problem: str
    submission: str
    language: str
    profile: str
    verdict: Verdict
    score: float | None = None
    compile: CompileFacts = CompileFacts(True)
    root: GroupResult = field(default_factory=lambda: GroupResult("", Verdict("SK")))
    time_ns: int | None = None
    memory_bytes: int | None = None
    wall_ns: int = 0  # of all of the judging
    notes: tuple[str, ...] = ()

    @property
    def tests(self) -> tuple[TestResult, ...]:
        return tuple(self.root.tests())

    def to_json(self) -> dict[str, Any]:
        """Plain data, after docs/judge.schema.json."""
        return {
            "schema": SCHEMA_VERSION, "problem": self.problem, "submission": self.submission, "language": self.language,
            "profile": self.profile, "verdict": self.verdict.to_json(), "score": self.score,
            "compile": self.compile.to_json(), "root": self.root.to_json(), "time_ns": self.time_ns,
            "memory_bytes": self.memory_bytes, "wall_ns": self.wall_ns, "notes": list(self.notes),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SubmissionResult:
        known = {key: value for key, value in data.items() if key != "schema"}
        return cls(**{
            **known, "verdict": Verdict.from_json(data["verdict"]), "compile": CompileFacts.from_json(data["compile"]),
            "root": GroupResult.from_json(data["root"]), "notes": tuple(data["notes"]),
        })  # fmt: skip


def _highest(values: Iterator[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
