"""The work directory of a submission: where it starts, with the files of its test.

Problem package format 2025-09, "Working directory" and "Input": a test's ``.files`` are in the working directory, and
unless ``allow_file_writing`` is set a submission only reads there. The program's own files are at PLACE.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ..errors import JudgeError
from .job import Job
from .limits import share

WORK = "/work"
# A sandbox takes no more volumes than 200.
MOST_FILES = 150


def options(job: Job) -> dict[str, Any]:
    """What to change of a submission's options: volumes to add, and the environment."""
    if job.problem.allow_file_writing:
        if len(job.test.files) > MOST_FILES:
            raise JudgeError(f"test {job.test.name} has {len(job.test.files)} files, more than {MOST_FILES}")
        return {"volumes": [share(str(path), f"{WORK}/{_name(name)}") for name, path in job.test.files.items()]}
    # The same directory for all tests without files: with the same view the next sandbox can be made ahead.
    directory = job.scratch / "work"
    if job.test.files:
        directory = job.scratch / "files"
        shutil.rmtree(directory, ignore_errors=True)  # nothing but copies of ours was ever in it
    directory.mkdir(exist_ok=True)
    for name, path in job.test.files.items():
        target = directory / _name(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(path, target)
    return {"volumes": [share(str(directory), WORK)], "env": {"HOME": "/tmp"}}  # runtimes that keep caches need one


def _name(name: str) -> str:
    """A relative path that stays below the work directory."""
    if not name or name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise JudgeError(f"{name!r} is no name of a file in the work directory")
    return name


def _copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=True)
    except OSError:  # another file system, or a file of another user (fs.protected_hardlinks)
        shutil.copyfile(source, target)
