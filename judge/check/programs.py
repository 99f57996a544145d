"""Checkers and interactors that are programs: the command line, the sandbox, and the reading of what they did.

A program of the package is not trusted more than a submission: it has the policy of one, the validation limits, and
sees the input, the answer and the output of one test, read-only, and its feedback directory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import Sandbox

from .. import safe
from ..facts import FAULT, CheckFacts, Limited, RunFacts
from ..problem.model import SECOND, Checker, Limits, Test
from ..program import PLACE, Program
from . import bridged, testlib, validator
from .options import OptionError
from .outcome import Outcome
from .visible import lines

KINDS = ("validator", "testlib", "bridged")
# Where a checker finds its files, whatever they are called on the host.
INPUT, ANSWER, OUTPUT, FEEDBACK = "/data/input", "/data/answer", "/data/output", "/feedback"
# In the feedback directory: what an interactor of testlib's kind writes.
WRITTEN = "output"
# Its answer is missing: a checker that opens it finds an empty file, as in /dev/null.
NO_ANSWER = "/dev/null"


@dataclass(frozen=True)
class Call:
    """For ``Sandbox.run`` or ``start``: everything but the streams."""

    argv: list[str]
    options: dict[str, Any] = field(default_factory=dict)


def limited(limits: Limits) -> Limited:
    """The limits of such a run, as facts."""
    time = limits.validation_time_ns
    return Limited(time, time, 2 * time + SECOND, limits.validation_memory_bytes, limits.validation_output_bytes)


def call(
    checker: Checker, program: Program, test: Test, *, limits: Limits, feedback: Path, cpuset: str | None = None,
    output: Path | None = None,
) -> Call:  # fmt: skip
    """How to start it. ``output``: a file with the submission's output, for a checker that wants a path; None: it
    reads stdin, or is an interactor. Raises OptionError."""
    volumes = [f"{test.input}:{INPUT}:ro"]
    answer = NO_ANSWER
    if test.answer is not None:
        answer = ANSWER
        volumes.append(f"{test.answer}:{ANSWER}:ro")
    place = OUTPUT
    if output is not None:
        volumes.append(f"{output}:{OUTPUT}:ro")
    else:
        place = f"{FEEDBACK}/{WRITTEN}"
        volumes.append(f"{feedback}:{FEEDBACK}:rw")
    if checker.kind == "validator":
        words = validator.arguments(test, INPUT, answer, FEEDBACK)
    elif checker.kind == "testlib":
        words = testlib.arguments(test, INPUT, place, answer)
    elif checker.kind == "bridged":
        places = {"input": INPUT, "output": place, "answer": answer}
        words = bridged.arguments(checker, test, places, interactive=output is None)
    else:
        raise OptionError(f"a checker of the kind {checker.kind!r} is no program")
    if program.directory is not None:
        volumes.append(f"{program.directory}:{PLACE}:ro")
    bounds = limited(limits)
    options: dict[str, Any] = {
        "volumes": volumes, "policy": program.policy, "env": dict(program.env), "net": "none",
        "mem": limits.validation_memory_bytes + program.memory.extra_bytes, "time": f"{bounds.kill_time_ns}ns",
        "wall": f"{bounds.wall_ns}ns", "output": limits.validation_output_bytes,
        # Each of its files is part of its output too.
        "fsize": limits.validation_output_bytes, "pids": program.pids, "stack": program.stack,
    }  # fmt: skip
    if cpuset is not None:
        options["cpuset"] = cpuset
    return Call([*program.command(limits.validation_memory_bytes), *words], options)


def run(
    checker: Checker, program: Program, test: Test, output_fd: int, *, box: Sandbox, limits: Limits, feedback: Path,
    cpuset: str | None = None, multi_pass: bool = False,
) -> Outcome:  # fmt: skip
    """Check one output with a program. What it does wrong is a FAULT; raises what ``box.run`` raises."""
    copy: Path | None = None
    try:
        if checker.kind == "validator":
            asked = call(checker, program, test, limits=limits, feedback=feedback, cpuset=cpuset)
            os.lseek(output_fd, 0, os.SEEK_SET)
            stdin: int | None = output_fd
        else:
            copy = _copied(output_fd, feedback)
            asked = call(checker, program, test, limits=limits, feedback=feedback, cpuset=cpuset, output=copy)
            stdin = None
    except OptionError as error:
        return Outcome(CheckFacts(FAULT, checker.kind, message=str(error)))
    streams = {} if stdin is None else {"stdin": stdin}
    try:
        result = box.run(asked.argv, **asked.options, **streams)
    finally:
        if copy is not None:
            copy.unlink(missing_ok=True)
    return read(checker, RunFacts.of(result, limited(limits), cpuset=cpuset), test, feedback=feedback,
                stdout=result.stdout, stderr=result.stderr, multi_pass=multi_pass)  # fmt: skip


def read(
    checker: Checker, run: RunFacts, test: Test, *, feedback: Path, stdout: bytes | None, stderr: bytes,
    multi_pass: bool = False,
) -> Outcome:  # fmt: skip
    """What a checker or an interactor said. ``stdout`` None: an interactor, which talked to the submission there."""
    if run.outcome not in ("ok", "exited"):
        why = run.error or ", ".join(f"{kind}: {detail}" if detail else kind for kind, detail, _at in run.causes)
        by = f"{checker.kind}: {run.outcome}" + (f", signal {run.signal}" if run.signal else "")
        said = lines(stderr, 1000)
        return Outcome(CheckFacts(FAULT, by, message="; ".join(filter(None, (why, said))), run=run))
    if checker.kind == "validator":
        return validator.read(checker, run, test, directory=feedback, stderr=stderr, multi_pass=multi_pass)
    try:
        if checker.kind == "bridged":
            return Outcome(bridged.read(checker, run, test, stdout, stderr))
        return Outcome(testlib.read(checker, run, test, stderr))
    except OptionError as error:
        return Outcome(CheckFacts(FAULT, checker.kind, message=str(error), run=run))


def open_written(directory: Path) -> int:
    """What an interactor of testlib's kind wrote for the checker, as an fd that the caller closes. Raises UnsafeFile,
    FileNotFoundError."""
    with safe.directory(directory) as root:
        return safe.open_beneath(root, WRITTEN)


def _copied(output_fd: int, directory: Path) -> Path:
    """A copy with a path: a memfd or an unlinked file cannot be mounted, and a pipe cannot be read twice.

    Each has a name of its own: a sandbox that was made ahead would show the file that had this path before.
    """
    name = f"output.{os.urandom(8).hex()}"
    with safe.directory(directory) as root:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=root)
    try:
        at = 0
        while sent := os.sendfile(fd, output_fd, at, 1 << 30):
            at += sent
    finally:
        os.close(fd)
    return directory / name
