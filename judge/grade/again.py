"""A verdict again, from the facts of a stored result: nothing is run, and no package is needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..problem.model import Group, Problem, Scoring, Test
from ..result import GroupResult, SubmissionResult, TestResult
from ..verdict import Verdict
from ..verdict.decide import decide
from ..verdict.profiles import profile_of
from .scoring import Rules
from .walk import Graded, Walk

NOT_JUDGED = "SK"


@dataclass(frozen=True)
class Again:
    """doubts: what the facts do not tell (tests that were not judged and would count now, a grader of the package)."""

    result: SubmissionResult
    doubts: tuple[str, ...] = ()


def again(result: SubmissionResult, data: Group, profile: str, *, format: str, kinds: frozenset[str]) -> Again:
    """``data``: the problem's groups with their scoring. Raises JudgeError for an unknown profile."""
    rules = profile_of(profile)
    if not result.compile.ok or result.compile.fault:
        return Again(replace(result, profile=profile))
    problem = Problem(name=result.problem, root=Path(), format=format, data=data, kinds=kinds)
    stored = _Stored(result, profile)
    doubts: list[str] = []

    def graded(scoring: Scoring, children: list[Graded]) -> Graded:
        raise _CustomError

    try:
        root = Walk(problem, Rules.of(problem, rules.severity), stored, grader=graded).run()
    except _CustomError:
        doubts.append("a grader of the package made verdicts and scores of groups: these stay as they were")
        return Again(replace(result, profile=profile, root=_tests_only(result.root, profile)), tuple(doubts))
    doubts += [f"{name} would count now, and was not judged then" for name in stored.missing]
    return Again(replace(result, profile=profile, root=root, verdict=root.verdict, score=root.score), tuple(doubts))


class _CustomError(Exception):
    pass


class _Stored:
    """``walk.Results``: verdicts from stored evidence."""

    def __init__(self, result: SubmissionResult, profile: str) -> None:
        self._tests = {test.name: test for test in result.tests}
        self._profile = profile
        self.missing: list[str] = []

    def get(self, test: Test, group: Group) -> TestResult:
        found = self._tests.get(test.name)
        if found is None or found.origin == "skipped" or not (found.evidence.passes or found.evidence.fault):
            self.missing.append(test.name)
            return TestResult(test.name, Verdict(NOT_JUDGED, "not judged"), test.sample, origin="skipped")
        return replace(found, verdict=decide(found.evidence, self._profile), score=None)

    def drop(self, tests: tuple[Test, ...]) -> None:
        """Nothing is under way."""


def _tests_only(group: GroupResult, profile: str) -> GroupResult:
    """The verdicts of tests anew, those of groups as they are."""
    children = tuple(
        _tests_only(child, profile) if isinstance(child, GroupResult)
        else child if child.origin == "skipped" else replace(child, verdict=decide(child.evidence, profile))
        for child in group.children
    )  # fmt: skip
    return replace(group, children=children)
