"""``test_cases``: a list, a mapping with expressions for names, or nothing: then DMOJ's own expressions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..model import Limits, Test
from ..yamlfile import Node
from . import patterns
from .checkers import Programs
from .config import CASE, Scope
from .data import Data

if TYPE_CHECKING:
    from ..faults import Faults

_FORMAT_KEYS = frozenset({"input_format", "output_format", "case_points"})


@dataclass(frozen=True)
class Case:
    """A case, in a batch or by itself."""

    test: Test
    points: float


@dataclass(frozen=True)
class Batch:
    """``dependencies``: names of batches."""

    name: str
    points: float
    cases: tuple[Case, ...]
    dependencies: tuple[str, ...] = ()


Item = Case | Batch


class Cases:
    """Reads cases. ``limits``: the problem's."""

    def __init__(self, top: Scope, data: Data, programs: Programs, limits: Limits, faults: Faults) -> None:
        self._top, self._data, self._programs, self._limits, self._faults = top, data, programs, limits, faults

    def all(self) -> tuple[list[Item], list[Item]]:
        """Those of pretest_test_cases, which come first and are worth nothing, and those of test_cases."""
        pretests = self._top.node("pretest_test_cases")
        first: list[Item] = []
        if pretests is not None and isinstance(pretests.value, list):
            first = self._list(pretests.value, "pretest-")
            first = [_worthless(item) for item in first]
        elif pretests is not None:
            self._top.wrong("pretest_test_cases", f"must be a list, not {pretests.kind}")
        node = self._top.node("test_cases")
        if node is not None and isinstance(node.value, list):
            items = self._list(node.value, "")
        elif node is None or isinstance(node.value, dict):
            items = self._by_name(node)
        else:
            self._top.wrong("test_cases", f"must be a list or a mapping, not {node.kind}")
            return first, []
        if not items and not self._faults.errors:
            self._top.wrong("test_cases", "there is no test case")
        return first, items

    def _list(self, nodes: list[Node], prefix: str) -> list[Item]:
        items: list[Item] = []
        batches = singles = 0
        for node in nodes:
            batched = node.get("batched")
            scope = self._top.inner(node, CASE)
            if batched is not None:
                batches += 1
            else:
                singles += 1
            if scope is None:
                continue
            if batched is None:
                if scope.own.get("dependencies") is not None:
                    scope.doubtful("dependencies", "only batches have them, ignored")
                case = self._case(scope, f"{prefix}case-{singles}")
                if case is not None:
                    items.append(case)
                continue
            if not isinstance(batched.value, list):
                scope.wrong("batched", f"must be a list of test cases, not {batched.kind}")
                continue
            items.append(self._batch(scope, batched.value, prefix, batches))
        return items

    def _batch(self, scope: Scope, nodes: list[Node], prefix: str, number: int) -> Batch:
        name = f"{prefix}batch-{number}"
        cases = []
        for index, node in enumerate(nodes, 1):
            if node.get("batched") is not None:
                self._faults.error(node.file, node.line, "a batch in a batch")
                continue
            inner = scope.inner(node, CASE)
            case = self._case(inner, f"{name}/case-{index}") if inner is not None else None
            if case is not None:
                cases.append(case)
        if not nodes:
            scope.wrong("batched", "a batch without test cases")
        return Batch(name, self._points(scope), tuple(cases), self._dependencies(scope, prefix, number))

    def _dependencies(self, scope: Scope, prefix: str, number: int) -> tuple[str, ...]:
        node = scope.own.get("dependencies")
        if node is None or node.value is None:
            return ()
        if not isinstance(node.value, list):
            scope.wrong("dependencies", f"must be a list of numbers of batches, not {node.kind}")
            return ()
        found = []
        for item in node.value:
            if isinstance(item.value, bool) or not isinstance(item.value, int):
                scope.wrong("dependencies", f"{item.kind} is no number of a batch")
            elif not 1 <= item.value < number:
                scope.wrong("dependencies", f"batch {number} can depend on earlier batches only, not on {item.value}",
                            "batches are counted from 1")  # fmt: skip
            else:
                found.append(f"{prefix}batch-{item.value}")
        return tuple(found)

    def _case(self, scope: Scope, name: str) -> Case | None:
        source, answer = scope.text("in"), scope.text("out")
        if scope.has("generator") and not (source and answer):
            scope.wrong("generator", "tests that a generator makes while judging are not supported",
                        "generate them once and put them into the archive")  # fmt: skip
            return None
        return self._test(scope, name, source, answer, self._points(scope))

    def _test(self, scope: Scope, name: str, source: str, answer: str, points: float) -> Case | None:
        input_file = self._data.test_file(source, scope, "in") if source else self._data.empty(scope)
        answer_file = self._data.test_file(answer, scope, "out") if answer else None
        if not answer and self._programs.needs_answer(scope):
            scope.wrong("out", f"{name} has no answer to compare with")
        limits = self._limits
        output = scope.integer("output_limit_length", limits.output_bytes, low=0, high=1 << 40)
        if output is not None and output != limits.output_bytes:
            limits = replace(limits, output_bytes=output)
        if input_file is None:
            return None
        test = Test(
            name, input_file, answer_file, files=self._files(scope, input_file), checker=self._programs.own(scope),
            points=points, limits=None if limits is self._limits else limits, description=source,
        )  # fmt: skip
        return Case(test, points)

    def _points(self, scope: Scope) -> float:
        return scope.number("points", 1.0, low=0, high=1e9) or 0.0

    def _files(self, scope: Scope, input_file: Path) -> dict[str, Path]:
        """What the submission finds in its directory: symlinks, and the input under its name of file_io."""
        files: dict[str, Path] = {}
        links = scope.node("symlinks")
        if links is not None and not isinstance(links.value, dict):
            scope.wrong("symlinks", f"must be a mapping of names to files, not {links.kind}")
        elif links is not None and isinstance(links.value, dict):
            for link, target in links.value.items():
                path = self._data.file(target.text, scope, "symlinks")
                if path is not None and self._plain_name(scope, "symlinks", link):
                    files[link] = path
        io = scope.node("file_io")
        if io is not None and not isinstance(io.value, dict):
            scope.wrong("file_io", f"must be a mapping, not {io.kind}")
        elif io is not None:
            given, made = io.get("input"), io.get("output")
            if made is not None and made.value:
                scope.wrong("file_io", "submissions that write their output to a file are not supported")
            if given is not None and given.value and self._plain_name(scope, "file_io", given.text):
                files[given.text] = input_file
        return files

    def _plain_name(self, scope: Scope, key: str, name: str) -> bool:
        if not name or "/" in name or "\0" in name or name in (".", "..") or len(name.encode()) > 255:
            scope.wrong(key, f"{name[:80]!r} is no name of a file in the submission's directory")
            return False
        return True

    def _by_name(self, node: Node | None) -> list[Item]:
        names = self._data.archive_names()
        if names is None:
            if not self._data.archive_is_broken:
                self._top.wrong("test_cases", "missing, and without an archive tests cannot be found by their names")
            return []
        scope = self._top if node is None else self._top.inner(node, _FORMAT_KEYS)
        if scope is None:
            return []
        try:
            found = patterns.find(
                names, scope.text("input_format") or patterns.INPUT, scope.text("output_format") or patterns.OUTPUT
            )
        except patterns.PatternError as error:
            scope.wrong("test_cases" if node is None else "input_format", str(error))
            return []
        points = self._case_points(scope, len(found))
        items: list[Item] = []
        batches = singles = 0
        for group, worth in zip(found, points, strict=True):
            if group.batched:
                batches += 1
                name = f"batch-{batches}"
                cases = [self._pair(scope, f"{name}/case-{i}", p, worth) for i, p in enumerate(group.pairs, 1)]
                items.append(Batch(name, worth, tuple(case for case in cases if case is not None)))
            else:
                singles += 1
                case = self._pair(scope, f"case-{singles}", group.pairs[0], worth)
                if case is not None:
                    items.append(case)
        return items

    def _pair(self, scope: Scope, name: str, pair: patterns.Pair, points: float) -> Case | None:
        if pair.input is None:
            scope.wrong("input_format", f"{pair.output} has no input")
            return None
        if pair.output is None and self._programs.needs_answer(scope):
            scope.wrong("output_format", f"{pair.input} has no answer")
            return None
        return self._test(scope, name, pair.input, pair.output or "", points)

    def _case_points(self, scope: Scope, count: int) -> list[float]:
        node = scope.node("case_points")
        if node is None:
            return [self._points(scope)] * count
        if not isinstance(node.value, list):
            scope.wrong("case_points", f"must be a list of numbers, not {node.kind}")
            return [1.0] * count
        found = []
        for item in node.value:
            if isinstance(item.value, (int, float)) and not isinstance(item.value, bool) and 0 <= item.value <= 1e9:
                found.append(float(item.value))
            else:
                scope.wrong("case_points", f"{item.kind} is no number of points")
                found.append(1.0)
        if len(found) < count:
            scope.wrong("case_points", f"{len(found)} numbers for {count} cases and batches")
        elif len(found) > count:
            scope.doubtful("case_points", f"{len(found)} numbers for {count} cases and batches")
        return (found + [1.0] * count)[:count]


def _worthless(item: Item) -> Item:
    if isinstance(item, Batch):
        return replace(item, points=0.0, cases=tuple(_case_of_zero(case) for case in item.cases))
    return _case_of_zero(item)


def _case_of_zero(case: Case) -> Case:
    return Case(replace(case.test, points=0.0), 0.0)
