"""Output validators: exit code 42 accepts, 43 rejects, and all else is the validator's own fault.

Problem package format 2025-09, "Output validator": invocation, "Reporting a judgement", "Multi-pass validation",
"Scoring test cases"; the legacy format is read the same way, but a score beside a rejection is no fault there
(problemtools expects one), and may be negative.
"""

from __future__ import annotations

from pathlib import Path

from ..facts import ACCEPT, FAULT, PARTIAL, REJECT, CheckFacts, RunFacts
from ..problem.model import Checker, Test
from . import feedback
from .outcome import Outcome
from .visible import lines

ACCEPTED, REJECTED = 42, 43


def arguments(test: Test, input_file: str, answer_file: str, feedback_dir: str) -> list[str]:
    """After the program's own: input, judge's answer, feedback directory with its slash, and the test's flags."""
    return [input_file, answer_file, feedback_dir + "/", *test.checker_args]


def read(checker: Checker, run: RunFacts, test: Test, *, directory: Path, stderr: bytes, multi_pass: bool) -> Outcome:
    """The exit code and the feedback directory, as facts. Option strict_scores: the rules of 2025-09 about scores."""
    by = f"validator: exit code {run.exit_code}"
    try:
        left = feedback.read(directory)
        if run.exit_code not in (ACCEPTED, REJECTED):
            said = lines(stderr, 1000)
            raise feedback.Broken("neither 42 nor 43" + (f"; it wrote: {said}" if said else ""))
        facts = _facts(left, by, run, test, run.exit_code == ACCEPTED, bool(checker.options.get("strict_scores")))
        if multi_pass and left.next_pass and run.exit_code != ACCEPTED:
            raise feedback.Broken(f"{feedback.NEXT} beside exit code {run.exit_code}")
    except feedback.Broken as broken:
        return Outcome(CheckFacts(FAULT, by, message=str(broken), run=run))
    again = multi_pass and left.next_pass and facts.outcome != REJECT
    return Outcome(facts, directory if again else None)


def _facts(left: feedback.Left, by: str, run: RunFacts, test: Test, accepted: bool, strict: bool) -> CheckFacts:
    score, multiplier = left.score, left.multiplier
    if strict and test.sample:  # 2025-09, "Samples for judging": they have no score, and one that is given is no fault
        score = multiplier = None
    name = feedback.SCORE if score is not None else feedback.MULTIPLIER if multiplier is not None else ""
    if strict and name and not accepted:
        raise feedback.Broken(f"{name} beside exit code {REJECTED}")
    if strict and score is not None and score < 0:
        raise feedback.Broken(f"{name} is {score:g}, less than 0")
    if strict and score is not None and test.points is not None and score > test.points * (1 + 1e-9):
        raise feedback.Broken(f"{name} is {score:g}, more than the {test.points:g} of this test")
    if not accepted:
        outcome, score, multiplier = REJECT, None, None
    elif multiplier is not None and multiplier < 1:
        outcome = PARTIAL
    elif score is not None and test.points is not None and score < test.points:
        outcome = PARTIAL
    else:
        outcome = ACCEPT
    return CheckFacts(outcome, by, multiplier, score, left.where, left.message, left.team_message, run)
