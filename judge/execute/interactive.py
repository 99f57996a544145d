"""A submission and an interactor, each in its own sandbox with its own cgroup, wired by two kernel pipes.

Both are pinned to the worker's CPU, so that they take none from another worker (20,000 round trips took 160 ms here, on
one CPU and on two; others measured a factor of five in favour of one). Each is ended by its own limits alone. The
submission's wall time is given to it net of the CPU time of the interactor: where the wall time ran out and the
interactor had worked for a good part of it, the two are run again with that much more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox import HandOver, Result

from ..check import check_all, programs
from ..check.feedback import prepare
from ..errors import JudgeError
from ..facts import ACCEPT, INTERACTOR, SUBMISSION, CheckFacts, Limited, PassFacts, RunFacts
from ..problem.model import SECOND, Checker
from ..program import Program
from ..safe import remove_tree
from .job import Job
from .limits import duration, limited, longer
from .output import STDERR_BYTES
from .pipes import Pipe, Tail
from .submission import call, program_of

# How long an interactor may go on being idle when the submission has gone: it sees the end of its input then.
IDLE_NS = 2 * SECOND
# A testlib interactor says its verdict on stderr.
INTERACTOR_STDERR_BYTES = 65536
# How much of its wall time a submission may lose to the interactor's computing before the run is repeated.
LOST_SHARE = 0.2


@dataclass(frozen=True)
class Talk:
    """Both Results, and the start of what each wrote to stderr. late: how many bytes the submission wrote when nobody
    listened any more."""

    submission: Result
    interactor: Result
    stderr: bytes
    said: bytes
    late: int


def run_pass(job: Job, feedback: Path, *, multi_pass: bool) -> tuple[PassFacts, Path | None]:
    """One pass; with it the feedback directory that holds the next input. The submission sees of the test's input what
    the interactor tells it.

    Raises SandboxError and OSError for faults that are not the submission's.
    """
    checker, program = _interactor(job)
    base = bounds = limited(job.bounds, program_of(job))
    while True:
        prepare(feedback)
        told = programs.call(checker, program, job.test, limits=job.bounds, feedback=feedback, cpuset=job.cpuset)
        talk = _complete(_talk(job, bounds, told.argv, told.options))
        more = _lost(talk, base, bounds)
        if not more:
            break
        if multi_pass or more > job.bounds.validation_time_ns:  # what it left in the feedback directory must stay
            wall = (bounds.wall_ns or 0) / SECOND
            raise JudgeError(f"the interactor computed until the wall time of the waiting submission, {wall:.3f} s, "
                             "was over; the limits are too short for it")  # fmt: skip
        remove_tree(feedback)
        bounds = longer(base, more)
    run = _with_late_output(RunFacts.of(talk.submission, bounds, cpuset=job.cpuset), talk.late)
    theirs = RunFacts.of(talk.interactor, programs.limited(job.bounds), cpuset=job.cpuset)
    outcome = programs.read(
        checker, theirs, job.test, feedback=feedback, stdout=None, stderr=talk.said, multi_pass=multi_pass,
    )  # fmt: skip
    check = outcome.facts
    if job.checkers and run.outcome == "ok" and check.outcome == ACCEPT:
        check = _checked(job, feedback)
    facts = PassFacts(run, check, _first(run, theirs), talk.stderr.decode("utf-8", "replace"))
    return facts, outcome.next_pass if run.outcome == "ok" and check is outcome.facts else None


def _checked(job: Job, feedback: Path) -> CheckFacts:
    """What the checker says of the file that the interactor wrote for it (Polygon; testlib.h: registerInteraction)."""
    try:
        output = programs.open_written(feedback)
    except FileNotFoundError:
        raise JudgeError("the interactor accepted and wrote no output for the checker") from None
    try:
        outcome = check_all(
            job.checkers, job.test, output, box=job.other_box, limits=job.bounds, feedback=feedback / "checker",
            cpuset=job.cpuset,
        )  # fmt: skip
    finally:
        os.close(output)
    return outcome.facts


def _complete(talk: Coroutine[Any, Any, Talk]) -> Talk:
    """Wait for it; in a thread of its own where this one has a loop already (a caller that uses asyncio)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(talk)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, talk).result()


def _interactor(job: Job) -> tuple[Checker, Program]:
    if job.problem.interactor is None or job.interactor is None:
        raise JudgeError(f"problem {job.problem.name}: there is no interactor to run")
    return job.problem.interactor, job.interactor


