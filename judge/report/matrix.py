"""``--all`` on a terminal: submissions down, groups across, and beside them what was expected."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..grade.jury import JuryResult, either
from ..problem.model import Expected, Problem
from ..result import GroupResult, TestResult
from .table import STYLES, emit, headline
from .text import accepted, clean, leaves, number, seconds, slowest

WIDE = 100  # columns; below that a submission's directory has a line of its own


def expected_text(expected: Expected) -> str:
    """``WA or TLE``, ``score 30 to 40``, or "anything"."""
    said = [either(expected.verdicts)] if expected.verdicts else []
    if not said and expected.required:
        said.append("some " + either(expected.required))
    elif not said and expected.permitted:
        said.append("only " + either(expected.permitted))
    if expected.score is not None:
        low, high = expected.score
        said.append(f"score {low:g}" if low == high else f"score {low:g} to {high:g}")
    if expected.parts:
        said.append("parts")
    return ", ".join(said) or "anything"


def columns(jury: Sequence[JuryResult]) -> list[str]:
    """The groups that any of them has, in order."""
    return list(dict.fromkeys(group.name for one in jury for group in leaves(one.result.root)))


def headings(names: Sequence[str]) -> list[str]:
    """Without the group around them, where that leaves them apart."""
    short = [clean(name.rpartition("/")[2]) or "all" for name in names]
    return short if len(set(short)) == len(short) else [clean(name) or "all" for name in names]


def cells(one: JuryResult) -> dict[str, GroupResult]:
    return {group.name: group for group in leaves(one.result.root)}


def show(out: Console, problem: Problem, jury: Sequence[JuryResult]) -> None:
    """Print the matrix, then each mismatch in words."""
    out.print(Text(headline(problem, [one.result for one in jury])), soft_wrap=True)
    names = columns(jury)
    narrow = out.width < WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("submission", overflow="fold", min_width=20)
    for heading in ("expected", "got", "time", *headings(names)):
        table.add_column(Text(heading), overflow="fold")
    for one in jury:
        result, groups = one.result, cells(one)
        got = Text(result.verdict.word, style=STYLES[result.verdict.word])
        if result.score is not None:
            got.append(f" {number(result.score)}", style="default")
        if one.mismatches:
            got.append("\nnot as\nexpected", style="bold red")
        name = clean(one.submission.name)
        if narrow:
            name = name.replace("/", "/\n ", 1)
        row = [Text(name), Text(expected_text(one.submission.expected)), got, Text(seconds(slowest(result.tests)))]
        for name in names:
            group = groups.get(name)
            tests = tuple(t for t in group.children if isinstance(t, TestResult)) if group else ()
            cell = Text("-", style="dim")
            if group is not None:
                cell = Text(group.verdict.word, style=STYLES[group.verdict.word])
                cell.append(f" {accepted(tests)}", style="default")
            row.append(cell)
        table.add_row(*row)
    # rich leaves out columns that have no room: a long line is the lesser evil
    emit(out, table, width=max(out.width, Measurement.get(out, out.options.update(width=10_000), table).minimum))
    for one in jury:
        for mismatch in one.mismatches:
            out.print(Text(f"{clean(one.submission.name)}: {clean(mismatch)}", style="red"), soft_wrap=True)
    wrong = sum(bool(one.mismatches) for one in jury)
    out.print(Text(f"{len(jury) - wrong} of {len(jury)} submissions are as expected"))
