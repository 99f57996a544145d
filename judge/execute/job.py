"""What is to be run for one test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox import Sandbox

from ..problem.model import Checker, Limits, Problem, Test
from ..program import Program


@dataclass(frozen=True)
class Job:
    """One test with one submission.

    program: the submission (None for submit-answer, where ``answers`` is the submitted file or directory).
    checkers: each with its program (None for a built-in one); all must accept. interactor: the program of
    ``problem.interactor``. box: warm sandboxes, of one worker. cpuset: where all of it is pinned ("2"), or None.
    scratch: an existing directory of this worker alone; what is made there is gone when ``run_test`` returns.
    limits: instead of the problem's and the test's (an override of the caller's). helper: another Sandbox for checkers
    and interactors: a spawner makes one sandbox ahead, of the kind of its last run, and those would be of another kind
    (1.8 ms for each run; None: ``box``).
    """

    problem: Problem
    test: Test
    program: Program | None
    checkers: tuple[tuple[Checker, Program | None], ...]
    interactor: Program | None
    box: Sandbox
    cpuset: str | None
    scratch: Path
    answers: Path | None = None
    limits: Limits | None = None
    helper: Sandbox | None = None

    @property
    def other_box(self) -> Sandbox:
        """The Sandbox for programs of the package."""
        return self.helper or self.box

    @property
    def bounds(self) -> Limits:
        """The limits that apply: the caller's, the test's, the problem's."""
        return self.limits or self.test.limits or self.problem.limits
