"""Between which scores a test or a group can still end: what says that the rest of a group need not be judged.

Sound rather than tight: a bound may be too wide, never too narrow. Groups are looked at once, before the first test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from ..problem.model import Group, Problem, Test

BREAK, CONTINUE = "break", "continue"
_BUILT_IN = frozenset({"tokens", "exact"})  # accepted or rejected, no part of a score


@dataclass(frozen=True)
class Range:
    """Lowest and highest score."""

    low: float
    high: float

    @property
    def settled(self) -> bool:
        return self.low == self.high

    def with_zero(self) -> Range:
        return Range(min(self.low, 0.0), max(self.high, 0.0))


ANY = Range(-math.inf, math.inf)


def is_legacy(problem: Problem) -> bool:
    """Do graders decide (problem package format, legacy; the draft as problemtools reads it)?"""
    return problem.format in ("icpc-legacy", "icpc-draft")


def full_score(test: Test, group: Group) -> float:
    """Of an accepted test whose checker says nothing about scores."""
    return group.scoring.accept_score if test.points is None else test.points


def counted(group: Group) -> tuple[Group | Test, ...]:
    """The children that bear on verdict and score."""
    if not group.scoring.ignore_sample:
        return group.children
    return tuple(child for child in group.children if not child.sample)


class Bounds:
    """Of every node of a problem's data, and of what is left of a group after some of its children."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._legacy = is_legacy(problem)
        self._of: dict[str, Range] = {}
        self._rest: dict[str, tuple[tuple[Range, ...], ...]] = {}
        self._group(problem.data)
        self.full = self._full(problem.data)  # with every test accepted; infinite if nobody knows

    @property
    def finite(self) -> bool:
        """Is a full score known?"""
        return not math.isinf(self.full)

    def after(self, group: Group, scores: list[float], rejected: bool) -> Range:
        """Of ``group`` when these are the scores of its first counted children."""
        scoring, (sums, mins, maxs) = group.scoring, self._rest[group.name]
        k = len(scores)
        if scoring.grader is not None:
            return ANY
        may_break = scoring.on_reject == BREAK and k < len(sums) - 1
        if scoring.aggregate == "pass-fail":
            most = scoring.max_score or 0.0
            return Range(0.0 if rejected or k < len(sums) - 1 else most, 0.0 if rejected else most)
        if k == len(sums) - 1:
            value = aggregate(scoring.aggregate, scores)
            found = Range(value, value)
        elif not scores:
            return self._of[group.name]
        elif scoring.aggregate == "min":
            now = min(scores)
            found = Range(min(now, mins[k].low), now if may_break else min(now, mins[k].high))
        elif scoring.aggregate == "max":
            now = max(scores)
            found = Range(now if may_break else max(now, maxs[k].low), max(now, maxs[k].high))
        elif scoring.aggregate == "sum":
            now = math.fsum(scores)
            rest = sums[k].with_zero() if may_break else sums[k]
            found = Range(now + rest.low, now + rest.high)
        else:
            found = ANY
        return self._capped(found, scoring.max_score)

    def _test(self, test: Test, group: Group) -> Range:
        full, reject = full_score(test, group), group.scoring.reject_score
        low, high = min(full, reject), max(full, reject)
        checkers = [test.checker] if test.checker is not None else list(self._problem.checkers)
        if self._problem.interactor is not None:
            checkers.append(self._problem.interactor)
        if all(checker.kind in _BUILT_IN for checker in checkers):
            return Range(low, high)
        if all(checker.kind in (*_BUILT_IN, "lines") for checker in checkers):
            return Range(low, high).with_zero()
        if self._legacy:  # score.txt may hold any number
            return ANY
        if group.scoring.needs_score or self._problem.format != "icpc-2025-09":
            return Range(min(low, 0.0), math.inf)
        return Range(min(low, 0.0), high)  # "Scoring test cases": no more than the maximum

    def _group(self, group: Group) -> Range:
        every = [
            (child, self._test(child, group) if isinstance(child, Test) else self._group(child))
            for child in group.children
        ]
        counts = set(map(id, counted(group)))
        ranges = [found for child, found in every if id(child) in counts]
        back = ranges[::-1]
        sums = [Range(0.0, 0.0), *accumulate(back, lambda a, b: Range(a.low + b.low, a.high + b.high))]
        mins = [ANY, *accumulate(back, lambda a, b: Range(min(a.low, b.low), min(a.high, b.high)))]
        maxs = [ANY, *accumulate(back, lambda a, b: Range(max(a.low, b.low), max(a.high, b.high)))]
        self._rest[group.name] = (tuple(sums[::-1]), tuple(mins[::-1]), tuple(maxs[::-1]))
        found = self._whole(group, ranges)
        # A group that is not judged scores 0; so does one that is cut off by a break further up.
        self._of[group.name] = found = found.with_zero() if group.scoring.require_pass else found
        return found

    def _full(self, group: Group) -> float:
        scoring = group.scoring
        if scoring.grader is not None:
            return math.inf
        if scoring.aggregate == "pass-fail":
            return scoring.max_score or 0.0
        tops = []
        for child in counted(group):
            if isinstance(child, Group):
                tops.append(self._full(child))
            else:
                own = self._test(child, group).high
                tops.append(own if math.isinf(own) else full_score(child, group))
        if any(math.isinf(top) for top in tops) and scoring.max_score is None:
            return math.inf
        found = aggregate(scoring.aggregate, tops)
        return self._capped(Range(found, found), scoring.max_score).high

    def _whole(self, group: Group, ranges: list[Range]) -> Range:
        scoring = group.scoring
        if scoring.grader is not None:
            return ANY
        if scoring.aggregate == "pass-fail":
            most = scoring.max_score or 0.0
            return Range(min(0.0, most), most)
        if not ranges:
            return Range(0.0, 0.0)
        lows, highs = [r.low for r in ranges], [r.high for r in ranges]
        cut = scoring.on_reject == BREAK and len(ranges) > 1
        if scoring.aggregate == "min":
            found = Range(min(lows), highs[0] if cut else min(highs))
        elif scoring.aggregate == "max":
            found = Range(lows[0] if cut else max(lows), max(highs))
        elif scoring.aggregate == "sum":
            found = Range(_sum(min(low, 0.0) if cut else low for low in lows),
                          _sum(max(high, 0.0) if cut else high for high in highs))  # fmt: skip
        else:
            found = Range(min(lows), max(highs))
        return self._capped(found, scoring.max_score)

    def _capped(self, found: Range, most: float | None) -> Range:
        # 2025-09: more than the maximum is a fault of the package, and not to be mistaken for the maximum.
        if most is None or self._problem.format == "icpc-2025-09":
            return found
        return Range(min(found.low, most), min(found.high, most))


def aggregate(how: str, scores: list[float]) -> float:
    """"sum", "min", "max" or "avg"; 0 of nothing."""
    if not scores:
        return 0.0
    if how == "min":
        return min(scores)
    if how == "max":
        return max(scores)
    total = _sum(scores)
    return total / len(scores) if how == "avg" else total


def _sum(values: Iterable[float]) -> float:
    listed = list(values)
    if any(math.isinf(value) for value in listed):
        return sum(listed)
    return math.fsum(listed)

