"""Verdicts and scores of groups, after each format's rules."""

from __future__ import annotations

from typing import Any

import pytest

from judge.errors import JudgeError
from judge.grade.scoring import Rules
from judge.grade.walk import Walk
from judge.problem.model import Problem
from judge.result import GroupResult
from judge.verdict import Verdict

from .trees import SEVERITY, Given, case, find, group, problem


def graded(what: Problem, verdicts: dict[str, Any], **options: Any) -> tuple[GroupResult, Given]:
    given = Given(verdicts)
    return Walk(what, Rules.of(what, SEVERITY), given, **options).run(), given


def outcome(what: Problem, verdicts: dict[str, Any], **options: Any) -> tuple[str, float | None]:
    result, _ = graded(what, verdicts, **options)
    return result.verdict.word, result.score


# ---- legacy: "Default Grader Specification" ----


@pytest.mark.parametrize(
    ("mode", "verdicts", "word"),
    [
        ("worst_error", {}, "AC"),
        ("worst_error", {"secret/1": "WA", "secret/2": "TLE", "secret/3": "RTE"}, "RTE"),
        ("first_error", {"secret/1": "WA", "secret/2": "RTE"}, "WA"),
        ("always_accept", {"secret/1": "WA", "secret/2": "RTE"}, "AC"),
        ("any_accepted", {"secret/1": "WA", "secret/2": "RTE"}, "AC"),
        ("any_accepted", {"secret/1": "WA", "secret/2": "RTE", "secret/3": "TLE"}, "RTE"),
    ],
)
def test_verdict_modes(mode: str, verdicts: dict[str, str], word: str) -> None:
    tree = group("secret", "1", "2", "3", verdict=mode, on_reject="continue")
    result, _ = graded(problem(tree, scored=False, verdict="worst_error"), verdicts)
    assert find(result, "secret").verdict.word == word
    assert result.verdict.word == word
    assert result.score is None


@pytest.mark.parametrize(("how", "score"), [("sum", 7), ("min", 1), ("max", 3), ("avg", 7 / 3)])
def test_score_modes(how: str, score: float) -> None:
    tree = group("secret", "1", "2", "3", aggregate=how, accept_score=3, reject_score=1, on_reject="continue",
                 verdict="always_accept")  # fmt: skip
    result, _ = graded(problem(tree, verdict="always_accept"), {"secret/2": "WA"})
    assert find(result, "secret").score == pytest.approx(score)
    assert result.score == pytest.approx(score)


def test_break_ends_the_group_and_the_group_around_it() -> None:
    tree = problem(group("sample", "1"), group("secret", group("secret/a", "1", "2", "3"), group("secret/b", "1")),
                   scored=False)  # fmt: skip
    result, given = graded(tree, {"secret/a/2": "WA", "secret/a/3": "RTE"})
    assert result.verdict == Verdict("WA", "test secret/a/2")
    assert given.asked == ["sample/1", "secret/a/1", "secret/a/2"]
    assert given.dropped == ["secret/a/3", "secret/b/1"]
    words = {test.name: (test.verdict.word, test.origin) for test in result.tests()}
    assert words["secret/a/3"] == words["secret/b/1"] == ("SK", "skipped")


def test_what_is_judged_beyond_a_break_counts_for_nothing() -> None:
    tree = group("secret", "1", "2", "3", accept_score=5, verdict="always_accept")
    result, given = graded(problem(tree, verdict="always_accept"), {"secret/2": "WA"}, early=False)
    assert given.asked == ["secret/1", "secret/2", "secret/3"]
    assert [test.verdict.word for test in result.tests()] == ["AC", "WA", "AC"]
    assert result.score == 5


def test_ignored_samples_neither_score_nor_break() -> None:
    samples, secret = group("sample", "1", accept_score=9), group("secret", "1", "2", accept_score=4)
    assert outcome(problem(samples, secret, ignore_sample=True), {"sample/1": "WA"}) == ("AC", 8)
    assert outcome(problem(samples, secret), {"sample/1": "WA"}) == ("WA", 0)
    assert outcome(problem(samples, secret), {}) == ("AC", 17)


def test_legacy_rejected_submission_has_no_score() -> None:
    tree = group("secret", "1", "2", on_reject="continue")
    assert outcome(problem(tree), {"secret/2": "WA"}) == ("WA", 0)
    accepting = group("secret", "1", "2", on_reject="continue", verdict="always_accept")
    assert outcome(problem(accepting), {"secret/2": "WA"}) == ("PAC", 1)
    assert outcome(problem(accepting), {"secret/1": "WA", "secret/2": "WA"}) == ("PAC", 0)


def test_own_score_of_a_checker_replaces_the_group_s() -> None:
    tree = group("secret", "1", "2", accept_score=10, on_reject="continue", verdict="always_accept")
    given = {"secret/1": Verdict("AC", score=2.5), "secret/2": Verdict("PAC", share=0.25)}
    assert outcome(problem(tree, checker="validator"), given)[1] == pytest.approx(5)


def test_grader_of_the_package_decides() -> None:
    from pathlib import Path

    seen: list[Any] = []

    def grade(scoring: Any, lines: list[tuple[str, float]]) -> tuple[str, float]:
        seen.append((scoring.grader_flags, lines))
        return "AC", 42.0

    tree = group("secret", "1", "2", on_reject="continue", grader=Path("/g"), grader_flags=("half",), accept_score=2)
    assert outcome(problem(tree), {"secret/1": "MLE"}, grader=grade) == ("PAC", 42)
    assert seen == [(("half",), [("MLE", 0.0), ("AC", 2.0)])]
    with pytest.raises(JudgeError, match="nobody to run its grader"):
        outcome(problem(tree), {})


