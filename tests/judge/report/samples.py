"""Results made by hand: what a judging could give, with a secret in each place where one could be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from judge.facts import ACCEPT, REJECT, CheckFacts, Evidence, Limited, Noise, PassFacts, RunFacts
from judge.grade.jury import JuryResult, mismatches
from judge.problem.model import Expected, Group, JurySubmission, Limits, Problem, Scoring, Test
from judge.result import CompileFacts, GroupResult, SubmissionResult, TestResult
from judge.verdict import Finding, Verdict
from judge.verdict.words import WORDS

MS = 1_000_000
LIMIT = Limited(1000 * MS, 1100 * MS, 3000 * MS, 256 << 20, 8 << 20)
SECRET = "S3CR3T-42-ANSWER"
HOSTILE = "\x1b[31mred\x07 [bold]markup[/bold] \u202eback <script>alert(1)</script> & \"'"


def problem(tests: int = 4, **changes: Any) -> Problem:
    """sample with one test, secret with the others."""
    secret = tuple(Test(f"secret/{n:02}", Path("/nowhere")) for n in range(1, tests))
    data = Group("", (
        Group("sample", (Test("sample/1", Path("/nowhere"), sample=True),), sample=True), Group("secret", secret),
    ), Scoring())  # fmt: skip
    fields: dict[str, Any] = {
        "name": "sum", "root": Path("/nowhere"), "format": "icpc-2025-09", "data": data, "title": "Sum of two",
        "limits": Limits(time_ns=1000 * MS, memory_bytes=256 << 20), "digest": "d" * 64,
    }  # fmt: skip
    return Problem(**{**fields, **changes})


def run(ms: float = 12.0, mib: float = 3.5, outcome: str = "ok", **more: Any) -> RunFacts:
    fields: dict[str, Any] = {
        "exit_code": 0, "cpu_ns": int(ms * MS), "wall_ns": int(ms * MS * 1.1),
        "memory_peak_bytes": int(mib * (1 << 20)),
        "limits": LIMIT, "sources": {"cpu_ns": "cgroup"}, "enforced": {"mem": "cgroup"}, "cpuset": "0",
    }  # fmt: skip
    return RunFacts(outcome, **{**fields, **more})


def test(name: str, word: str = "AC", ms: float = 12.0, mib: float = 3.5, *, message: str = "",
         reruns: Sequence[float] = (), detail: str | None = None, **more: Any) -> TestResult:  # fmt: skip
    """``message`` is what the checker said."""
    said = {"AC": "tokens", "WA": "tokens, line 3, token 2", "TLE": f"CPU time {ms / 1000:.3f} s, limit 1.000 s"}
    told = said.get(word, f"found {word}") if detail is None else detail
    check = CheckFacts(ACCEPT if word == "AC" else REJECT, "tokens", where="line 3, token 2", message=message)
    evidence = Evidence((PassFacts(run(ms, mib, **more.pop("run", {})), check),), tuple(run(r, mib) for r in reruns),
                        Noise(0.02, 0, 0))  # fmt: skip
    if word == "SK":
        return TestResult(name, Verdict("SK", "not judged"), origin="skipped", **more)
    return TestResult(name, Verdict(word, told, (Finding(word, told),)), evidence=evidence,
                      sample=name.startswith("sample"), **more)  # fmt: skip


def result(secret: Sequence[TestResult], sample: Sequence[TestResult] = (), *, submission: str = "right.cpp",
           **more: Any) -> SubmissionResult:  # fmt: skip
    """The verdict is that of the first test that was not accepted."""
    samples = tuple(sample) or (test("sample/1"),)
    groups = []
    for name, tests in (("sample", samples), ("secret", tuple(secret))):
        first = next((t.verdict for t in tests if not t.verdict.accepted), Verdict("AC"))
        groups.append(GroupResult(name, Verdict(first.word), children=tests))
    whole = next((group.verdict for group in groups if not group.verdict.accepted), Verdict("AC"))
    fields: dict[str, Any] = {
        "language": "cpp", "profile": "icpc", "verdict": whole, "root": GroupResult("", whole, children=tuple(groups)),
        "compile": CompileFacts(True, compiler="g++ 12.2.0"), "time_ns": 1000 * MS, "memory_bytes": 256 << 20,
        "wall_ns": 250 * MS,
    }  # fmt: skip
    return SubmissionResult("sum", submission, **{**fields, **more})


def right() -> SubmissionResult:
    return result([test("secret/01", ms=40), test("secret/02", ms=951, mib=60, reruns=(930, 947, 963)),
                   test("secret/03", ms=300, mib=120)])  # fmt: skip


def wrong() -> SubmissionResult:
    """Secrets in all places: the checker's message, a refused call, a detail that quotes, a diff of a secret test."""
    call = f'openat(AT_FDCWD, "/{SECRET}", O_RDONLY)'
    return result([
        test("secret/01", "WA", message=f"expected {SECRET}\ngot nothing", diff=f"-{SECRET}"),
        test("secret/02", "SV", detail=f"system call ({call}) said expected {SECRET}", message=f"expected {SECRET}",
             run={"denials": (call,), "causes": (("syscall", f"refused '{SECRET}'", 5),)}),
        test("secret/03", "SK"),
    ], [test("sample/1", "WA", message="expected 3", diff="line 1\n- 3\n+ 4")],
       submission="wrong.py", language="python3", notes=("the machine was busy",))  # fmt: skip


def broken() -> SubmissionResult:
    """Does not compile, and says so at length in hostile text."""
    facts = CompileFacts(False, f"error: {HOSTILE}\nsecond line")
    root = GroupResult("", Verdict("CE"), children=())
    return result([], submission="broken\x1b[2J.c", language="c", compile=facts,
                  verdict=Verdict("CE", "does not compile"), root=root)  # fmt: skip


def all_words() -> SubmissionResult:
    """One test for each word that a test can have."""
    words = [word for word in WORDS if word != "CE"]
    return result([test(f"secret/{n:02}", word, ms=100 * n, mib=20 * n) for n, word in enumerate(words, 1)],
                  submission="every.py")  # fmt: skip


def jury(results: Sequence[SubmissionResult]) -> tuple[JuryResult, ...]:
    """The first is expected to be accepted, the others to be wrong."""
    found = []
    for place, one in enumerate(results):
        expected = Expected(verdicts=frozenset({"WA"} if place else {"AC"}))
        submission = JurySubmission(f"submissions/{one.submission}", Path("/nowhere"), expected)
        found.append(JuryResult(submission, replace(one, submission=submission.name), mismatches(expected, one)))
    return tuple(found)
