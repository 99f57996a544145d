"""Points, batches and dependencies as groups (dmoj/judge.py, _grade_cases; the site's sum over batches).

A batch scores the least of its cases' points and ends at its first failure. Points of batches and of single cases are
added up. Whoever fails a case of 0 points, or a case in such a batch, is not judged any further: what comes after a
run of those is a group that requires them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..model import Group, Scoring, Test
from .cases import Batch, Case, Item


@dataclass(frozen=True)
class Arranged:
    """``scored``: there are points at all."""

    root: Group
    scored: bool


def arrange(first: list[Item], items: list[Item], *, short_circuit: bool) -> Arranged | None:
    """None if there is no test. ``first``: the pretests. ``short_circuit``: the first failure ends the judging."""
    every = [*first, *items]
    if not any(_tests(item) for item in every):
        return None
    total = sum(item.points for item in every)
    if not total:
        plain = [_without_points(item) for item in every]
        return Arranged(Group("", tuple(_node(item) for item in plain), Scoring(verdict="first_error")), False)
    stop = "break" if short_circuit else "continue"
    stages = _stages(every)
    if len(stages) == 1:
        children = tuple(_node(item) for item in stages[0])
    else:
        children = tuple(_staged(stages, stop))
    scoring = Scoring("sum", "first_error", stop, accept_score=0.0, max_score=total)
    return Arranged(Group("", children, scoring), True)


def _stages(items: list[Item]) -> list[list[Item]]:
    """Runs of items that are all worth something, or all nothing."""
    stages: list[list[Item]] = []
    for item in items:
        if stages and bool(stages[-1][0].points) == bool(item.points):
            stages[-1].append(item)
        else:
            stages.append([item])
    return stages


def _staged(stages: list[list[Item]], stop: str) -> list[Group]:
    groups: list[Group] = []
    required: list[str] = []
    for stage in stages:
        worth = sum(item.points for item in stage)
        number = (len(groups) - len(required) if worth else len(required)) + 1
        name = ("main" if worth else "pretests") + (f"-{number}" if number > 1 else "")
        scoring = Scoring(
            "sum", "first_error", stop if worth else "break", accept_score=0.0, max_score=worth,
            require_pass=tuple(required),
        )  # fmt: skip
        groups.append(Group(name, tuple(_node(item) for item in stage), scoring))
        if not worth:
            required.append(name)
    return groups


def _node(item: Item) -> Group | Test:
    if isinstance(item, Case):
        return item.test
    scoring = Scoring(
        "min", "first_error", "break", accept_score=item.points, max_score=item.points,
        require_pass=item.dependencies,
    )  # fmt: skip
    return Group(item.name, tuple(case.test for case in item.cases), scoring)


def _tests(item: Item) -> bool:
    return isinstance(item, Case) or bool(item.cases)


def _without_points(item: Item) -> Item:
    if isinstance(item, Case):
        return Case(replace(item.test, points=None), 1.0)
    return Batch(item.name, 1.0, tuple(Case(replace(c.test, points=None), 1.0) for c in item.cases), item.dependencies)
