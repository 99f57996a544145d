"""Problems without files, for what needs none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from judge.problem.model import PASS_FAIL, SCORING, Checker, Group, Problem, Scoring, Test
from judge.result import GroupResult, TestResult
from judge.verdict import Verdict

SEVERITY = ("JE", "CE", "SV", "RTE", "MLE", "TLE", "ILE", "OLE", "WA", "PE", "PAC", "AC", "SK")


def group(name: str, *children: Group | str | Test, **scoring: Any) -> Group:
    """Children that are names become tests."""
    made = tuple(case(f"{name}/{child}") if isinstance(child, str) else child for child in children)
    return Group(name, made, Scoring(**scoring), sample=name.startswith("sample"))


def case(name: str, **options: Any) -> Test:
    return Test(name, Path("/dev/null"), Path("/dev/null"), sample=name.startswith("sample"), **options)


def problem(*children: Group, scored: bool = True, format: str = "icpc-legacy", checker: str = "tokens",
            **scoring: Any) -> Problem:  # fmt: skip
    return Problem(
        "p", Path("/"), format, Group("", children, Scoring(**scoring)), checkers=(Checker(checker),),
        kinds=frozenset({SCORING if scored else PASS_FAIL}),
    )  # fmt: skip


class Given:
    """Results that are there already: test -> word, or (word, share or score)."""

    def __init__(self, verdicts: dict[str, Any], otherwise: str = "AC") -> None:
        self.verdicts, self.otherwise = verdicts, otherwise
        self.asked: list[str] = []
        self.dropped: list[str] = []

    def get(self, test: Test, group: Group) -> TestResult:
        assert test.name not in self.dropped, f"{test.name} was dropped and is asked for"
        self.asked.append(test.name)
        given = self.verdicts.get(test.name, self.otherwise)
        return TestResult(test.name, given if isinstance(given, Verdict) else Verdict(given), test.sample)

    def drop(self, tests: tuple[Test, ...]) -> None:
        self.dropped += [test.name for test in tests]


def find(result: GroupResult, name: str) -> GroupResult:
    if result.name == name:
        return result
    for child in result.children:
        if isinstance(child, GroupResult) and (name == child.name or name.startswith(child.name)):
            return find(child, name)
    raise KeyError(name)
