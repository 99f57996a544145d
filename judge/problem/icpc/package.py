"""A package as a whole (Problem package structure overview in legacy.md and 2025-09.md)."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..fields import near
from ..model import INTERACTIVE, MULTI_PASS, SCORING, SUBMIT_ANSWER, Checker, Group, Problem
from ..tree import Tree
from ..yamlfile import Node, load
from . import constants, domjudge, include, metadata, submissions, test_groups, testdata, validators
from .flags import parse as parse_flags
from .metadata import CURRENT, DRAFT, LEGACY, Metadata

if TYPE_CHECKING:
    from ..faults import Faults
    from ..tree import Entry

_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,254}")
_LEGACY_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,253}[a-zA-Z0-9]")
_LEGACY_DIRECTORIES = (
    "problem_statement", "attachments", "data", "include", "submissions", "input_validators", "input_format_validators",
    "output_validators", "graders", "solution", "generators",
)  # fmt: skip
_DIRECTORIES = (
    "statement", "attachments", "solution", "data", "generators", "include", "submissions", "input_validators",
    "static_validator", "output_validator", "input_visualizer", "output_visualizer",
)  # fmt: skip
# Whose files are read by a judge: a name that is passed over there is worth a warning.
_READ = ("data/", "include/", "submissions/", "output_validator", "graders/")


def matches(root: Path) -> bool:
    """By problem.yaml, DOMjudge's ini file, or data/secret: a package without problem.yaml is a broken one of these."""
    return any((root / name).exists() for name in ("problem.yaml", domjudge.INI, "data/secret"))


def read(root: Path, faults: Faults, *, into: Path | None = None) -> Problem | None:
    """The problem with what can be understood of it; None if not even its format can. Never raises.

    ``into``: for copies of programs that have constants in them.
    """
    tree = Tree(root, faults, hidden=frozenset({domjudge.TIMELIMIT}))
    entry = tree.file("problem.yaml")
    node = load(entry.path, Path(tree.real), faults) if entry else None
    if entry is None:
        if tree.file(domjudge.INI) is None:
            faults.error("problem.yaml", 0, "is missing")
        node = Node("problem.yaml", 0, {})
    if node is None:
        return None
    if not isinstance(node.value, dict):
        faults.error(node.file, node.line, f"must be a mapping, not {node.kind}")
        return None
    version = metadata.version_of(node, faults)
    if version is None:
        return None
    _names(tree, version, faults)
    return _Package(root, tree, metadata.read(node, version, faults), faults, into).read()


def _names(tree: Tree, version: str, faults: Faults) -> None:
    """Names that break the rule: passed over in 2025-09 (General requirements), read in the other versions."""
    rule, current = (_NAME, True) if version == CURRENT else (_LEGACY_NAME, False)
    for entry in tree.everything():
        if rule.fullmatch(entry.name) or entry.name == domjudge.TIMELIMIT:
            continue
        if current and entry.relative.startswith(_READ):
            faults.warning(entry.relative, 0, "passed over: the name is not allowed", "letters, digits and _ . - only")
        elif not current and not re.fullmatch(r"[a-zA-Z0-9_]", entry.name):
            # One character is too short by the letter of the legacy format, and everywhere in use.
            faults.warning(
                entry.relative, 0, "the name breaks the rule of the format", "letters, digits and . _ - inside"
            )
    if current:
        tree.forget(lambda entry: not rule.fullmatch(entry.name))
    known = _LEGACY_DIRECTORIES if version == LEGACY else _DIRECTORIES
    for entry in tree.entries(""):
        hint = near(entry.name, known)
        if entry.directory and entry.name not in known and hint:
            faults.warning(entry.relative, 0, "no directory of this version of the format", hint)


