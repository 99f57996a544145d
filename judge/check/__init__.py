"""One output, one opinion: built-in comparisons and checkers of the package behind one call.

builtin, lines, options, windows: the comparisons. programs: checkers that are programs; validator, testlib, bridged:
how each kind is called and read; feedback: what a validator left. diff, visible: for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sandbox import Sandbox

from ..facts import ACCEPT, FAULT, PARTIAL, CheckFacts
from ..problem.model import Checker, Limits, Test
from ..program import Program
from . import builtin, programs
from . import feedback as feedbacks
from .outcome import Outcome

__all__ = ["Outcome", "check", "check_all"]


def check(
    checker: Checker, program: Program | None, test: Test, output_fd: int, *, box: Sandbox, limits: Limits,
    feedback: Path, cpuset: str | None = None, multi_pass: bool = False,
) -> Outcome:  # fmt: skip
    """What ``checker`` says of an output.

    program: None for the built-in kinds. output_fd: a regular file, O_TMPFILE or memfd, taken from its start.
    feedback: a directory of this test, made if it is not there, the same for all passes. box: a Sandbox whose defaults
    do not matter. Never raises for what the output or a checker does: that is an outcome, FAULT for the checker's own.
    Raises what ``box.run`` raises where the host is at fault.
    """
    if checker.kind in builtin.KINDS:
        return Outcome(builtin.compare(checker, output_fd, test.answer, test.checker_args))
    if program is None or checker.kind not in programs.KINDS:
        return Outcome(CheckFacts(FAULT, checker.kind, message=f"no program for a checker of kind {checker.kind!r}"))
    if why := _bent(feedback):
        return Outcome(CheckFacts(FAULT, checker.kind, message=why))
    return programs.run(checker, program, test, output_fd, box=box, limits=limits, feedback=feedback, cpuset=cpuset,
                        multi_pass=multi_pass)  # fmt: skip


def check_all(
    checkers: Sequence[tuple[Checker, Program | None]], test: Test, output_fd: int, *, box: Sandbox, limits: Limits,
    feedback: Path, cpuset: str | None = None, multi_pass: bool = False,
) -> Outcome:  # fmt: skip
    """All must accept (legacy format, output_validators); the first that does not ends it. Each has a feedback
    directory of its own. Where all accept, it is the first that gave less than all, or the last, that is returned."""
    if not checkers:
        return Outcome(CheckFacts(FAULT, "nobody", message="the problem has no checker"))
    found: Outcome | None = None
    for number, (checker, program) in enumerate(checkers):
        own = feedback
        if len(checkers) > 1:
            if why := _bent(feedback):
                return Outcome(CheckFacts(FAULT, checker.kind, message=why))
            own = feedback / str(number)
        outcome = check(checker, program, test, output_fd, box=box, limits=limits, feedback=own, cpuset=cpuset,
                        multi_pass=multi_pass)  # fmt: skip
        if outcome.facts.outcome not in (ACCEPT, PARTIAL):
            return outcome
        if found is None or found.facts.outcome == ACCEPT:
            # A next pass that an earlier one asked for is not forgotten.
            found = Outcome(outcome.facts, outcome.next_pass or (found.next_pass if found else None))
    assert found is not None
    return found


def _bent(feedback: Path) -> str:
    """Make the directory; what is wrong with it. It may lie below that of an interactor, which may have put a link or a
    file in its place."""
    try:
        feedbacks.prepare(feedback)
    except OSError as error:
        return f"feedback directory: {error.strerror}"
    return ""
