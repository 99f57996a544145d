"""Time limits from measured times, by the rules of the formats."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.calibration.calibrate import (
    LOWER,
    UPPER,
    Timed,
    conclude,
    median,
    must_exceed,
    smallest_limit,
    time_lower,
    time_upper,
)
from judge.problem.model import SECOND, Expected, JurySubmission, TimeRule
from judge.result import SubmissionResult
from judge.verdict import Verdict
from tests.judge.report import samples

MS = SECOND // 1000
CURRENT = TimeRule()
LEGACY = TimeRule(ac_to_limit=5, limit_to_tle=2)
ACCEPTED = JurySubmission("accepted/a.c", Path("a.c"), Expected(frozenset({"AC"}), use_for_time_limit=LOWER))
SLOW = JurySubmission("time_limit_exceeded/s.c", Path("s.c"), Expected(frozenset({"TLE"}), use_for_time_limit=UPPER))


@pytest.mark.parametrize(("t_ac_ms", "rule", "limit_ms"), [
    (400, CURRENT, 1000), (500, CURRENT, 1000), (501, CURRENT, 2000), (0, CURRENT, 1000), (1, LEGACY, 1000),
    (200, LEGACY, 1000), (201, LEGACY, 2000), (450, TimeRule(2.0, 1.5, 100 * MS), 900),
    (451, TimeRule(2.0, 1.5, 100 * MS), 1000), (100, TimeRule(1.1, 1.5, 10 * MS), 110),
    (1000, TimeRule(1.0, 1.0, SECOND), 1000),
])  # fmt: skip
def test_the_smallest_multiple_that_leaves_room(t_ac_ms: int, rule: TimeRule, limit_ms: int) -> None:
    assert smallest_limit(t_ac_ms * MS, rule) == limit_ms * MS


@settings(max_examples=300, database=None, derandomize=True, deadline=None)
@given(st.integers(0, 10**11), st.floats(1, 20), st.integers(1, 5 * SECOND))
def test_no_smaller_multiple_would_do(t_ac: int, factor: float, resolution: int) -> None:
    rule = TimeRule(factor, 1.5, resolution)
    limit = smallest_limit(t_ac, rule)
    needed = t_ac * Fraction(str(factor))
    assert limit % resolution == 0 and limit >= needed and limit > 0
    assert limit == resolution or limit - resolution < needed


def test_what_is_too_slow_has_to_be_so_much_slower() -> None:
    assert must_exceed(2 * SECOND, CURRENT) == 3 * SECOND
    assert must_exceed(SECOND, TimeRule(2, 1.1)) == 1100 * MS
    assert must_exceed(1, TimeRule(2, 1.5)) == 2  # never less than the rule says


def lower(name: str, ms: int) -> Timed:
    return Timed(name, "c", LOWER, ms * MS, ms * MS, ms * MS, "secret/1")


def upper(name: str, ms: int, *, beyond: bool = False) -> Timed:
    return replace(lower(name, ms), role=UPPER, beyond=beyond)


def test_the_slowest_accepted_and_the_fastest_slow_one_decide() -> None:
    found = conclude(CURRENT, [lower("a", 100), lower("b", 700), upper("s", 9000), upper("t", 3000)], None)
    assert (found.limit_ns, found.errors) == (2 * SECOND, ())
    assert found.t_ac is not None and found.t_ac.name == "b"
    assert found.t_tle is not None and found.t_tle.name == "t"


def test_one_that_is_not_slow_enough_is_an_error() -> None:
    found = conclude(CURRENT, [lower("a", 700), upper("t", 2900)], None)
    assert found.limit_ns == 2 * SECOND
    assert found.errors == (
        "t is meant to be too slow and needs 2.9 s only: 1.5 times the limit of 2 s is 3 s",
    )
    assert conclude(CURRENT, [lower("a", 700), upper("t", 3000)], None).errors == ()
    assert conclude(CURRENT, [lower("a", 700), upper("t", 3000, beyond=True)], None).errors == ()


def test_the_packages_own_limit_is_held_to_the_rules() -> None:
    assert conclude(CURRENT, [lower("a", 700), upper("t", 5000)], 1500 * MS).errors == ()
    tight = conclude(CURRENT, [lower("a", 700), upper("t", 5000)], SECOND)
    assert tight.errors == ("the package's limit, 1 s, is less than 2 times what a needs (0.7 s)",)
    assert tight.limit_ns == 2 * SECOND  # what it should be
    loose = conclude(CURRENT, [lower("a", 700), upper("t", 5000)], 4 * SECOND)
    assert "1.5 times the limit of 4 s is 6 s" in loose.errors[0]


def test_without_an_accepted_one_there_is_no_limit() -> None:
    found = conclude(CURRENT, [replace(lower("a", 1), time_ns=None, fault="WA on secret/1")], None)
    assert found.limit_ns is None
    assert found.errors == (
        "a: WA on secret/1", "no submission that is expected to be accepted could be timed",
    )  # fmt: skip


def test_the_median_counts() -> None:
    assert median([5]) == 5 and median([1, 9, 2]) == 2 and median([1, 2]) == 2


def run(*times: float, word: str = "AC") -> SubmissionResult:
    return samples.result([samples.test(f"secret/{n}", word, ms=ms) for n, ms in enumerate(times)])


def test_a_disturbed_run_sets_no_limit() -> None:
    timed = time_lower(ACCEPTED, [run(100, 210), run(110, 900), run(90, 190)], SECOND)
    assert (timed.time_ns, timed.low_ns, timed.high_ns, timed.test) == (210 * MS, 190 * MS, 900 * MS, "secret/1")
    assert not timed.fault


@pytest.mark.parametrize(("result", "fault"), [
    (run(2000, word="TLE"), "needs more than 1 s on secret/0; give more with --time"),
    (run(5, word="WA"), "expected AC, got WA"), (run(5, word="JE"), "JE on secret/0: found JE"),
    (replace(samples.broken(), verdict=Verdict("CE", "no")), "CE: no"),
])  # fmt: skip
def test_what_is_not_accepted_sets_no_limit(result: SubmissionResult, fault: str) -> None:
    timed = time_lower(ACCEPTED, [run(5), result] if "expected" not in fault else [result], SECOND)
    assert (timed.time_ns, timed.fault) == (None, fault)


def test_one_run_beyond_is_enough() -> None:
    asked: list[bool] = []

    def again(early: bool) -> SubmissionResult:
        asked.append(early)
        return run(3300, word="TLE")

    timed = time_upper(SLOW, again, 3, 3 * SECOND)
    assert (timed.time_ns, timed.beyond, asked) == (3 * SECOND, True, [True])


def test_one_that_was_stopped_by_another_verdict_is_run_whole() -> None:
    stopped = samples.result([samples.test("secret/1", "WA", ms=1), samples.test("secret/2", "SK")])
    whole = samples.result([samples.test("secret/1", "WA", ms=1), samples.test("secret/2", "TLE", ms=3300)])
    timed = time_upper(SLOW, lambda early: stopped if early else whole, 3, 3 * SECOND)
    assert timed.beyond and timed.test == "secret/2"


def test_one_that_is_fast_is_measured() -> None:
    runs = iter([run(2000), run(2400), run(2200)])
    timed = time_upper(SLOW, lambda early: next(runs), 3, 3 * SECOND)
    assert (timed.time_ns, timed.low_ns, timed.high_ns, timed.beyond) == (2200 * MS, 2000 * MS, 2400 * MS, False)