@dataclass(frozen=True)
class _Package:
    root: Path
    tree: Tree
    meta: Metadata
    faults: Faults
    into: Path | None

    def read(self) -> Problem:
        meta, tree = self.meta, self.tree
        extra = domjudge.properties(tree, self.faults)
        limit = domjudge.time_limit(tree, extra, meta.limits.time_ns, self.faults)
        own = self._validators()
        domjudge.executables(extra, bool(own), self.faults)
        if len(own) > 1 and INTERACTIVE in meta.kinds:
            self.faults.error(own[1].relative, 0, "an interactive problem has one output validator")
        if meta.kinds & {INTERACTIVE, MULTI_PASS} and not own:
            kinds = " and ".join(sorted(meta.kinds & {INTERACTIVE, MULTI_PASS}))
            self.faults.error(self._validator_directory, 0, f"{kinds}: needs an output validator, and there is none")
        data, score_range = self._data(own)
        checkers = tuple(validators.checker(entry, strict=meta.version == CURRENT) for entry in own)
        interactor = checkers[0] if checkers and INTERACTIVE in meta.kinds else None
        if not checkers:
            checkers = (Checker("tokens", parse_flags(meta.flags)[0]),)
        problem = Problem(
            self.root.name, Path(tree.real), meta.version, data,
            meta.title or extra.get("name", (0, ""))[1], meta.kinds, replace(meta.limits, time_ns=limit),
            () if interactor else checkers, interactor,
            include.read(tree, meta.version, meta.languages, self.faults), languages=meta.languages,
            allow_file_writing=meta.allow_file_writing,
        )  # fmt: skip
        jury = submissions.Reader(
            tree, meta.version, self.faults, nodes=_nodes(data), scored=problem.scored, score_range=score_range,
            minimize=meta.minimize,
        )
        problem = replace(problem, submissions=jury.read())
        self._unread()
        return self._constants(problem)

    @property
    def _validator_directory(self) -> str:
        return "output_validators" if self.meta.version == LEGACY else "output_validator"

    def _validators(self) -> list[Entry]:
        """The package's own output validators; which decides differs: validation (legacy), or that there is one."""
        directory = self._validator_directory
        if self.meta.version != LEGACY:
            found = validators.single(self.tree, directory, self.faults)
            if found is None and self.tree.has_directory("output_validators"):
                self.faults.error("output_validators", 0, f"is called {directory}/ in this version of the format")
            return [] if found is None else [found]
        programs = validators.programs(self.tree, directory, self.faults)
        if self.meta.custom and not programs and not self.meta.kinds & {INTERACTIVE, MULTI_PASS}:
            self.faults.error(directory, 0, "validation is custom, but there is no output validator")
        if programs and not self.meta.custom:
            self.faults.error(
                programs[0].relative, 0, "an output validator, but validation is default", "validation: custom"
            )
        names = [validators.name_of(entry) for entry in programs]
        for entry, name in zip(programs, names, strict=True):
            if names.count(name) > 1:
                self.faults.error(entry.relative, 0, f"two output validators are called {name}")
        return programs

    def _data(self, own: list[Entry]) -> tuple[Group, tuple[float, float] | None]:
        """The tests, and the lowest and highest score of a submission."""
        scored = SCORING in self.meta.kinds
        if self.meta.version == CURRENT:
            static = bool(self.tree.entries("static_validator"))
            groups = test_groups.Reader(self.tree, self.meta, self.faults, custom=bool(own), static=static)
            group = groups.read()
            return group, (0.0, groups.most) if scored and groups.most is not None else None
        graders = validators.programs(self.tree, "graders", self.faults)
        if len(graders) > 1:
            self.faults.error(graders[1].relative, 0, "there may be one grader only")
        programs = testdata.Programs(
            {validators.name_of(entry): validators.checker(entry, strict=False) for entry in own},
            graders[0].path if graders else None,
        )
        reader = testdata.Reader(self.tree, self.meta, programs, self.faults)
        group = reader.read()
        return group, reader.range if scored else None

    def _unread(self) -> None:
        """What a package must have and a judge does not need, and what this one cannot do."""
        statement = "problem_statement" if self.meta.version == LEGACY else "statement"
        found = re.compile(r"problem(\.([a-z]{2,3}(-[A-Z]{2})?))?\.(tex|md|pdf|html|txt)")
        names = [found.fullmatch(entry.name) for entry in self.tree.entries(statement)]
        if not any(names) and not any(found.fullmatch(entry.name) for entry in self.tree.entries("")):
            self.faults.warning(statement, 0, "there is no problem statement")
        elif self.meta.version == CURRENT and self.meta.names is not None:
            there = {match[2] or "en" for match in names if match}
            for language in sorted(there ^ self.meta.names):
                what = "a name but no statement" if language in self.meta.names else "a statement but no name"
                self.faults.warning("problem.yaml", 0, f"the language {language} has {what}")
        if not self.tree.entries("input_validators") and not self.tree.entries("input_format_validators"):
            self.faults.warning("input_validators", 0, "there is no input validator")
        if self.tree.entries("static_validator"):
            if SUBMIT_ANSWER in self.meta.kinds:
                self.faults.error("static_validator", 0, "submit-answer problems must not have one")
            self.faults.warning("static_validator", 0, "static validators are not run here")

    def _constants(self, problem: Problem) -> Problem:
        """Programs with constants in them are copied, and the values put in."""
        if not self.meta.constants or self.faults.errors or self.meta.version not in (CURRENT, DRAFT):
            return problem
        if not constants.used(self.tree, self.meta.constants, self.faults):
            return problem
        if self.into is None:
            self.faults.error(
                "problem.yaml", 0, "constants: programs have them, and no directory was given for copies of those",
                "open_problem(path, into=directory)",
            )  # fmt: skip
            return problem
        try:
            into = Path(tempfile.mkdtemp(prefix="constants-", dir=self.into))
            return constants.apply(problem, self.tree, self.meta.constants, into, self.faults)
        except OSError as error:
            self.faults.error("problem.yaml", 0, f"constants: cannot write copies of the programs: {error}")
            return problem


def _nodes(group: Group) -> list[str]:
    """Names of all groups and tests."""
    names: list[str] = []
    waiting = [group]
    while waiting:
        for child in waiting.pop().children:
            names.append(child.name)
            if isinstance(child, Group):
                waiting.append(child)
    return names
