"""The order of words: every profile knows every word, and orders them as its sources do."""

from __future__ import annotations

import itertools

import pytest

from judge.errors import JudgeError
from judge.verdict.profiles import PACKAGE_WORDS, PROFILES, profile_of
from judge.verdict.words import WORDS


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_every_word_has_a_place(profile) -> None:  # type: ignore[no-untyped-def]
    assert sorted(profile.precedence) == sorted(profile.severity) == sorted(WORDS)
    assert set(profile.shown_as) | set(profile.shown_as.values()) <= set(WORDS)
    assert profile.precedence[0] == profile.severity[0] == "JE"


@pytest.mark.parametrize(("name", "order"), [
    # DOMjudge, determineVerdict: time limit, run error, output limit, what the validator says
    ("icpc", ["TLE", "RTE", "OLE", "WA", "AC"]),
    # CMS: TO before SG before RE, then the checker
    ("ioi", ["TLE", "MLE", "RTE", "WA", "PAC", "AC"]),
    # dmoj/result.py: IE, TLE, MLE, OLE, RTE, IR, WA, SC
    ("dmoj", ["JE", "TLE", "MLE", "OLE", "RTE", "WA", "SK"]),
])  # fmt: skip
def test_order_within_a_test(name: str, order: list[str]) -> None:
    precedence = profile_of(name).precedence
    assert [word for word in precedence if word in order] == order


@pytest.mark.parametrize(("name", "order"), [
    # legacy format, Graders: "the first of JE, IF, RTE, MLE, TLE, OLE, WA"
    ("icpc", ["JE", "RTE", "MLE", "TLE", "OLE", "WA", "AC"]),
    # the DMOJ site, on_grading_end: SC, AC, WA, MLE, TLE, IR, RTE, OLE from mild to bad
    ("dmoj", ["OLE", "RTE", "TLE", "MLE", "WA", "AC", "SK"]),
])  # fmt: skip
def test_order_across_tests(name: str, order: list[str]) -> None:
    profile = profile_of(name)
    assert [word for word in profile.severity if word in order] == order
    for worse, better in itertools.combinations(order, 2):
        assert profile.worst([better, worse, better]) == worse


def test_worst_speaks_the_words_of_the_profile() -> None:
    assert profile_of("icpc").worst(["AC", "PE"]) == "WA"
    assert profile_of("ioi").worst(["AC", "PE"]) == "PE"
    assert profile_of("dmoj").worst(["WA", "ILE"]) == "TLE"
    assert profile_of("icpc").worst([]) == "AC"


def test_what_packages_expect() -> None:
    assert set(PACKAGE_WORDS.values()) == {"AC", "WA", "TLE", "RTE"}
    assert set(PACKAGE_WORDS) == set(WORDS) - {"JE", "CE", "SK"}


def test_an_unknown_profile() -> None:
    with pytest.raises(JudgeError, match="no verdict profile 'acm'; there are icpc, ioi, dmoj"):
        profile_of("acm")
