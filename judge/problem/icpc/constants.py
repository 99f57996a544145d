"""Constants (2025-09, Constants): {{name}} in programs and in test_group.yaml stands for a value of problem.yaml.

Test data and problem.yaml itself are left as they are, and so is {{name}} of a name that is not defined.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..yamlfile import read_bytes

if TYPE_CHECKING:
    from ..faults import Faults
    from ..model import Checker, Problem
    from ..tree import Tree

_PROGRAM_BYTES = 64 << 20
_SEQUENCE = re.compile(rb"\{\{([a-zA-Z_][a-zA-Z0-9_]*)\}\}")
_PLACES = ("include", "output_validator", "submissions")


def substitute(data: bytes, constants: Mapping[str, str]) -> bytes:
    if not constants:
        return data

    def value(found: re.Match[bytes]) -> bytes:
        text = constants.get(found[1].decode())
        return found[0] if text is None else text.encode()

    return _SEQUENCE.sub(value, data)


def apply(problem: Problem, tree: Tree, constants: Mapping[str, str], into: Path, faults: Faults) -> Problem:
    """The problem with copies of its programs in ``into``, in which the constants have their values."""
    moved: dict[str, Path] = {}
    for place in _PLACES:
        for entry in tree.files(place):
            target = into / entry.relative
            target.parent.mkdir(parents=True, exist_ok=True)
            data = read_bytes(entry.path, entry.relative, faults, _PROGRAM_BYTES)
            if data is None:
                continue
            target.write_bytes(substitute(data, constants))
            os.chmod(target, 0o755 if entry.executable else 0o644)
            moved[str(entry.path)] = target
        for entry in tree.everything():
            if entry.directory and (entry.relative == place or entry.relative.startswith(place + "/")):
                (into / entry.relative).mkdir(parents=True, exist_ok=True)
                moved[str(entry.path)] = into / entry.relative

    def there(path: Path) -> Path:
        return moved.get(str(path), path)

    def program(checker: Checker) -> Checker:
        return checker if checker.source is None else replace(checker, source=there(checker.source))

    return replace(
        problem, checkers=tuple(program(c) for c in problem.checkers),
        interactor=None if problem.interactor is None else program(problem.interactor),
        include={k: {name: there(path) for name, path in files.items()} for k, files in problem.include.items()},
        submissions=tuple(replace(s, path=there(s.path)) for s in problem.submissions),
    )  # fmt: skip


def used(tree: Tree, constants: Mapping[str, str], faults: Faults) -> bool:
    """Is there a program with one of them in it?"""
    for place in _PLACES:
        for entry in tree.files(place):
            data = read_bytes(entry.path, entry.relative, faults, _PROGRAM_BYTES) or b""
            if any(found[1].decode() in constants for found in _SEQUENCE.finditer(data)):
                return True
    return False
