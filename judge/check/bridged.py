"""DMOJ's bridged checkers and interactors: a command line after a pattern, and four ways to read what comes back.

Options of the Checker: type (default, testlib, coci, peg), args (the pattern; None: the type's own), feedback (what the
program prints goes to the team; true unless said otherwise). As judge-server has it in dmoj/checkers/bridged.py,
dmoj/graders/bridged.py and dmoj/contrib/.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace

from ..facts import ACCEPT, FAULT, PARTIAL, REJECT, CheckFacts, RunFacts
from ..problem.model import Checker, Test
from . import testlib
from .options import OptionError
from .visible import lines

CHECKER_ARGUMENTS = {
    "default": "{input} {output} {answer}",
    "testlib": "{input} {output} {answer}",
    "coci": "{input} {output} {answer}",
    "peg": "{output} {answer} {input}",
}
INTERACTOR_ARGUMENTS = {
    "default": "{input} {answer}",
    "testlib": "{input} {output} {answer}",
    "coci": "{input} {output} {answer}",
    "peg": "{input} {answer}",
}
COCI = re.compile(rb"^partial ([0-9]+)/([0-9]*[1-9][0-9]*)$", re.M)
PEG = re.compile(rb"^([0-9]+)\r?\n([0-9]*[1-9][0-9]*)\s*$", re.M)
FEEDBACK_BYTES = 1024


def arguments(checker: Checker, test: Test, places: Mapping[str, str], *, interactive: bool) -> list[str]:
    """The pattern's words with {input}, {output} and {answer} filled in. Raises OptionError."""
    own = (INTERACTOR_ARGUMENTS if interactive else CHECKER_ARGUMENTS)[_type(checker)]
    pattern = checker.options.get("args") or own
    if not isinstance(pattern, str):
        raise OptionError(f"args: {pattern!r} is no text")
    try:
        words = shlex.split(pattern)
    except ValueError as error:
        raise OptionError(f"args: {error} in {pattern!r}") from None
    # Not str.format: a package must not reach attributes of ours.
    for name, place in places.items():
        words = [word.replace("{" + name + "}", place) for word in words]
    return [*words, *test.checker_args]


def read(checker: Checker, run: RunFacts, test: Test, stdout: bytes | None, stderr: bytes) -> CheckFacts:
    """``stdout`` None: it was an interactor, which talked to the submission there; then stderr is the feedback."""
    kind = _type(checker)
    said = stderr if stdout is None else stdout
    by = f"{kind}: exit code {run.exit_code}"
    message = lines(said, 4096)
    facts = CheckFacts(FAULT, by, message=f"an exit code that means nothing: {lines(stderr, 1000)}", run=run)
    if kind == "coci" and run.exit_code == testlib.POINTS:
        facts = _fraction(by, message, COCI.search(stderr), run)
    elif kind in ("testlib", "coci"):
        facts = replace(testlib.read(checker, run, test, stderr), by=by)
    elif run.exit_code == 0:
        facts = CheckFacts(ACCEPT, by, message=message, run=run)
    elif run.exit_code == 1:
        facts = CheckFacts(REJECT, by, message=message, run=run)
        # PEG has no exit code of its own for a part.
        if kind == "peg" and (found := PEG.search(said)) and int(found[1]):
            facts = _fraction(by, message, found, run)
    if checker.options.get("feedback", True) and facts.outcome != FAULT:
        facts = replace(facts, team_message=lines(said, FEEDBACK_BYTES))
    return facts


def _fraction(by: str, message: str, found: re.Match[bytes] | None, run: RunFacts) -> CheckFacts:
    if found is None or len(found[0]) > 100 or int(found[1]) > int(found[2]):
        return CheckFacts(FAULT, by, message=f"no share of the points on stderr: {message}", run=run)
    share = int(found[1]) / int(found[2])
    return CheckFacts(ACCEPT if share == 1 else PARTIAL, by, multiplier=share, message=message, run=run)


def _type(checker: Checker) -> str:
    kind = checker.options.get("type", "default")
    if not isinstance(kind, str) or kind not in CHECKER_ARGUMENTS:
        raise OptionError(f"type: {kind!r} is none of {', '.join(CHECKER_ARGUMENTS)}")
    return kind
