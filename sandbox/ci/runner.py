"""All jobs of a file: each when what it needs has passed, as many at once as was asked."""

from __future__ import annotations

import os
import queue
import threading
import time

from ..errors import RequestError
from . import job as one_job
from .job import Place, Stop
from .result import PASSED, JobResult, RunResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .files import Files
    from .live import Output
    from .model import Job, JobFile


def selected(file: JobFile, names: Sequence[str], axes: Mapping[str, str]) -> tuple[Job, ...]:
    """The jobs to run: those named (and what they need), of those combinations. Raises RequestError."""
    known = {job.name for job in file.jobs}
    for name in names:
        if name not in known:
            raise RequestError("--job", name, f"there is no such job; there are {', '.join(sorted(known))}")
    for axis, value in axes.items():
        if not any(job.axes.get(axis) == value for job in file.jobs):
            values = sorted({job.axes[axis] for job in file.jobs if axis in job.axes})
            why = f"the axis has {', '.join(values)}" if values else "no matrix of the file has this axis"
            raise RequestError("--matrix", f"{axis}={value}", why)
    wanted, front = set[str](), set(names or known)
    while front:
        wanted |= front
        front = {need.job for job in file.jobs if job.name in front for need in job.needs} - wanted
    return tuple(
        job
        for job in file.jobs
        if job.name in wanted and all(job.axes.get(axis, value) == value for axis, value in axes.items())
    )


def run(
    file: JobFile, jobs: Sequence[Job], place: Place, files: Files, output: Output, stop: Stop, at_once: int
) -> RunResult:
    """Run them; the caller handles signals and calls ``stop.ask``. Raises nothing of a job's."""
    started, began = time.time_ns(), time.monotonic_ns()
    results: dict[int, JobResult] = {}
    ended: queue.SimpleQueue[tuple[int, JobResult | BaseException]] = queue.SimpleQueue()
    waiting, running = list(range(len(jobs))), 0

    def work(index: int, earlier: tuple[JobResult, ...]) -> None:
        try:
            ended.put((index, one_job.run(jobs[index], place, files, output, stop, earlier)))
        except BaseException as error:
            ended.put((index, error))

    while waiting or running:
        for index in list(waiting):
            needed = [at for at, job in enumerate(jobs) if job.name in {need.job for need in jobs[index].needs}]
            bad = next((at for at in needed if at in results and results[at].status != PASSED), None)
            if bad is not None:
                waiting.remove(index)
                results[index] = one_job.skipped(jobs[index], f"{jobs[bad].title} has not passed")
                output.heading(jobs[index].title, f"skipped: {jobs[bad].title} has not passed")
            elif running < at_once and all(at in results for at in needed):
                waiting.remove(index)
                running += 1
                earlier = tuple(results[at] for at in needed)
                threading.Thread(target=work, args=(index, earlier), daemon=True).start()
        if not running:
            continue
        index, result = _next(ended)
        running -= 1
        if isinstance(result, BaseException):
            stop.ask()
            while running:
                _next(ended)
                running -= 1
            raise result
        results[index] = result
    return RunResult(
        file=os.path.basename(file.path),
        name=file.name,
        started_ns=started,
        wall_ns=time.monotonic_ns() - began,
        jobs=tuple(results[at] for at in range(len(jobs))),
    )


def _next(ended: queue.SimpleQueue[tuple[int, JobResult | BaseException]]) -> tuple[int, JobResult | BaseException]:
    # A wait without a timeout keeps Python's signal handlers from running where the lock is not interruptible.
    while True:
        try:
            return ended.get(timeout=0.2)
        except queue.Empty:
            continue
