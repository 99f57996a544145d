"""Checkers and interactors that are written with testlib.h, or speak as such a program does: by exit code.

0 right, 1 wrong, 2 and 4 and 8 wrong format (_pe, _dirt, _unexpected_eof), 3 the checker's own failure, 7 points. Where
the number cannot say it, the first words on stderr do: "points 12.5 ...", "partially correct (60) ..." (testlib.h:
TResult, resultExitCode, InStream::quit; checkers are called without a result file, so that these words come there).
"""

from __future__ import annotations

import math
import re

from ..facts import ACCEPT, FAULT, PARTIAL, PRESENTATION, REJECT, CheckFacts, RunFacts
from ..problem.model import Checker, Test
from .visible import lines

OUTCOMES = {0: ACCEPT, 1: REJECT, 2: PRESENTATION, 4: PRESENTATION, 8: PRESENTATION}
FAILED, POINTS = 3, 7
# What _pc(n) adds to n: nothing by default, so that n up to 8 looks like another result; 50 with TESTSYS; 16 is where
# _partially stands among the results.
PARTIAL_BASES = (0, 16, 50)
POINTS_SAID = re.compile(rb"^points ([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)(?:\s|$)", re.M)
PARTIALLY_SAID = re.compile(rb"\Apartially correct \(([0-9]{1,3})\)")


def arguments(test: Test, input_file: str, output_file: str, answer_file: str) -> list[str]:
    return [input_file, output_file, answer_file, *test.checker_args]


def read(checker: Checker, run: RunFacts, test: Test, stderr: bytes) -> CheckFacts:
    """Points are points of this test, or with the option percent (Polygon's treat-points-from-checker-as-percent) per
    cent of it; "partially correct (n)" is n per cent."""
    code = run.exit_code
    by, message = f"testlib: exit code {code}", lines(stderr, 4096)
    partly = PARTIALLY_SAID.match(stderr)
    if partly and code in {(base + int(partly[1])) % 256 for base in PARTIAL_BASES}:
        return _share(by, message, int(partly[1]) / 100, run)
    if code == POINTS:
        found = POINTS_SAID.search(stderr)
        score = _float(found[1]) if found else None
        if score is None:
            return CheckFacts(FAULT, by, message=f"no points on stderr: {message}", run=run)
        if checker.options.get("percent"):
            return _share(by, message, score / 100, run)
        return points(by, message, score, test, run)
    if code not in OUTCOMES:
        why = "the checker failed" if code == FAILED else "no exit code of testlib"
        return CheckFacts(FAULT, by, message=f"{why}: {message}", run=run)
    return CheckFacts(OUTCOMES[code], by, message=message, run=run)


def points(by: str, message: str, score: float, test: Test, run: RunFacts) -> CheckFacts:
    """So many points of this test's."""
    if score < 0 or (test.points is not None and score > test.points * (1 + 1e-9)):
        most = f" of {test.points:g}" if test.points is not None else ""
        return CheckFacts(FAULT, by, message=f"{score:g} points{most}: {message}", run=run)
    outcome = ACCEPT if test.points is not None and score >= test.points else PARTIAL
    return CheckFacts(outcome, by, score=score, message=message, run=run)


def _share(by: str, message: str, share: float, run: RunFacts) -> CheckFacts:
    if not 0 <= share <= 1:
        return CheckFacts(FAULT, by, message=f"not from 0 to 100 per cent: {message}", run=run)
    return CheckFacts(ACCEPT if share == 1 else PARTIAL, by, multiplier=share, message=message, run=run)


def _float(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
