"""One HTML file: verdicts, and the time and memory of every test as a picture against the limits.

Nothing is loaded and nothing is run: styles and pictures are inline, and its own policy (Content-Security-Policy)
forbids all else, so that a report can be opened although hostile programs have filled it. Every value passes jinja2's
escaping; ``text.clean`` before that takes away what turns the direction of reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources

from jinja2 import Environment, StrictUndefined

from ..grade.jury import JuryResult
from ..problem.model import Problem
from ..result import GroupResult, SubmissionResult, TestResult
from ..verdict.words import WORDS
from . import matrix
from .text import (
    accepted,
    clean,
    clean_lines,
    largest,
    leaves,
    limit,
    messages,
    mib,
    number,
    seconds,
    slowest,
    why,
    words,
)

# Of a picture, in its own units: what is left for the axis, the plot, the groups' names.
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 170, 64, 8, 22
WIDEST, THINNEST = 38.0, 0.6
DOTS = 40  # tests of a group in the matrix that are drawn one by one
OPEN_TESTS = 60  # more tests than that are folded where all are accepted
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    word: str
    title: str
    low: float | None = None  # of reruns
    high: float | None = None


@dataclass(frozen=True)
class Chart:
    """A picture of one number of every test, in order; ``limit_y``: where the limit is."""

    title: str
    summary: str
    bars: list[Bar] = field(default_factory=list)
    bands: list[tuple[float, float, str]] = field(default_factory=list)  # x, width, name of the group
    ticks: list[tuple[float, str]] = field(default_factory=list)
    limit_y: float | None = None
    limit_text: str = ""


def render(problem: Problem, results: Sequence[SubmissionResult], jury: Sequence[JuryResult] = (), *,
           when: str = "") -> str:  # fmt: skip
    """The file's text. ``results``: as their audience may see them; ``when``: date and time, as it is shown."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        clean=clean, seconds=seconds, limit=limit, mib=mib, number=number, lines=clean_lines, words=words,
    )  # fmt: skip
    template = environment.from_string(resources.files(__package__).joinpath("report.html").read_text("utf-8"))
    return template.render(
        problem=problem, results=results, views=[_view(result) for result in results], when=when, meaning=WORDS,
        jury=_matrix(jury), legend=_legend(results), size=(WIDTH, HEIGHT, LEFT, TOP, BOTTOM),
    )  # fmt: skip


def _legend(results: Sequence[SubmissionResult]) -> list[tuple[str, str]]:
    seen = {test.verdict.word for result in results for test in result.tests} | {r.verdict.word for r in results}
    return [(word, text) for word, text in WORDS.items() if word in seen]


def _view(result: SubmissionResult) -> dict[str, object]:
    tests = result.tests
    groups = leaves(result.root)
    judged = [test for test in tests if test.evidence.passes]
    return {
        "result": result, "accepted": accepted(tests), "slowest": seconds(slowest(tests)), "why": why(result),
        "largest": mib(largest(tests)), "groups": [_group(result, group) for group in groups],
        "charts": _charts(result, groups) if judged else [],
        "messages": list(_messages(result)),
    }  # fmt: skip


def _group(result: SubmissionResult, group: GroupResult) -> dict[str, object]:
    tests = tuple(test for test in group.children if isinstance(test, TestResult))
    return {
        "group": group, "accepted": accepted(tests), "slowest": seconds(slowest(tests)),
        "largest": mib(largest(tests)), "scored": any(test.score is not None for test in tests),
        "rows": [_row(result, test) for test in tests],
        "open": len(tests) <= OPEN_TESTS or any(not test.verdict.accepted for test in tests),
    }  # fmt: skip


def _row(result: SubmissionResult, test: TestResult) -> dict[str, object]:
    times = sorted(run.cpu_ns for run in test.evidence.reruns if run.cpu_ns is not None)
    spread = f"{len(times)} runs alone: {seconds(times[0])} to {seconds(times[-1])}" if times else ""
    origin = {"journal": "from the journal", "same": f"same as {test.same_as}"}.get(test.origin, "")
    noise = test.evidence.noise
    notes = [note for note in (
        spread, origin, f"waited {seconds(noise.throttled_ns)} for a CPU limit" if noise.throttled_ns else "",
        f"the machine was busy (pressure {noise.pressure:.0%})" if (noise.pressure or 0) >= 0.1 else "",
    ) if note]  # fmt: skip
    return {
        "test": test, "time": _share(test.cpu_ns, result.time_ns), "memory": _share(test.memory_bytes,
        result.memory_bytes), "notes": notes,
    }  # fmt: skip


def _share(value: int | None, most: int | None) -> float | None:
    """Percent of the limit, at most 100."""
    return None if value is None or not most else min(100.0, 100 * value / most)


def _messages(result: SubmissionResult) -> Iterator[tuple[str, str]]:
    """(title, text) of what the compiler and the tests have to say."""
    if result.compile.fault:
        yield "compile", result.compile.fault
    elif result.compile.message:
        yield "compile", result.compile.message
    for test in result.tests:
        yield from messages(test)


# ---- pictures


