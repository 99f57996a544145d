"""Equal tests are run once.

Problem package format 2025-09, "Test data": if input, files, arguments, validator arguments and answer are the same,
the tests are the same, and a judge may take one's result for the other's. What is compared is content; where no two
files have the same size nothing is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..problem.model import Checker, Limits, Problem, Test


def same_as(problem: Problem, tests: Iterable[Test] | None = None) -> dict[str, str]:
    """Test -> the first of the tests that equal it (itself, for most). Raises OSError if a file cannot be read."""
    groups: dict[Any, list[Test]] = {}
    for test in problem.tests if tests is None else tests:
        groups.setdefault(_outline(problem, test), []).append(test)
    found: dict[str, str] = {}
    for group in groups.values():
        first: dict[str, str] = {}
        for test in group:
            content = _content(test) if len(group) > 1 else ""
            found[test.name] = first.setdefault(content, test.name)
    return found


def _outline(problem: Problem, test: Test) -> str:
    """All but the content of files."""
    return json.dumps([
        _size(test.input), _size(test.answer), test.args, test.checker_args,
        sorted((name, _size(path)) for name, path in test.files.items()),
        _checker(test.checker), asdict(test.limits or problem.limits) if test.limits else None,
        test.name.rpartition("/")[2] if "submit-answer" in problem.kinds else "",
    ])  # fmt: skip


def _checker(checker: Checker | None) -> Any:
    if checker is None:
        return None
    return [checker.kind, sorted((k, repr(v)) for k, v in checker.options.items()), str(checker.source),
            checker.language]  # fmt: skip


def _content(test: Test) -> str:
    files = [test.input, *((test.answer,) if test.answer else ()), *(path for _, path in sorted(test.files.items()))]
    return "".join(_digest(path) for path in files)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path | None) -> int | None:
    return None if path is None else path.stat().st_size


def limits_key(limits: Limits) -> str:
    """Limits as a text that two equal ones share."""
    return json.dumps(asdict(limits), sort_keys=True)