async def _talk(job: Job, bounds: Limited, argv: list[str], options: dict[str, Any]) -> Talk:
    """Run both until both have ended. Whatever happens, neither they nor an fd of ours is left."""
    down, up = Pipe(), Pipe()  # to the submission, and from it
    said, errors = Tail(INTERACTOR_STDERR_BYTES), Tail(STDERR_BYTES)
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[Result]] = []
    watched: set[int] = set()
    wall_ns = bounds.wall_ns or 0

    def watch(fd: int, step: Any) -> None:
        watched.add(fd)
        loop.add_reader(fd, step)

    def forget(fd: int) -> None:
        if fd in watched:
            watched.remove(fd)
            loop.remove_reader(fd)

    def ended(own: Pipe, other: Pipe, most: int | None) -> None:
        """The writer of ``own`` is gone: its partner may see that. What the partner still says is dropped."""
        own.release()
        if other.reader >= 0:
            os.set_blocking(other.reader, False)
            watch(other.reader, lambda: drop(other, most))

    def drop(pipe: Pipe, most: int | None) -> None:
        if not pipe.drop() or (most is not None and pipe.dropped > most):
            forget(pipe.reader)
            pipe.close_reader()

    def release() -> None:
        down.release()
        up.release()

    timer = loop.call_later(wall_ns / SECOND / 2, release)
    try:
        for tail in (said, errors):
            watch(tail.reader, tail.read)
        theirs = {**options, "idle": duration(wall_ns + IDLE_NS),
                  "wall": duration(2 * wall_ns + IDLE_NS + 2 * job.bounds.validation_time_ns)}  # fmt: skip
        theirs.pop("output", None)  # what is handed over passes us by
        tasks.append(loop.create_task(job.other_box.arun(
            argv, stdin=up.reader, stdout=HandOver(down.writer), stderr=HandOver(said.writer), **theirs,
        )))  # fmt: skip
        tasks[0].add_done_callback(lambda _: ended(down, up, bounds.output_bytes))
        words, ours = call(job, bounds)
        ours.pop("output")
        tasks.append(loop.create_task(job.box.arun(
            words, stdin=down.reader, stdout=HandOver(up.writer), stderr=HandOver(errors.writer), **ours,
        )))  # fmt: skip
        tasks[1].add_done_callback(lambda _: ended(up, down, None))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()  # raises what went wrong
        interactor, submission = (task.result() for task in tasks)
        for tail in (said, errors):
            while tail.read():
                pass
        return Talk(submission, interactor, bytes(errors.data), bytes(said.data), up.dropped)
    finally:
        timer.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for fd in list(watched):
            forget(fd)
        for end in (down, up, said, errors):
            end.close()


def _lost(talk: Talk, base: Limited, bounds: Limited) -> int:
    """How much longer the wall time must be, because the interactor computed while the submission waited; 0: it was
    long enough."""
    kinds = {cause.kind for cause in talk.submission.causes}
    computed = talk.interactor.usage.cpu_ns or 0
    if not kinds & {"wall_time", "idle"} or base.wall_ns is None or bounds.wall_ns is None:
        return 0
    if talk.interactor.outcome == "cpu_time" or bounds.wall_ns - computed >= (1 - LOST_SHARE) * base.wall_ns:
        return 0
    return round(1.5 * computed) + SECOND // 2


def _with_late_output(run: RunFacts, late: int) -> RunFacts:
    """Output for which there was no reader any more counts against the output limit; what the interactor took does
    not. Beyond the limit nobody reads any more, so SIGPIPE, or the exit of who ignores that, is the limit's doing."""
    if run.limits.output_bytes is None or late <= run.limits.output_bytes:
        return run
    own = tuple(cause for cause in run.causes if cause[0] not in ("signaled", "exited"))
    cause = ("output", f"{late} bytes that the interactor had not read when it ended, or that came later", None)
    outcome = "output" if run.outcome in ("ok", "exited", "signaled") else run.outcome
    return replace(run, outcome=outcome, causes=(*own, cause), output_bytes=late)


def _first(run: RunFacts, theirs: RunFacts) -> str:
    """Who ended first. Nobody sees the end of a partner before it is noted (pipes.py), so the later one was the one
    that could be caused; SIGPIPE is always."""
    own, other = _end_ns(run), _end_ns(theirs)
    if run.signal == 13 or own is None:  # SIGPIPE
        return INTERACTOR
    if other is None:
        return SUBMISSION
    return INTERACTOR if other <= own else SUBMISSION


# Outcomes by which the sandbox ends a program.
_BY_A_LIMIT = ("cpu_time", "wall_time", "idle", "memory", "output")


def _end_ns(run: RunFacts) -> int | None:
    """When it ended; of a run that a limit ended, when that was decided: the partner sees the end of its input at the
    kill, and may be noted to have ended before the last of the killed ones is gone."""
    if run.ended_at_ns is None or run.wall_ns is None:
        return run.ended_at_ns
    decided = [at for kind, _detail, at in run.causes if kind in _BY_A_LIMIT and at is not None]
    return min([run.ended_at_ns, *(run.ended_at_ns - run.wall_ns + at for at in decided)])