def _charts(result: SubmissionResult, groups: Sequence[GroupResult]) -> list[Chart]:
    tests = [child for group in groups for child in group.children if isinstance(child, TestResult)]
    times = [(test, test.cpu_ns, _reruns(test)) for test in tests]
    memory = [(test, test.memory_bytes, None) for test in tests]
    return [_chart(TIME, times, result.time_ns, limit(result.time_ns), groups),
            _chart(MEMORY, memory, result.memory_bytes, mib(result.memory_bytes), groups)]  # fmt: skip


def _reruns(test: TestResult) -> tuple[int, int] | None:
    times = sorted(run.cpu_ns for run in test.evidence.reruns if run.cpu_ns is not None)
    return (times[0], times[-1]) if times else None


@dataclass(frozen=True)
class _Quantity:
    """What is drawn: in units of ``unit``, called ``name``; ``say`` puts one value into words."""

    title: str
    unit: float
    name: str
    say: Callable[[int | None], str]


TIME = _Quantity("CPU time", 1e9, "s", seconds)
MEMORY = _Quantity("Memory", 1 << 20, "MiB", mib)


def _chart(
    what: _Quantity, values: Sequence[tuple[TestResult, int | None, tuple[int, int] | None]], most: int | None,
    limit_text: str, groups: Sequence[GroupResult],
) -> Chart:  # fmt: skip
    known = [value for _test, value, _spread in values if value is not None]
    known += [spread[1] for _test, _value, spread in values if spread]
    top = max([*known, most or 0, 1]) * 1.08
    plot = HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return round(TOP + plot * (1 - value / top), 2)

    step = (WIDTH - LEFT) / max(len(values), 1)
    wide = max(THINNEST, min(WIDEST, step * 0.8))
    step = min(step, WIDEST / 0.8)
    bars = []
    for place, (test, value, spread) in enumerate(values):
        height = 0.0 if value is None else max(1.0, plot * value / top)
        said = f"{clean(test.name)}: {words(test.verdict)}, {what.say(value)}"
        if spread:
            said += f", alone {what.say(spread[0])} to {what.say(spread[1])}"
        bars.append(Bar(
            round(LEFT + place * step + max(0.0, step - wide) / 2, 2), round(TOP + plot - height, 2), round(wide, 2),
            round(height, 2), test.verdict.word, said, *((y(spread[1]), y(spread[0])) if spread else ()),
        ))  # fmt: skip
    highest = what.say(max(known)) if known else "nothing"
    return Chart(
        what.title, f"{what.title} of {len(values)} tests: at most {highest}, limit {limit_text}", bars,
        list(_bands(groups, step)), [(y(tick), _tick(tick / what.unit, what.name)) for tick in _ticks(top, what.unit)],
        None if most is None else y(most), f"limit {limit_text}",
    )  # fmt: skip


def _bands(groups: Sequence[GroupResult], step: float) -> Iterator[tuple[float, float, str]]:
    place = 0
    for group in groups:
        count = sum(isinstance(child, TestResult) for child in group.children)
        width = count * step
        room = int(width / 6.5)  # characters
        name = clean(group.name) or "all"
        if len(name) > room:
            name = name.rpartition("/")[2]
        shown = name if len(name) <= room else name[: room - 1] + "…" if room >= 3 else ""
        yield round(LEFT + place * step, 2), round(width, 2), shown
        place += count


def _ticks(top: float, unit: float) -> list[float]:
    """About four round values up to ``top``, in multiples of 1, 2, 2.5 or 5 of a power of ten units."""
    rough = top / unit / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in _STEPS if power * factor >= rough * 0.999)
    return [step * unit * n for n in range(int(top / unit / step) + 1)]


def _tick(value: float, name: str) -> str:
    return f"{value:.6g} {name}"


def _matrix(jury: Sequence[JuryResult]) -> dict[str, object]:
    """Rows and columns of ``--all``; without rows there is none."""
    names = matrix.columns(jury)
    rows = []
    for one in jury:
        groups = matrix.cells(one)
        rows.append({
            "name": one.submission.name, "expected": matrix.expected_text(one.submission.expected),
            "result": one.result, "mismatches": one.mismatches, "slowest": seconds(slowest(one.result.tests)),
            "cells": [_cell(groups.get(name)) for name in names],
        })  # fmt: skip
    return {"columns": matrix.headings(names), "rows": rows,
            "wrong": sum(bool(one.mismatches) for one in jury)}  # fmt: skip


def _cell(group: GroupResult | None) -> dict[str, object] | None:
    if group is None:
        return None
    tests = tuple(test for test in group.children if isinstance(test, TestResult))
    seen = [test.verdict.word for test in tests]
    parts = [(word, 100 * seen.count(word) / len(seen), f"{seen.count(word)} {word}") for word in dict.fromkeys(seen)]
    dots = [(test.verdict.word, f"{clean(test.name)}: {words(test.verdict)}") for test in tests]
    few = len(tests) <= DOTS
    return {"word": group.verdict.word, "accepted": accepted(tests), "dots": dots if few else [],
            "parts": [] if few else parts}  # fmt: skip
