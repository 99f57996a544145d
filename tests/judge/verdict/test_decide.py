"""decide: from facts to words, with nothing run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.facts import (
    ACCEPT,
    FAULT,
    INTERACTOR,
    PARTIAL,
    PRESENTATION,
    REJECT,
    SUBMISSION,
    CheckFacts,
    Evidence,
    Limited,
    Noise,
    PassFacts,
    RunFacts,
)
from judge.verdict import Verdict
from judge.verdict.decide import decide
from judge.verdict.profiles import PROFILES
from judge.verdict.words import WORDS

MS = 1_000_000
LIMITS = Limited(
    time_ns=1000 * MS, kill_time_ns=1100 * MS, wall_ns=3000 * MS, memory_bytes=64 << 20, output_bytes=8 << 20
)
GOOD = CheckFacts(ACCEPT, "tokens")
BAD = CheckFacts(REJECT, "tokens", where="line 3, token 2", message="secret")
BROKEN = CheckFacts(FAULT, "validator: exit code 1")


def run(outcome: str = "ok", *more: str, **facts: Any) -> RunFacts:
    kinds = () if outcome == "ok" else (outcome, *more)
    facts = {"cpu_ns": 500 * MS, "wall_ns": 600 * MS, "limits": LIMITS, "ended_at_ns": 10_000 * MS, **facts}
    return RunFacts(outcome, causes=tuple((kind, f"it was {kind}", 77 * MS) for kind in kinds), **facts)


def one(ran: RunFacts | None, check: CheckFacts | None = None, first: str = "", **more: Any) -> Evidence:
    return Evidence((PassFacts(ran, check, first),), **more)


def words(verdict: Verdict) -> list[str]:
    return [found.word for found in verdict.findings]


CASES: list[tuple[str, Evidence, str, str]] = [
    ("accepted", one(run(), GOOD), "AC", "tokens"),
    ("wrong", one(run(), BAD), "WA", "tokens, line 3, token 2"),
    ("partial", one(run(), CheckFacts(PARTIAL, "testlib: exit code 7", 0.5)), "PAC", "share 0.5"),
    ("a part of nothing", one(run(), CheckFacts(PARTIAL, "testlib", 0.0)), "WA", "share 0"),
    ("points", one(run(), CheckFacts(PARTIAL, "testlib", score=7.5)), "PAC", "score 7.5"),
    ("no points", one(run(), CheckFacts(PARTIAL, "testlib", score=0.0)), "WA", "score 0"),
    ("checker broken", one(run(), BROKEN), "JE", "validator: exit code 1"),
    ("CPU time", one(run("cpu_time", cpu_ns=1103 * MS, sources={"cpu_ns": "cgroup v2 cpu.stat"})), "TLE",
     "CPU time 1.103 s, limit 1.000 s, ended at 1.100 s, 0.077 s after its start [cgroup v2 cpu.stat]"),
    ("just too slow, and right", one(run(cpu_ns=1000 * MS + 1), GOOD), "TLE", "CPU time 1.000 s, limit 1.000 s"),
    ("at the limit", one(run(cpu_ns=1000 * MS), GOOD), "AC", ""),
    ("asleep", one(run("idle", "wall_time", wall_ns=3001 * MS, cpu_ns=MS)), "ILE",
     "wall-clock time 3.001 s with 0.001 s of CPU time, limit 3.000 s"),
    ("wall time in use", one(run("wall_time", wall_ns=3001 * MS, cpu_ns=900 * MS)), "TLE", "wall-clock time 3.001 s"),
    ("memory", one(run("memory", "signaled", signal=9, memory_peak_bytes=64 << 20)), "MLE",
     "it was memory, limit 64 MiB, peak 64 MiB, 0.077 s after its start"),
    ("a peak alone is nothing", one(run(memory_peak_bytes=64 << 20), GOOD), "AC", ""),
    ("output", one(run("output", output_bytes=(8 << 20) + 1)), "OLE", "8388609 bytes of output, limit 8 MiB"),
    ("forbidden", one(run("syscall", signal=31, denials=("mount(NULL)",))), "SV", "it was syscall (mount(NULL))"),
    ("crash", one(run("signaled", signal=11)), "RTE", "ended by signal 11 (SIGSEGV)"),
    ("real-time signal", one(run("signaled", signal=40)), "RTE", "ended by signal 40"),
    ("exit code", one(run("exited", exit_code=3)), "RTE", "exit code 3"),
    ("no more processes", one(run("exited", exit_code=1, pids_denied=5, sources={"pids_denied": "pids.events"})),
     "RTE", "exit code 1; 5 times no further process or thread was given to it [pids.events]"),
    ("not executable", one(run("exec_failed", exit_code=126, error="Exec format error")), "JE",
     "the program could not be executed: Exec format error"),
    ("interrupted", one(run("interrupted")), "JE", "interrupted: it was interrupted"),
    ("fault of ours", one(run(), GOOD, fault="HostError: no cgroup"), "JE", "HostError: no cgroup"),
    ("nothing", Evidence(), "JE", "nothing was run"),
    ("nobody looked", one(run()), "JE", "nobody looked at its output"),
    ("no run, no check", one(None), "JE", "nothing was run"),
    ("answers", one(None, GOOD), "AC", "tokens"),
    ("an outcome of tomorrow", one(run("melted")), "JE", "an outcome that is not known: melted"),
    ("a word of tomorrow", one(run(), CheckFacts("maybe", "tokens")), "JE", "'maybe', which is not known"),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "word", "detail"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_one_finding(evidence: Evidence, word: str, detail: str) -> None:
    verdict = decide(evidence, "icpc")
    assert verdict.word == word and detail in verdict.detail
    assert words(verdict) == [word] and verdict.findings[0].detail == verdict.detail


def test_all_findings_in_the_order_of_the_profile() -> None:
    much = one(run("memory", "output", "cpu_time", "exited", exit_code=1, cpu_ns=1200 * MS), GOOD)
    assert words(decide(much, "icpc")) == ["TLE", "MLE", "RTE", "OLE"]
    assert words(decide(much, "dmoj")) == ["TLE", "MLE", "OLE", "RTE"]


def test_presentation_and_idleness_by_profile() -> None:
    format_wrong = one(run(), CheckFacts(PRESENTATION, "testlib: exit code 2"))
    idle = one(run("idle", "wall_time"))
    assert [decide(format_wrong, name).word for name in ("icpc", "ioi", "dmoj")] == ["WA", "PE", "WA"]
    assert [decide(idle, name).word for name in ("icpc", "ioi", "dmoj")] == ["ILE", "ILE", "TLE"]
    assert words(decide(idle, "dmoj")) == ["TLE"]


def test_a_busy_machine_is_told() -> None:
    late = one(run("idle", "wall_time", wall_ns=3000 * MS), noise=Noise(0.83))
    assert decide(late, "icpc").detail.endswith("; 83% of that time somebody waited for a CPU")
    assert "somebody" not in decide(one(run("cpu_time"), noise=Noise(0.83)), "icpc").detail


def test_share_and_score_go_along_with_what_scores() -> None:
    assert decide(one(run(), CheckFacts(ACCEPT, "validator", 0.75)), "icpc").share == 0.75
    assert decide(one(run(), CheckFacts(ACCEPT, "validator", score=12.0)), "icpc").score == 12.0
    late = decide(one(run(cpu_ns=2000 * MS), CheckFacts(ACCEPT, "validator", 0.75, 12.0)), "icpc")
    assert (late.share, late.score) == (None, None)


def test_messages_of_checkers_stay_out() -> None:
    for check in (BAD, replace(GOOD, message="secret", team_message="secret"), replace(BROKEN, message="secret")):
        for first in ("", SUBMISSION, INTERACTOR):
            for ran in (run(), run("exited", exit_code=1)):
                assert "secret" not in json.dumps(decide(one(ran, check, first), "icpc").to_json())


# ---- reruns ----


def again(*milliseconds: int) -> tuple[RunFacts, ...]:
    return tuple(run(cpu_ns=ms * MS) for ms in milliseconds)


def test_the_median_of_reruns_decides_about_time() -> None:
    slow_once = decide(one(run(cpu_ns=1020 * MS), GOOD, reruns=again(1010, 980, 990)), "icpc")
    assert slow_once.word == "AC" and "0.990 s, median of 3 alone on the machine (1.010 s, 0.980 s, 0.990 s)" in (
        slow_once.detail
    )
    fast_once = decide(one(run(cpu_ns=980 * MS), GOOD, reruns=again(1010, 980, 1020)), "icpc")
    assert fast_once.word == "TLE" and "median of 3" in fast_once.detail


def test_reruns_do_not_undo_what_was_cut_off() -> None:
    cut = one(run("cpu_time", cpu_ns=1101 * MS), None, reruns=again(900, 900, 900))
    assert decide(cut, "icpc").word == "TLE"


def test_reruns_are_those_of_the_slowest_pass() -> None:
    passes = (PassFacts(run(cpu_ns=100 * MS), GOOD), PassFacts(run(cpu_ns=1050 * MS), GOOD))
    assert decide(Evidence(passes), "icpc").detail.startswith("pass 2: CPU time 1.050 s")
    assert decide(Evidence(passes, again(990, 990, 990)), "icpc").word == "AC"


# ---- passes ----


def test_the_pass_is_named() -> None:
    verdict = decide(Evidence((PassFacts(run(), GOOD), PassFacts(run("exited", exit_code=9)))), "icpc")
    assert (verdict.word, verdict.detail) == ("RTE", "pass 2: exit code 9")


# ---- two programs ----

TALKS: list[tuple[str, RunFacts, CheckFacts, str, list[str]]] = [
    ("both fine", run(), GOOD, SUBMISSION, ["AC"]),
    ("rejected, both fine", run(), BAD, SUBMISSION, ["WA"]),
    ("rejected, then it crashed", run("exited", exit_code=1), BAD, INTERACTOR, ["WA", "RTE"]),
    ("rejected, then it looped", run("cpu_time", cpu_ns=1200 * MS), BAD, INTERACTOR, ["WA", "TLE"]),
    ("rejected, then memory", run("memory"), BAD, INTERACTOR, ["WA", "MLE"]),
    ("crashed, then rejected", run("exited", exit_code=1), BAD, SUBMISSION, ["RTE", "WA"]),
    ("looped, then rejected", run("cpu_time", cpu_ns=1200 * MS), BAD, SUBMISSION, ["TLE", "WA"]),
    ("too slow, then accepted", run(cpu_ns=1200 * MS), GOOD, SUBMISSION, ["TLE"]),
    ("accepted, then it looped", run("cpu_time", cpu_ns=1200 * MS), GOOD, INTERACTOR, ["TLE"]),
    ("accepted, then it crashed", run("signaled", signal=11), GOOD, INTERACTOR, ["RTE"]),
    ("accepted, then SIGPIPE", run("signaled", signal=13), GOOD, INTERACTOR, ["AC"]),
    ("crashed, and the interactor over it", run("signaled", signal=11), BROKEN, SUBMISSION, ["RTE"]),
    ("ended early, and the interactor crashed over it", run(), BROKEN, SUBMISSION, ["JE"]),
    ("the interactor crashed", run(), BROKEN, INTERACTOR, ["JE"]),
    ("the interactor crashed, and it over that", run("exited", exit_code=1), BROKEN, INTERACTOR, ["JE", "RTE"]),
    ("forbidden call, and the interactor over it", run("syscall", signal=31), BROKEN, SUBMISSION, ["SV"]),
]  # fmt: skip


@pytest.mark.parametrize(("ran", "check", "first", "found"), [t[1:] for t in TALKS], ids=[t[0] for t in TALKS])
@pytest.mark.parametrize("profile", PROFILES)
def test_who_was_first(profile: str, ran: RunFacts, check: CheckFacts, first: str, found: list[str]) -> None:
    assert words(decide(one(ran, check, first), profile)) == found


def test_the_lost_partner_is_told() -> None:
    verdict = decide(one(run("signaled", signal=11), BROKEN, SUBMISSION), "icpc")
    assert verdict.detail == "ended by signal 11 (SIGSEGV); then the interactor failed: validator: exit code 1"


def waited(check: CheckFacts, went_on_ms: int, computed_ms: int = 1) -> Evidence:
    ran = run("idle", "wall_time", wall_ns=3000 * MS, cpu_ns=MS)
    theirs = run(ended_at_ns=(10_000 + went_on_ms) * MS, cpu_ns=computed_ms * MS, limits=Limited())
    return one(ran, replace(check, run=theirs), SUBMISSION)


def test_who_kept_whom_waiting() -> None:
    """An interactor that waited for input ends when there is none any more; one that hangs goes on."""
    assert words(decide(waited(BAD, 3), "icpc")) == ["ILE", "WA"]
    assert words(decide(waited(BROKEN, 3), "icpc")) == ["ILE"]
    hangs = decide(waited(BROKEN, 2000), "icpc")
    assert hangs.word == "JE" and "did not answer: it went on for 2.000 s after the submission" in hangs.detail
    assert decide(waited(BAD, 2000), "icpc").word == "JE"
    assert decide(waited(BAD, 2000, 1500), "icpc").word == "ILE"
    busy = replace(waited(BROKEN, 3).passes[0].check, run=run("cpu_time", limits=Limited()))
    assert decide(one(run("idle", "wall_time"), busy, SUBMISSION), "icpc").word == "JE"


# ---- every Evidence has a verdict ----

OUTCOMES = (
    "ok", "exited", "signaled", "cpu_time", "wall_time", "idle", "memory", "output", "syscall", "exec_failed",
    "interrupted", "melted",
)  # fmt: skip
numbers = st.none() | st.integers(0, 10**13)
texts = st.text(max_size=8)
limits = st.builds(Limited, numbers, numbers, numbers, numbers, numbers)
runs = st.builds(
    RunFacts, st.sampled_from(OUTCOMES), st.none() | st.integers(0, 255), st.none() | st.integers(1, 64),
    st.lists(st.tuples(st.sampled_from(OUTCOMES), texts, numbers), max_size=3).map(tuple), cpu_ns=numbers,
    wall_ns=numbers, ended_at_ns=numbers, memory_peak_bytes=numbers, output_bytes=st.integers(0, 10**12),
    pids_denied=numbers, limits=limits, sources=st.dictionaries(st.sampled_from(["cpu_ns", "oom_kills"]), texts),
    denials=st.lists(texts, max_size=2).map(tuple), error=texts,
)  # fmt: skip
shares = st.none() | st.floats(0, 1)
checks = st.builds(
    CheckFacts, st.sampled_from((ACCEPT, REJECT, PRESENTATION, PARTIAL, FAULT, "maybe")), texts, shares, shares, texts,
    texts, texts, st.none() | runs,
)  # fmt: skip
firsts = st.sampled_from(("", SUBMISSION, INTERACTOR))
passes = st.builds(PassFacts, st.none() | runs, st.none() | checks, firsts, texts, texts)
evidences = st.builds(
    Evidence, st.lists(passes, max_size=3).map(tuple), st.lists(runs, max_size=3).map(tuple), fault=st.just("") | texts
)


@given(evidences, st.sampled_from(sorted(PROFILES)))
@settings(max_examples=300, database=None, derandomize=True, deadline=None)
def test_every_evidence_has_a_verdict(evidence: Evidence, profile: str) -> None:
    """And the same one after a stay in a journal."""
    verdict = decide(evidence, profile)
    assert verdict.word in WORDS and verdict.findings[0].word == verdict.word
    assert verdict.word not in PROFILES[profile].shown_as
    stored = Evidence.from_json(json.loads(json.dumps(evidence.to_json())))
    assert stored == evidence and decide(stored, profile) == verdict
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    if evidence.fault:
        assert verdict.word == "JE"
    if verdict.word == "AC":
        last = evidence.passes[-1]
        assert last.check is not None and last.check.outcome == ACCEPT and last.check.multiplier == verdict.share
