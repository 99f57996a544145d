"""What a package's verdicts depend on, as one hash: two packages with the same digest judge the same way.

In it: limits, checkers, interactor, graders and included files with their content, the tree of groups with its
scoring, and each test with the content of its files. Not in it: names and places of the package, statements,
descriptions and the jury's submissions.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .model import Checker, Group, Problem, Test

# Part of every digest: raised when the meaning of what is hashed changes.
VERSION = 1


def digest(problem: Problem) -> str:
    """Hexadecimal SHA-256. OSError if a file cannot be read."""
    hashes = _Hashes()
    return _hash(json.dumps({
        "version": VERSION, "format": problem.format, "kinds": sorted(problem.kinds), "limits": asdict(problem.limits),
        "checkers": [hashes.checker(checker) for checker in problem.checkers],
        "interactor": hashes.checker(problem.interactor),
        "include": {k: hashes.files(v) for k, v in problem.include.items()},
        "languages": None if problem.languages is None else sorted(problem.languages),
        "allow_file_writing": problem.allow_file_writing, "data": hashes.group(problem.data),
    }, sort_keys=True).encode())  # fmt: skip


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _Hashes:
    """Each file once, in pieces: memory stays flat."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def file(self, path: Path | None) -> str | None:
        if path is None:
            return None
        known = self._known.get(str(path))
        if known is None:
            known = self._known[str(path)] = _contents(path)
        return known

    def files(self, files: Any) -> dict[str, str | None]:
        return {str(name): self.file(path) for name, path in files.items()}

    def program(self, path: Path | None) -> Any:
        """A file, or all regular files of a directory; may it be executed is a part of it."""
        if path is None:
            return None
        if not path.is_dir():
            return [path.name, self.file(path), _executable(path)]
        return [[str(p.relative_to(path)), self.file(p), _executable(p)] for p in sorted(_below(path))]

    def checker(self, checker: Checker | None) -> Any:
        if checker is None:
            return None
        options = {key: _plain(value) for key, value in checker.options.items()}
        return [checker.kind, options, self.program(checker.source), checker.language, self.files(checker.include)]

    def group(self, group: Group) -> Any:
        scoring = {**asdict(group.scoring), "grader": self.program(group.scoring.grader)}
        children = [self.test(c) if isinstance(c, Test) else self.group(c) for c in group.children]
        return {"group": group.name, "sample": group.sample, "scoring": scoring, "children": children}

    def test(self, test: Test) -> Any:
        return {
            "test": test.name, "input": self.file(test.input), "answer": self.file(test.answer), "sample": test.sample,
            "args": test.args, "files": self.files(test.files), "checker_args": test.checker_args,
            "checker": self.checker(test.checker), "points": test.points,
            "limits": None if test.limits is None else asdict(test.limits),
        }  # fmt: skip


def _contents(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(fd, "rb", buffering=0, closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    finally:
        os.close(fd)


def _below(directory: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _executable(path: Path) -> bool:
    return os.access(path, os.X_OK)


def _plain(value: object) -> Any:
    """Options may hold paths of the package's files and other values: paths by their content would need them open, so
    by name."""
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value.name if isinstance(value, Path) else str(value)
