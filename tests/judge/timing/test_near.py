"""What is near a limit, and the reruns that follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from judge.facts import ACCEPT, CheckFacts, Evidence, Limited, Noise, PassFacts, RunFacts
from judge.grade import judging
from judge.grade.judging import Options, judge
from judge.language import load
from judge.timing.near import is_disturbed, is_near, slowest
from tests.judge.grade.packages import C_SUM, TIME_NS, flat, submission

LIMIT = 1_000_000_000


def run(cpu_ns: int | None, outcome: str = "ok", limit: int | None = LIMIT) -> RunFacts:
    causes = ((outcome, outcome, None),) if outcome != "ok" else ()
    return RunFacts(outcome, cpu_ns=cpu_ns, causes=causes, limits=Limited(time_ns=limit, kill_time_ns=LIMIT * 11 // 10))


@pytest.mark.parametrize(
    ("facts", "near"),
    [
        (run(LIMIT), True),
        (run(LIMIT * 9 // 10), True),
        (run(LIMIT * 11 // 10), True),
        (run(LIMIT * 9 // 10 - 1), False),
        (run(LIMIT * 11 // 10 + 1), False),
        (run(LIMIT, "exited"), True),
        (run(LIMIT * 11 // 10, "cpu_time"), False),  # ended at its kill limit: it would have gone on
        (run(LIMIT, "wall_time"), False),
        (run(LIMIT, "memory"), False),
        (run(None), False),
        (run(LIMIT, limit=None), False),
        (None, False),
    ],
)
def test_near(facts: RunFacts | None, near: bool) -> None:
    assert is_near(facts) is near


def test_the_slowest_pass_counts() -> None:
    assert slowest(Evidence((PassFacts(run(1)), PassFacts(run(3)), PassFacts(run(2))))) == run(3)
    assert slowest(Evidence((PassFacts(None),))) is None


def test_disturbed() -> None:
    waited, idle = Evidence((PassFacts(run(1, "wall_time")),)), Evidence((PassFacts(run(1, "idle")),))
    assert is_disturbed(waited, Noise(0.0, beside=1))
    assert is_disturbed(waited, Noise(0.5))
    assert not is_disturbed(waited, Noise(0.01))
    assert not is_disturbed(idle, Noise(0.5, beside=1))


# What run_test measures is given here: which side of its limit a real program is on is chance.
def given(monkeypatch: Any, times: dict[str, list[RunFacts]]) -> list[str]:
    calls: list[str] = []

    def run_test(job: Any) -> Evidence:
        calls.append(job.test.name)
        known = times[job.test.name]
        facts = known.pop(0) if len(known) > 1 else known[0]
        return Evidence((PassFacts(facts, CheckFacts(ACCEPT, "tokens") if facts.outcome == "ok" else None),))

    monkeypatch.setattr(judging, "run_test", run_test)
    return calls


def judged(tmp_path: Path, count: int, **options: Any) -> Any:
    chosen = Options(cache=tmp_path / "cache", journaled=False, **options)
    return judge(flat(tmp_path, count), submission(tmp_path, C_SUM), languages=load(), options=chosen)


def test_the_median_of_the_reruns_decides(tmp_path: Path, monkeypatch: Any) -> None:
    late, early = run(LIMIT + 20), run(LIMIT - 30)
    calls = given(monkeypatch, {
        "secret/000": [late, early, late, early],
        "secret/001": [early, late, early, late],
        "secret/002": [run(5)],
    })  # fmt: skip
    result = judged(tmp_path, 3, early=False)
    assert [test.verdict.word for test in result.tests] == ["AC", "TLE", "AC"]
    assert [len(test.evidence.reruns) for test in result.tests] == [3, 3, 0]
    assert calls == ["secret/000"] * 4 + ["secret/001"] * 4 + ["secret/002"]
    assert result.tests[1].cpu_ns == LIMIT + 20


def test_a_program_that_uses_just_its_limit_is_run_again(tmp_path: Path) -> None:
    """It stops when its own clock says so: somewhat above or below the limit, and always near it."""
    burn = f"#include <time.h>\n{C_SUM}".replace("long a", f"while(clock()<{TIME_NS // 1000 // 4});long a")
    chosen = Options(cache=tmp_path / "cache", journaled=False, time_ns=TIME_NS // 4)
    result = judge(flat(tmp_path, 1), submission(tmp_path, burn), languages=load(), options=chosen)
    (test,) = result.tests
    assert len(test.evidence.reruns) == 3
    times = sorted(facts.cpu_ns or 0 for facts in test.evidence.reruns)
    assert test.cpu_ns == times[1]
    assert test.verdict.word == ("TLE" if times[1] > TIME_NS // 4 else "AC")


def test_no_reruns_on_request(tmp_path: Path, monkeypatch: Any) -> None:
    calls = given(monkeypatch, {"secret/000": [run(LIMIT + 20)]})
    assert judged(tmp_path, 1, reruns=0).verdict.word == "TLE"
    assert len(calls) == 1


def test_run_that_the_wall_clock_ended_beside_others_is_repeated(tmp_path: Path, monkeypatch: Any) -> None:
    given(monkeypatch, {"secret/000": [run(LIMIT // 2, "wall_time"), run(LIMIT // 2)]})
    monkeypatch.setattr(judging, "is_disturbed", lambda evidence, noise: is_disturbed(evidence, Noise(0.9)))
    result = judged(tmp_path, 1)
    assert result.verdict.word == "AC"
    assert "secret/000: run again alone" in result.notes[-1]
