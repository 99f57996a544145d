"""submit-answer: the submission is the answers themselves, and nothing of it is run (2025-09, "Type")."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..check import check_all
from ..errors import JudgeError
from ..facts import REJECT, CheckFacts, PassFacts
from ..safe import UnsafeFile, open_beneath
from .job import Job
from .output import nameless
from .sample import difference

_CHUNK = 1 << 20


def check_answer(job: Job, feedback: Path) -> PassFacts:
    """The check of the file that was submitted for this test.

    The submission is a directory or a zip archive of files NAME.ans or NAME.out, where NAME is the test's ("secret/03"
    or "03"), or one such file; for a problem with one test the file may have any name. What is not there, or too long,
    is rejected: that is the submission's own doing.
    """
    if job.answers is None:
        raise JudgeError(f"test {job.test.name}: no answers were submitted")
    with nameless(job.scratch) as output:
        why = _fetch(job, job.answers, output)
        if why:
            return PassFacts(check=CheckFacts(REJECT, why))
        outcome = check_all(
            job.checkers, job.test, output, box=job.other_box, limits=job.bounds, feedback=feedback, cpuset=job.cpuset,
        )  # fmt: skip
        return PassFacts(check=outcome.facts, diff=difference(job, outcome.facts, output))


def names_of(test_name: str) -> tuple[str, ...]:
    """Under which names the answer to a test is looked for, in this order."""
    short = test_name.rpartition("/")[2]
    return tuple(dict.fromkeys(f"{name}{end}" for name in (test_name, short) for end in (".ans", ".out", ".txt", "")))


def _fetch(job: Job, answers: Path, output: int) -> str:
    """Copy the answer to ``output``; or why there is none."""
    most = job.bounds.output_bytes
    try:
        with _opened(job, answers) as source:
            if source is None:
                return f"no file {names_of(job.test.name)[0]} was submitted"
            for chunk in iter(lambda: source(_CHUNK), b""):
                most -= len(chunk)
                if most < 0:
                    return f"the answer is longer than {job.bounds.output_bytes} bytes"
                _write(output, chunk)
    except (zipfile.BadZipFile, UnsafeFile, EOFError, NotImplementedError, RuntimeError) as error:
        return f"the submitted answers cannot be read: {error}"
    return ""


@contextmanager
def _opened(job: Job, answers: Path) -> Iterator[Callable[[int], bytes] | None]:
    """A read function of the answer's bytes, or None."""
    if answers.is_dir():
        fd = _in_directory(answers, names_of(job.test.name))
    elif zipfile.is_zipfile(answers):
        with zipfile.ZipFile(answers) as archive:
            known = set(archive.namelist())
            name = next((name for name in names_of(job.test.name) if name in known), None)
            if name is None:
                yield None
                return
            with archive.open(name) as member:
                yield member.read
        return
    elif len(job.problem.tests) == 1 or answers.name in names_of(job.test.name):
        fd = os.open(answers, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    else:
        fd = -1
    if fd < 0:
        yield None
        return
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise JudgeError(f"submission {answers.name}: not a regular file")
        yield lambda size: os.read(fd, size)
    finally:
        os.close(fd)


def _in_directory(directory: Path, names: tuple[str, ...]) -> int:
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            try:
                return open_beneath(root, name)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return -1
    finally:
        os.close(root)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
