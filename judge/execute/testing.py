"""run_test: one test, whatever kind the problem is of -> Evidence."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sandbox import SandboxError

from ..facts import Evidence, PassFacts
from ..problem.model import MULTI_PASS, SUBMIT_ANSWER
from ..safe import remove_tree
from . import batch
from .job import Job
from .multipass import run_passes


def run_test(job: Job) -> Evidence:
    """Run one test and look at what came of it.

    Never raises for what goes wrong with a test: a fault of the host, of the sandbox, of the package or of the judge is
    told in ``Evidence.fault`` (the verdict is JE then), with the passes that were complete. KeyboardInterrupt passes
    through, after the runs are gone.
    """
    feedback = job.scratch / "feedback"
    done: list[PassFacts] = []
    try:
        try:
            _run(job, feedback, done)
        finally:
            _clean(feedback)
    except (SandboxError, OSError) as error:
        return Evidence(tuple(done), fault=_told(error))
    return Evidence(tuple(done))


def _run(job: Job, feedback: Path, done: list[PassFacts]) -> None:
    if SUBMIT_ANSWER in job.problem.kinds:
        from .answer import check_answer

        done.append(check_answer(job, feedback))
        return
    multi_pass = MULTI_PASS in job.problem.kinds
    way = batch.run_pass
    if job.interactor is not None or job.problem.interactor is not None:
        from . import interactive  # asyncio: 30 ms that batch problems need not spend

        way = interactive.run_pass
    run_passes(job, partial(way, multi_pass=multi_pass), feedback, done)


def _clean(feedback: Path) -> None:
    if feedback.is_symlink() or feedback.exists():
        remove_tree(feedback)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
