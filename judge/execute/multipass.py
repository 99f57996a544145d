"""Passes: the submission runs again as long as the output validator leaves it another input (2025-09, "Multi-pass
validation"): limits are those of each pass, what else is in the feedback directory stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..check.feedback import open_next
from ..errors import JudgeError
from ..facts import PassFacts
from .job import Job

# (job, feedback directory) -> the pass, and where the next input is
Pass = Callable[[Job, Path], tuple[PassFacts, Path | None]]


def run_passes(job: Job, run_pass: Pass, feedback: Path, done: list[PassFacts]) -> None:
    """Run them all; each is added to ``done``, so that a fault in a later one leaves the facts of those before.

    The validator gets the input of its own pass as input_file ("the input data file given on standard input to the
    program"). Raises JudgeError if it wants more passes than the package allows.
    """
    most = job.bounds.validation_passes
    while True:
        facts, left = run_pass(job, feedback)
        done.append(facts)
        if left is None:
            return
        if len(done) >= most:
            raise JudgeError(f"the output validator asked for pass {len(done) + 1}, and validation_passes is {most}")
        job = replace(job, test=replace(job.test, input=_taken(job, left)))


def _taken(job: Job, left: Path) -> Path:
    """A copy of the next input, out of reach of the validator, which may write to its feedback directory again."""
    target = job.scratch / "next"
    target.unlink(missing_ok=True)
    source = open_next(left, limit_bytes=job.bounds.validation_output_bytes)
    try:
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while os.sendfile(copy, source, None, 1 << 20):
                pass
        finally:
            os.close(copy)
    finally:
        os.close(source)
    return target
