"""A run with the test's input as stdin, and the check of what it wrote."""

from __future__ import annotations

from pathlib import Path

from ..check import check_all
from ..facts import PassFacts, RunFacts
from .job import Job
from .limits import limited
from .output import nameless, start_of
from .sample import difference
from .submission import call, program_of


def run_pass(job: Job, feedback: Path, *, multi_pass: bool) -> tuple[PassFacts, Path | None]:
    """One pass; with it the feedback directory that holds the next input, if the checker wants another one.

    A run that ended by itself with exit code 0 is checked, also if it took longer than its time limit: a run again may
    show that it does not. Everything else is decided without a look at the output. Raises SandboxError and OSError for
    faults that are not the submission's.
    """
    bounds = limited(job.bounds, program_of(job))
    argv, options = call(job, bounds)
    with nameless(job.scratch) as output, nameless(job.scratch) as errors:
        result = job.box.run(argv, stdin=str(job.test.input), stdout=output, stderr=errors, **options)
        facts, said = RunFacts.of(result, bounds, cpuset=job.cpuset), start_of(errors)
        if not result.ok:
            return PassFacts(facts, stderr=said), None
        outcome = check_all(
            job.checkers, job.test, output, box=job.other_box, limits=job.bounds, feedback=feedback, cpuset=job.cpuset,
            multi_pass=multi_pass,
        )  # fmt: skip
        shown = difference(job, outcome.facts, output)
    return PassFacts(facts, outcome.facts, stderr=said, diff=shown), outcome.next_pass
