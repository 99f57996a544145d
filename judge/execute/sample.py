"""What a person may see of a sample that is wrong."""

from __future__ import annotations

import os

from ..check import builtin
from ..check.diff import diff
from ..facts import PRESENTATION, REJECT, CheckFacts
from ..safe import open_regular
from .job import Job


def difference(job: Job, check: CheckFacts, output: int) -> str:
    """Where the output leaves the answer; "" for secret tests, and where a program of the package decides, for then the
    answer is not what the output must look like."""
    if not job.test.sample or job.test.answer is None or check.outcome not in (REJECT, PRESENTATION):
        return ""
    if any(checker.kind not in builtin.KINDS for checker, _ in job.checkers):
        return ""
    answer = open_regular(job.test.answer)
    try:
        return diff(output, answer)
    finally:
        os.close(answer)
