"""One job: its machine, its steps in order, what is put in before and taken out after them."""

from __future__ import annotations

import threading
import time

from ..errors import SandboxError
from ..record import Record
from ..units import format_duration
from .live import Output, StepOutput
from .machine import Machine
from .model import ALWAYS, ON_FAILURE, ON_SUCCESS, Job, Step
from .report import MARKS, seconds
from .result import (
    ERROR,
    FAILED,
    IGNORED,
    INTERRUPTED,
    PASSED,
    SKIPPED,
    ArtifactsResult,
    CacheResult,
    JobResult,
    StepResult,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..result import Result
    from .files import Files

_WORDS = {
    "signaled": "ended by a signal",
    "cpu_time": "its limit of CPU time",
    "wall_time": "its timeout",
    "idle": "its timeout, and it hardly used the CPU",
    "memory": "its memory limit",
    "output": "its output limit",
    "syscall": "a system call that the policy refuses",
    "exec_failed": "its shell cannot be executed",
    "interrupted": "interrupted",
    "disk": "its disk limit",
}

# A container's own limits, which end all of it.
_LIMITS = ("memory", "cpu_time", "wall_time", "idle", "disk", "output")
# How a step ends whose container ends.
_MAY_BE_THE_END = ("signaled", "memory", "interrupted")


class Stop:
    """Whether the whole run is to end; ``on_stop`` is called then, or at once."""

    def __init__(self) -> None:
        self._event, self._lock = threading.Event(), threading.Lock()
        self._calls: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        """Has somebody asked?"""
        return self._event.is_set()

    def ask(self) -> None:
        """Let everything end: called once or often, from a thread that may wait."""
        with self._lock:
            self._event.set()
            calls = list(self._calls)
        for call in calls:
            call()

    def add(self, call: Callable[[], None]) -> None:
        """``call`` when it is asked; at once if it was."""
        with self._lock:
            self._calls.append(call)
            late = self._event.is_set()
        if late:
            call()

    def drop(self, call: Callable[[], None]) -> None:
        """Not any more."""
        with self._lock:
            self._calls.remove(call)


class Place(Record):
    """Where a job's run belongs: the run's id, the job file's directory, where artifacts go, what is kept."""

    run: str
    directory: str
    artifacts: str  # "": they are not taken out
    keep: bool


def run(job: Job, place: Place, files: Files, output: Output, stop: Stop, earlier: Sequence[JobResult]) -> JobResult:
    """All attempts of a job; never raises a SandboxError. ``earlier``: the jobs that it needs, and their artifacts."""
    began = time.monotonic_ns()
    result = _failed(job, "not started", ERROR)
    for attempt in range(1, job.retry + 2):
        if stop.asked:
            return _failed(job, "interrupted", INTERRUPTED) if attempt == 1 else result
        if attempt > 1:
            output.heading(job.title, f"attempt {attempt} of {job.retry + 1}")
        one = _Attempt(job, place, files, output, stop, earlier, attempt)
        result = one.run().replace(attempts=attempt, wall_ns=time.monotonic_ns() - began)
        if result.status not in (FAILED, ERROR):
            break
    return result


def skipped(job: Job, detail: str) -> JobResult:
    """The result of a job that is not run."""
    return _failed(job, detail, SKIPPED)


def _failed(job: Job, detail: str, status: str) -> JobResult:
    steps = tuple(StepResult(name=step.name, status=SKIPPED) for step in job.steps) if status == SKIPPED else ()
    return JobResult(
        name=job.name, title=job.title, axes=dict(job.axes), image=job.image, status=status, detail=detail, steps=steps
    )


class _Attempt:
    def __init__(
        self,
        job: Job,
        place: Place,
        files: Files,
        output: Output,
        stop: Stop,
        earlier: Sequence[JobResult],
        attempt: int,
    ) -> None:
        self._job, self._place, self._files, self._output, self._stop = job, place, files, output, stop
        self._earlier = earlier
        self._machine = Machine(job, place.run, place.directory, attempt)
        self._began = time.monotonic_ns()
        self._steps: list[StepResult] = []
        self._caches: list[CacheResult] = []
        self._artifacts: ArtifactsResult | None = None
        self._failed = False
        self._gone = False  # the container has ended before its steps have

    def run(self) -> JobResult:
        detail, status = "", ""
        self._stop.add(self._machine.kill)
        try:
            self._open()
            for at, step in enumerate(self._job.steps, 1):
                self._step(at, step)
            self._take_out()
        except SandboxError as error:
            status, detail = (INTERRUPTED, "interrupted") if self._stop.asked else (ERROR, str(error))
            if status == ERROR:
                self._output.heading(self._job.title, f"ERROR: {error}")
        finally:
            self._stop.drop(self._machine.kill)
            try:
                self._machine.close(keep=self._place.keep and not self._stop.asked)
            except SandboxError as error:
                status, detail = status or ERROR, detail or f"not removed: {error}"
        for step in self._job.steps[len(self._steps) :]:
            self._steps.append(StepResult(name=step.name, status=SKIPPED, detail="not reached"))
        if not status:
            status = self._worst()
        return JobResult(
            name=self._job.name,
            title=self._job.title,
            axes=dict(self._job.axes),
            image=self._job.image,
            status=status,
            detail=detail,
            steps=tuple(self._steps),
            artifacts=self._artifacts,
            caches=tuple(self._caches),
        )

    def _worst(self) -> str:
        found = {step.status for step in self._steps}
        return next((status for status in (INTERRUPTED, ERROR, FAILED) if status in found), PASSED)

    def _open(self) -> None:
        job = self._job
        self._output.heading(job.title, f"image {job.image}, container {self._machine.name}")
        for service in job.services:
            self._output.heading(job.title, f"service {service.name}, image {service.image}")
        self._machine.open()
        for copy in job.copies:
            self._files.put(self._machine, copy.source, copy.target)
        wanted = {need.job for need in job.needs if need.artifacts}
        for result in self._earlier:
            if result.name in wanted and result.artifacts is not None:
                self._files.put_artifacts(self._machine, result.artifacts.directory, job.workdir)
        for cache in job.caches:
            self._caches.append(self._files.restore(self._machine, cache))

    def _step(self, at: int, step: Step) -> None:
        job = self._job
        if self._stop.asked:
            self._steps.append(StepResult(name=step.name, status=INTERRUPTED, detail="interrupted"))
            return
        if step.condition != ALWAYS and (step.condition == ON_FAILURE) != self._failed:
            why = "no step before it has failed" if step.condition == ON_FAILURE else "a step before it has failed"
            self._steps.append(StepResult(name=step.name, status=SKIPPED, detail=why))
            return
        if self._gone:
            self._steps.append(StepResult(name=step.name, status=SKIPPED, detail="the container has ended"))
            return
        began = time.monotonic_ns()
        left = job.timeout_ns - (began - self._began)
        if left <= 0:
            self._failed = True
            self._steps.append(
                StepResult(
                    name=step.name,
                    status=FAILED,
                    outcome="wall_time",
                    began_ns=began - self._began,
                    detail=f"the job's timeout of {format_duration(job.timeout_ns)}",
                )
            )
            return
        self._output.heading(job.title, f"[{at}/{len(job.steps)}] {step.name}")
        stream = StepOutput(self._output, job.title)
        text, result, fault = "", None, ""
        try:
            result = self._machine.step(step, stream.fd, left)
        except SandboxError as error:
            fault = str(error)
        finally:
            text = stream.close()
        self._steps.append(self._judged(step, result, fault, left, began, text, stream.truncated))
        one = self._steps[-1]
        if one.status != INTERRUPTED and (result is None or result.outcome in _MAY_BE_THE_END):
            one = self._steps[-1] = self._ended(one)
        if one.status != PASSED:
            self._output.heading(
                job.title, f"[{at}/{len(job.steps)}] {MARKS[one.status]} after {seconds(one.wall_ns)}: {one.detail}"
            )
        if one.status in (FAILED, ERROR, INTERRUPTED):
            self._failed = True

    def _ended(self, one: StepResult) -> StepResult:
        """The step's result, if the container has ended with it: by a limit of the container, or by a fault."""
        outcome = self._machine.ended()
        if outcome is None:
            return one
        self._gone = True
        if outcome in _LIMITS:
            detail = f"{_WORDS[outcome]}, which has ended the container"
            return one.replace(status=FAILED, outcome=outcome, detail=detail)
        return one.replace(status=ERROR, detail=f"the container has ended ({outcome}); {one.detail}")

    def _judged(
        self, step: Step, result: Result | None, fault: str, left: int, began: int, text: str, truncated: bool
    ) -> StepResult:
        now = time.monotonic_ns()
        one = StepResult(
            name=step.name,
            status=PASSED,
            began_ns=began - self._began,
            wall_ns=now - began,
            output=text,
            output_truncated=truncated,
        )
        if self._stop.asked and (result is None or result.outcome != "ok"):
            return one.replace(status=INTERRUPTED, detail="interrupted")
        if result is None:
            return one.replace(status=ERROR, detail=fault)
        one = one.replace(exit_status=result.exit_status, outcome=result.outcome, cpu_ns=result.usage.cpu_ns)
        if result.outcome == "ok":
            return one
        if result.outcome == "exited":
            detail = f"exit status {result.exit_status}"
        else:
            detail = _WORDS.get(result.outcome, result.outcome)
            if result.outcome in ("wall_time", "idle") and now - began >= left:
                detail = f"the job's timeout of {format_duration(self._job.timeout_ns)}"
        return one.replace(status=IGNORED if step.continue_on_error else FAILED, detail=detail)

    def _take_out(self) -> None:
        artifacts = self._job.artifacts
        wanted = artifacts is not None and (artifacts.when == ALWAYS or (artifacts.when == ON_SUCCESS) != self._failed)
        if self._gone:
            return
        if artifacts is not None and wanted and self._place.artifacts and not self._stop.asked:
            self._artifacts = self._files.take(
                self._machine, artifacts, f"{self._place.artifacts}/{self._job.directory}", self._job.workdir
            )
        if not self._failed and not self._stop.asked:
            self._caches = [
                self._files.save(self._machine, cache, before)
                for cache, before in zip(self._job.caches, self._caches, strict=True)
            ]
