"""The submission's side of a run: command line and options, the same for batch and interactive problems."""

from __future__ import annotations

from typing import Any

from ..errors import JudgeError
from ..facts import Limited
from ..program import Program
from . import files
from .job import Job
from .limits import argument_memory, options


def program_of(job: Job) -> Program:
    """Raises JudgeError where there is none."""
    if job.program is None:
        raise JudgeError(f"test {job.test.name}: there is no program to run")
    return job.program


def call(job: Job, bounds: Limited) -> tuple[list[str], dict[str, Any]]:
    """argv and options of the sandbox, without the standard streams. The test's name is in none of them."""
    program = program_of(job)
    argv = [*program.command(argument_memory(job.bounds)), *job.test.args]
    told = options(bounds, program, cpuset=job.cpuset)
    extra = files.options(job)
    told["volumes"] = [*told["volumes"], *extra.get("volumes", ())]
    told["env"] = {**extra.get("env", {}), **told["env"]}
    return argv, told
