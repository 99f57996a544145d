"""What the jury expects of a submission against what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from judge.grade.jury import mismatches, needs_every_test
from judge.problem.model import Expected
from judge.result import GroupResult, SubmissionResult
from judge.verdict import Verdict
from tests.judge.report import samples


def expected(**fields: Any) -> Expected:
    """Words as texts: permitted="AC WA"."""
    sets = ("verdicts", "permitted", "required")
    return Expected(**{k: frozenset(v.split()) if k in sets else v for k, v in fields.items()})


def result(*words: str, score: float | None = None, message: str = "") -> SubmissionResult:
    tests = [samples.test(f"secret/g{n}/a", word, message=message) for n, word in enumerate(words, 1)]
    return replace(samples.result(tests), score=score)


CASES: list[tuple[dict[str, Any], SubmissionResult, tuple[str, ...]]] = [
    ({}, result("AC", "JE"), ()),
    ({"verdicts": "AC"}, result("AC"), ()),
    ({"verdicts": "AC"}, result("AC", "WA"), ("expected AC, got WA",)),
    ({"verdicts": "WA TLE"}, result("AC"), ("expected TLE or WA, got AC",)),
    ({"verdicts": "WA"}, result("WA", "SK"), ()),
    ({"verdicts": "WA PE"}, result("AC"), ("expected WA, got AC",)),
    ({"verdicts": "RTE MLE OLE SV TLE"}, result("AC"), ("expected RTE or TLE, got AC",)),
    ({"permitted": "AC WA"}, result("AC", "WA", "SK"), ()),
    ({"permitted": "AC"}, result("WA", "WA"), ("permitted AC, got WA on secret/g1/a and 1 more",)),
    ({"required": "TLE"}, result("WA", "TLE"), ()),
    ({"required": "TLE"}, result("WA", "AC"), ("no test with TLE",)),
    ({"score": (30, 40)}, result("AC", score=35), ()),
    ({"score": (30, 30)}, result("AC", score=35), ("expected score 30, got 35",)),
    ({"score": (1, 2)}, result("AC"), ("expected score 1 to 2, got none",)),
    ({"message": "too long"}, result("WA", message="answer is too long!"), ()),
    ({"message": "Too LONG"}, result("WA", message="answer is too long!"), ("no checker said 'Too LONG'",)),
    ({"message": "too long"}, result("WA", message="no"), ("no checker said 'too long'",)),
    ({"parts": (("secret/g1", expected(permitted="AC")), ("secret/g2", expected(required="WA")))},
     result("AC", "WA"), ()),
    ({"parts": (("secret/g1", expected(required="WA")),)}, result("AC", "WA"), ("secret/g1: no test with WA",)),
    ({"parts": (("secret/*", expected(permitted="AC")),)}, result("AC", "RTE"),
     ("secret/*: permitted AC, got RTE on secret/g2/a",)),
    ({"parts": (("", expected(required="RTE")),)}, result("AC", "RTE"), ()),
    ({"parts": (("secret/none", expected()),)}, result("AC"), ("secret/none: no such test",)),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "found", "wrong"), CASES)
def test_mismatches(fields: dict[str, Any], found: SubmissionResult, wrong: tuple[str, ...]) -> None:
    assert mismatches(expected(**fields), found) == wrong


def test_the_score_of_a_part_is_the_groups() -> None:
    base = samples.result([samples.test("secret/1")])
    secret = replace(base.root.children[1], score=40.0)
    scored = replace(base, root=replace(base.root, children=(base.root.children[0], secret)), score=40.0)
    assert mismatches(Expected(parts=(("secret", Expected(score=(40, 40))),)), scored) == ()
    assert mismatches(Expected(parts=(("secret", Expected(score=(50, 60))),)), scored) == (
        "secret: expected score 50 to 60, got 40",
    )
    assert mismatches(Expected(parts=(("", Expected(score=(0, 10))),)), scored) == ("expected score 0 to 10, got 40",)


@pytest.mark.parametrize(("fields", "every"), [
    ({}, False), ({"verdicts": "AC"}, False), ({"permitted": "AC WA", "required": "WA"}, False),
    ({"permitted": "AC WA TLE", "required": "TLE"}, True), ({"required": "WA"}, True), ({"message": "x"}, True),
    ({"parts": (("secret/1", Expected()),)}, True),
])  # fmt: skip
def test_when_no_test_may_be_left_out(fields: dict[str, Any], every: bool) -> None:
    """A test beyond the first that is rejected could be the one that is asked for."""
    assert needs_every_test(expected(**fields)) is every


def test_a_group_whose_condition_failed_is_not_held_against_it() -> None:
    """Its tests are run where another expectation needs them all, and do not count."""
    base = samples.result([samples.test("secret/1", "TLE")])
    sample, secret = base.root.children
    assert isinstance(secret, GroupResult)
    left_out = replace(secret, verdict=Verdict("SK", "needs sample, which was not accepted"))
    found = replace(base, root=replace(base.root, children=(sample, left_out)))
    assert mismatches(expected(permitted="AC"), found) == ()
    assert mismatches(Expected(parts=(("", expected(permitted="AC")),)), found) == ()
    assert mismatches(expected(permitted="AC"), base) == ("permitted AC, got TLE on secret/1",)
    assert mismatches(Expected(parts=(("secret", expected(permitted="AC")),)), found) == (
        "secret: permitted AC, got TLE on secret/1",
    )
