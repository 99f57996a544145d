"""<testset>: limits, files by a pattern, and groups with points and dependencies."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..model import Group, Limits, Scoring, Test
from ..tree import Tree
from .xmlfile import Element

COMPLETE, EACH = "complete-group", "each-test"
LIMIT_TESTS = 20_000
_NUMBER = re.compile(r"%(0?)([0-9]?)d")
_LOOK_BYTES = 64 << 10


@dataclass(frozen=True)
class Found:
    """``scored``: there are points at all."""

    root: Group
    limits: Limits
    scored: bool


@dataclass
class _Group:
    name: str
    policy: str = EACH
    points: float = 0.0
    dependencies: tuple[str, ...] = ()
    tests: list[Test] = field(default_factory=list)

    @property
    def worth(self) -> float:
        """The group's own points, or the sum of its tests'."""
        return self.points or sum(test.points or 0 for test in self.tests)


def read(judging: Element, tree: Tree) -> Found | None:
    """The tests of the main test set; None after a fault that leaves none."""
    sets = judging.all("testset")
    chosen = next((s for s in sets if s.get("name") == "tests"), sets[0] if sets else None)
    if chosen is None:
        judging.error("no <testset>")
        return None
    for other in sets:
        if other is not chosen:
            other.warning(f"the test set {other.get('name')[:60]!r} is not judged, only {chosen.get('name')[:60]!r}")
    limits = _limits(chosen)
    groups = _groups(chosen)
    loose = _tests(judging, chosen, tree, groups)
    if not loose and not any(group.tests for group in groups.values()):
        return None
    ordered = _in_order(chosen, groups)
    total = sum(t.points or 0 for t in loose) + sum(g.worth for g in ordered if g.tests)
    children: list[Group | Test] = [t if total else replace(t, points=None) for t in loose]
    children += [_group(group, bool(total), groups) for group in ordered if group.tests]
    if not total:
        return Found(Group("", tuple(children), Scoring(verdict="first_error")), limits, False)
    scoring = Scoring("sum", "first_error", "continue", accept_score=0.0, max_score=total)
    return Found(Group("", tuple(children), scoring), limits, True)


def _limits(chosen: Element) -> Limits:
    limits = Limits()
    milliseconds = _whole(chosen, "time-limit", 1, 86_400_000)
    if milliseconds is not None:
        limits = replace(limits, time_ns=milliseconds * 1_000_000)
    memory = _whole(chosen, "memory-limit", 1 << 20, 1 << 41)
    return limits if memory is None else replace(limits, memory_bytes=memory)


def _whole(parent: Element, tag: str, low: int, high: int) -> int | None:
    element = parent.find(tag)
    if element is None:
        return None
    text = element.text
    if not text.isascii() or not text.isdigit() or len(text) > 18 or not low <= int(text) <= high:
        element.error(f"<{tag}> must be a whole number from {low} to {high}, not {text[:40]!r}")
        return None
    return int(text)


def _points(element: Element) -> float:
    text = element.get("points") or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1e9:
        element.error(f"points={text[:40]!r} is no number of points")
        return 0.0
    return value


def _groups(chosen: Element) -> dict[str, _Group]:
    found: dict[str, _Group] = {}
    for element in [g for groups in chosen.all("groups") for g in groups.all("group")]:
        name = element.get("name")
        if not name or name in found:
            element.error(f"a second group {name[:60]!r}" if name else "a group without a name")
            continue
        policy = element.get("points-policy", EACH)
        if policy not in (COMPLETE, EACH):
            element.error(f"points-policy={policy[:40]!r} is neither {COMPLETE} nor {EACH}")
        dependencies = [d.get("group") for ds in element.all("dependencies") for d in ds.all("dependency")]
        found[name] = _Group(name, policy, _points(element), tuple(dependencies))
    return found


def _tests(judging: Element, chosen: Element, tree: Tree, groups: dict[str, _Group]) -> list[Test]:
    """Fills the groups; returns the tests of none."""
    elements = [test for tests in chosen.all("tests") for test in tests.all("test")]
    said = _whole(chosen, "test-count", 0, LIMIT_TESTS)
    if said is not None and said != len(elements) and elements:
        chosen.error(f"{len(elements)} tests, but test-count says {said}")
    if not elements or len(elements) > LIMIT_TESTS:
        chosen.error(f"more than {LIMIT_TESTS} tests" if elements else "the test set has no test")
        return []
    inputs = _names(chosen, "input-path-pattern", "tests/%02d", len(elements))
    answers = _names(chosen, "answer-path-pattern", "tests/%02d.a", len(elements))
    own_name = _own_names(judging)
    files = {entry.relative: entry.path for entry in tree.files("")}
    loose: list[Test] = []
    lacking: dict[str, list[str]] = {"input": [], "answer": []}
    for number, (element, source, answer) in enumerate(zip(elements, inputs, answers, strict=True), 1):
        left, right = files.get(source), files.get(answer)
        if left is None:
            lacking["input"].append(source)
        if right is None:
            lacking["answer"].append(answer)
        if left is None or right is None:
            continue
        group = element.get("group")
        test = Test(
            f"{group or 'tests'}/{number:02}", left, right, sample=element.get("sample") == "true",
            files={own_name: left} if own_name else {}, points=_points(element), description=element.get("cmd"),
        )  # fmt: skip
        if group:
            groups.setdefault(group, _Group(group)).tests.append(test)
        else:
            loose.append(test)
    for what, names in lacking.items():
        if names:
            chosen.error(f"{len(names)} of {len(elements)} {what} files are not in the package, first {names[0]}",
                         "this takes the full package (Linux), in which the tests are generated")  # fmt: skip
    first = files.get(inputs[0])
    if first is not None and _windows(first):
        chosen.warning("the tests have Windows' line ends", "the full package for Linux has not")
    return loose


def _own_names(judging: Element) -> str:
    """The file that a submission reads, if it is not standard input."""
    if judging.get("output-file"):
        judging.error(f"output-file={judging.get('output-file')[:60]!r}: submissions that write their output to a file "
                      "are not supported")  # fmt: skip
    name = judging.get("input-file")
    if "/" in name or name in (".", "..") or len(name.encode()) > 255:
        judging.error(f"input-file={name[:60]!r} is no name of a file")
        return ""
    return name


def _names(chosen: Element, tag: str, default: str, count: int) -> list[str]:
    element = chosen.find(tag)
    pattern = element.text if element is not None else default
    if len(_NUMBER.findall(pattern)) != 1 or pattern.count("%") != 1 or len(pattern) > 200:
        (element or chosen).error(f"<{tag}> must have one number such as %02d, not {pattern[:60]!r}")
        pattern = default
    before, fill, width, after = _NUMBER.split(pattern)
    return [f"{before}{str(n).rjust(int(width or 0), fill or ' ')}{after}" for n in range(1, count + 1)]


def _in_order(chosen: Element, groups: dict[str, _Group]) -> list[_Group]:
    """As they are written, but each after those that it depends on."""
    ordered: dict[str, _Group] = {}
    waiting = dict(groups)
    for group in groups.values():
        for name in group.dependencies:
            if name not in groups:
                chosen.error(f"group {group.name[:60]!r} depends on {name[:60]!r}, which is none")
                waiting.pop(group.name, None)
    while waiting:
        free = next((g for g in waiting.values() if not any(d in waiting for d in g.dependencies)), None)
        if free is None:
            chosen.error(f"the dependencies of the groups {', '.join(n[:40] for n in list(waiting)[:5])} are a circle")
            break
        ordered[free.name] = waiting.pop(free.name)
    return list(ordered.values())


def _group(group: _Group, scored: bool, groups: dict[str, _Group]) -> Group:
    required = tuple(name for name in dict.fromkeys(group.dependencies) if groups[name].tests)
    sample = all(test.sample for test in group.tests)
    worth = group.worth
    if not scored:
        tests = tuple(replace(test, points=None) for test in group.tests)
        return Group(group.name, tests, Scoring(verdict="first_error", require_pass=required), sample)
    if group.policy == COMPLETE:
        tests = tuple(replace(test, points=worth) for test in group.tests)
        scoring = Scoring("min", "first_error", "break", worth, max_score=worth, require_pass=required)
    else:
        tests = tuple(group.tests)
        scoring = Scoring("sum", "first_error", "continue", 0.0, max_score=worth, require_pass=required)
        if group.points and not any(test.points for test in tests):
            # Points of the group alone: equal parts.
            tests = tuple(replace(test, points=worth / len(tests)) for test in tests)
    return Group(group.name, tests, scoring, sample)


def _windows(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return b"\r\n" in file.read(_LOOK_BYTES)
    except OSError:
        return False