# ---- faults of ours ----


def test_a_fault_is_never_hidden() -> None:
    tree = group("secret", "1", "2", on_reject="continue", verdict="always_accept")
    assert outcome(problem(tree, verdict="always_accept"), {"secret/1": "JE"})[0] == "JE"
    sample = group("sample", "1")
    assert outcome(problem(sample, tree, ignore_sample=True), {"sample/1": "JE"})[0] == "AC"


def test_2025_unbounded_group_needs_a_score() -> None:
    tree = group("secret", "1", aggregate="sum", needs_score=True, on_reject="continue")
    what = problem(tree, format="icpc-2025-09", checker="validator", on_reject="continue")
    assert outcome(what, {"secret/1": Verdict("AC", share=1.0)})[0] == "JE"
    assert outcome(what, {"secret/1": Verdict("AC", score=7.0)}) == ("AC", 7)


def test_2025_more_than_the_maximum_is_a_fault_of_the_package() -> None:
    tree = group("secret", "1", aggregate="sum", max_score=5, accept_score=5, on_reject="continue")
    what = problem(tree, format="icpc-2025-09", checker="validator", on_reject="continue")
    assert outcome(what, {"secret/1": Verdict("AC", score=6.0)})[0] == "JE"
    capped = problem(tree, format="dmoj", checker="bridged", on_reject="continue")
    assert outcome(capped, {"secret/1": Verdict("AC", score=6.0)}) == ("AC", 5)


# ---- 2025-09: "Result aggregation" ----


def groups_2025(**first: Any) -> Problem:
    one = {"aggregate": "pass-fail", "max_score": 30, "verdict": "first_error", **first}
    return problem(
        group("sample", "1"),
        group("secret", group("secret/1", "a", "b", "c", **one),
              group("secret/2", "a", "b", aggregate="min", max_score=50, accept_score=50, verdict="first_error",
                    require_pass=("sample", "secret/1")),
              group("secret/3", "a", "b", aggregate="sum", max_score=20, accept_score=10, on_reject="continue",
                    verdict="first_error"),
              on_reject="continue", verdict="first_error", max_score=100),
        format="icpc-2025-09", ignore_sample=True, on_reject="continue", verdict="first_error",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "word", "score"),
    [
        ({}, "AC", 100),
        ({"secret/1/b": "WA"}, "PAC", 20),  # secret/2 needs it
        ({"sample/1": "WA"}, "PAC", 50),
        ({"secret/2/b": Verdict("PAC", share=0.5)}, "PAC", 75),
        ({"secret/3/a": "RTE"}, "PAC", 90),
        ({"secret/1/a": "TLE", "secret/3/a": "WA", "secret/3/b": "WA"}, "TLE", 0),
    ],
)
def test_2025_groups(verdicts: dict[str, Any], word: str, score: float) -> None:
    assert outcome(groups_2025(), verdicts) == (word, score)


def test_doomed_group_stops_although_the_format_would_go_on() -> None:
    result, given = graded(groups_2025(on_reject="continue"), {"secret/1/a": "WA"})
    assert given.dropped[:2] == ["secret/1/b", "secret/1/c"]
    skipped = [test.verdict.detail for test in result.tests() if test.name == "secret/1/b"]
    assert skipped == ["could not change the result"]
    assert {"secret/2/a", "secret/2/b"} <= set(given.dropped)
    assert find(result, "secret/2").verdict == Verdict("SK", "needs secret/1, which was not accepted")


def test_min_group_stops_at_zero_and_best_of_group_at_the_top() -> None:
    lowest = group("secret", "1", "2", "3", aggregate="min", on_reject="continue", verdict="first_error")
    _, given = graded(problem(lowest, format="polygon", on_reject="continue"), {"secret/1": "WA"})
    assert given.asked == ["secret/1"]
    best = group("secret", "1", "2", "3", aggregate="max", on_reject="continue", verdict="any_accepted")
    result, given = graded(problem(best, format="polygon", on_reject="continue"), {"secret/1": "WA"})
    assert given.asked == ["secret/1", "secret/2"]
    assert (result.verdict.word, result.score) == ("AC", 1)


def test_a_group_whose_condition_is_not_met_is_never_run() -> None:
    result, given = graded(groups_2025(), {"secret/1/a": "WA"}, early=False)
    assert {"secret/1/b", "secret/1/c"} <= set(given.asked)
    assert not {"secret/2/a", "secret/2/b"} & set(given.asked)
    assert [test.verdict.word for test in find(result, "secret/2").tests()] == ["SK", "SK"]


def test_require_pass_of_nothing_is_refused() -> None:
    with pytest.raises(JudgeError, match="'secret/9', which is not there"):
        outcome(problem(group("secret", "1", require_pass=("secret/9",))), {})


# ---- DMOJ: batches ----


def test_dmoj_batches() -> None:
    def batch(name: str, points: float, *needs: str) -> Any:
        return group(name, "1", "2", aggregate="min", accept_score=points, max_score=points, verdict="first_error",
                     require_pass=needs)  # fmt: skip

    what = problem(batch("batch1", 20), batch("batch2", 30, "batch1"), group("batch3", case("x", points=50)),
                   format="dmoj", on_reject="continue", verdict="first_error")  # fmt: skip
    assert outcome(what, {}) == ("AC", 100)
    assert outcome(what, {"batch1/2": "WA"}) == ("PAC", 50)
    assert outcome(what, {"batch2/1": Verdict("PAC", share=0.5)}) == ("PAC", 85)
    assert outcome(what, {"batch1/1": "MLE", "x": "WA"}) == ("MLE", 0)
