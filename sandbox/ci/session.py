"""A run of a job file from the command line: signals, where artifacts go, and that nothing is left behind."""

from __future__ import annotations

import os
import secrets
import signal
import threading

from ..errors import RequestError
from . import guard, runner
from .files import Files
from .job import Place, Stop
from .live import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Job, JobFile
    from .result import RunResult

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(
    file: JobFile,
    jobs: Sequence[Job],
    *,
    at_once: int = 1,
    live_fd: int = 1,
    artifacts: str = "",
    keep: bool = False,
    caches: bool = True,
) -> RunResult:
    """Run the jobs; call it from the main thread. ``live_fd``: where their output goes.

    ``artifacts``: a directory, made if it is not there; "" = they are only passed on to jobs that need them. SIGINT,
    SIGTERM and SIGHUP end all jobs, which are "interrupted" then; ignored ones stay ignored.
    """
    if not jobs:
        raise RequestError("ci", file.path, "no job is left to run")
    if not caches:
        jobs = [job.replace(caches=()) for job in jobs]
    run_id = secrets.token_hex(4)
    directory = os.path.dirname(os.path.abspath(file.path))
    stop = Stop()
    output = Output(live_fd, prefixed=at_once > 1 and len(jobs) > 1)
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def arrived(number: int, _frame: object) -> None:
        if stop.asked:  # a second one will not wait for a copy that is under way; the guard cleans up
            os._exit(128 + number)
        # What it does may wait for a container's monitor: not in a handler.
        threading.Thread(target=stop.ask, daemon=True).start()

    with guard.Guard(run_id, keep=keep) as guarded:
        passed_on = any(need.artifacts for job in jobs for need in job.needs)
        place = Place(
            run=run_id,
            directory=directory,
            keep=keep,
            artifacts=os.path.abspath(artifacts) if artifacts else guarded.staging() if passed_on else "",
        )
        if artifacts:
            try:
                os.makedirs(artifacts, exist_ok=True)
            except OSError as error:
                raise RequestError("--artifacts", artifacts, f"cannot be made: {error.strerror}") from None
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, arrived)
        try:
            result = runner.run(file, jobs, place, Files(directory), output, stop, at_once)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if artifacts:
        return result
    # They were between jobs alone, and have gone with the run.
    return result.replace(jobs=tuple(job.replace(artifacts=None) for job in result.jobs))
