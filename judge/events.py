"""What happens while a submission is judged, for whoever shows it. A listener is called from one thread at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .problem.model import Problem
from .result import CompileFacts, GroupResult, SubmissionResult, TestResult


@dataclass(frozen=True)
class Began:
    """problem, the submission's name, how many tests there are at most."""

    problem: Problem
    submission: str
    tests: int


@dataclass(frozen=True)
class Compiled:
    submission: str
    language: str
    facts: CompileFacts


@dataclass(frozen=True)
class TestEnded:
    __test__ = False  # not one of pytest's

    submission: str
    group: str
    result: TestResult


@dataclass(frozen=True)
class GroupEnded:
    submission: str
    result: GroupResult


@dataclass(frozen=True)
class Ended:
    result: SubmissionResult


Event = Began | Compiled | TestEnded | GroupEnded | Ended
Listener = Callable[[Event], None]
