"""A package for a command: read where it is, or unpacked into a directory that goes away at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import RequestError

from ..grade.scratch import Scratch
from ..problem.model import Problem
from ..problem.opening import open_problem


@contextmanager
def place(path: Path) -> Iterator[Path | None]:
    """Where an archive may be unpacked; None for a directory, which needs no such place."""
    if not path.exists():
        raise RequestError("judge", str(path), "there is no such package")
    if path.is_dir():
        yield None
        return
    with Scratch() as made:
        yield made


@contextmanager
def problem_of(word: str) -> Iterator[Problem]:
    """The problem in a directory or an archive. Raises PackageError."""
    path = Path(word)
    with place(path) as into:
        yield open_problem(path, into=into)
