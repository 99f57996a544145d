"""The table after a judging: submissions, then the groups of each that was not accepted, then samples' diffs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..problem.model import Problem
from ..result import GroupResult, SubmissionResult, TestResult
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
    words,
)

STYLES = {
    "AC": "bold green", "PAC": "bold yellow", "PE": "bold red", "WA": "bold red", "TLE": "bold magenta",
    "ILE": "bold magenta", "MLE": "bold magenta", "OLE": "bold magenta", "RTE": "bold red", "SV": "bold red",
    "CE": "bold blue", "JE": "bold white on red", "SK": "dim",
}  # fmt: skip
MESSAGE_LINES = 20


def console(stream: object = None, *, error: bool = False) -> Console:
    """For stdout (or stderr): colours where there is a terminal and NO_COLOR is not set; no markup, no emoji, nothing
    is taken for a number or a path."""
    if stream is None:
        return Console(stderr=error, markup=False, emoji=False, highlight=False)
    return Console(file=stream, markup=False, emoji=False, highlight=False)  # type: ignore[arg-type]


def emit(out: Console, what: RenderableType, *, width: int | None = None) -> None:
    """Print; into a file or pipe without the blanks that fill a terminal's lines.
    ``width``: in place of the console's."""
    own = out.width
    out.width = width or own
    try:
        if out.is_terminal:
            out.print(what, crop=False)
            return
        with out.capture() as held:
            out.print(what, crop=False)
    finally:
        out.width = own
    for line in held.get().splitlines():
        out.file.write(line.rstrip() + "\n")


def show(out: Console, problem: Problem | None, results: Sequence[SubmissionResult], *, jury: bool = False) -> None:
    """Print all of it. ``results``: as their audience may see them (``audience``)."""
    if problem is not None:
        out.print(Text(headline(problem, results)), soft_wrap=True)
    scored = any(result.score is not None for result in results)
    emit(out, summary(results, scored))
    for result in results:
        part = details(result, jury=jury, alone=len(results) == 1)
        if part is not None:
            emit(out, part)


def headline(problem: Problem, results: Sequence[SubmissionResult]) -> str:
    """``sum (Sum): time limit 1 s, memory limit 256 MiB, 12 tests, format plain``. Limits by which they were judged,
    the lowest: a language may have more of both."""
    time_ns = min((r.time_ns for r in results if r.time_ns is not None), default=problem.limits.time_ns)
    memory = min((r.memory_bytes for r in results if r.memory_bytes), default=problem.limits.memory_bytes)
    title = f" ({clean(problem.title)})" if problem.title and problem.title != problem.name else ""
    count = len(problem.tests)
    return (
        f"{clean(problem.name)}{title}: time limit {limit(time_ns)}, memory limit {mib(memory)}, "
        f"{count} {'test' if count == 1 else 'tests'}, format {problem.format}"
    )


def _table(*columns: tuple[str, str]) -> Table:
    """Columns: (heading, "left" or "right")."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, kind in columns:
        table.add_column(heading, justify="right" if kind == "right" else "left", overflow="fold")
    return table


def summary(results: Sequence[SubmissionResult], scored: bool) -> Table:
    """A line for each submission."""
    score = (("score", "right"),) if scored else ()
    table = _table(("submission", "left"), ("language", "left"), ("verdict", "left"), *score, ("tests", "right"),
                   ("time", "right"), ("memory", "right"))  # fmt: skip
    for result in results:
        tests = result.tests
        cells: list[RenderableType] = [
            Text(clean(result.submission)), Text(clean(result.language)), verdict_text(result),
            *([Text(number(result.score))] if scored else []), Text(accepted(tests)), Text(seconds(slowest(tests))),
            Text(mib(largest(tests))),
        ]  # fmt: skip
        table.add_row(*cells)
    return table


def verdict_text(result: SubmissionResult | GroupResult) -> Text:
    return Text(words(result.verdict), style=STYLES[result.verdict.word])


def details(result: SubmissionResult, *, jury: bool, alone: bool) -> RenderableType | None:
    """Groups, the compiler's message, samples' diffs and notes; None if there is nothing to say."""
    parts: list[RenderableType] = []
    if not result.compile.ok or result.compile.fault:
        parts += _block("compile", result.compile.fault or result.compile.message)
    elif alone or not result.verdict.accepted:
        parts.append(groups(result))
        parts += [Text(reason) for reason in reasons(result)]
    for test in result.tests:
        if test.sample or jury:
            for title, text in messages(test):
                parts += _block(title, text)
    for test in result.tests:
        if test.evidence.reruns:
            times = sorted(run.cpu_ns for run in test.evidence.reruns if run.cpu_ns is not None)
            if times:
                parts.append(Text(
                    f"{clean(test.name)}: near the limit, run again alone {len(times)} times: "
                    f"{seconds(times[0])} to {seconds(times[-1])}"
                ))  # fmt: skip
    parts += [Text(f"note: {clean(note)}") for note in result.notes]
    if not parts:
        return None
    name = Text(clean(result.submission), style="bold")
    return Padding(Group(name, Padding(Group(*parts), (0, 0, 0, 2), expand=False)), (1, 0, 0, 0), expand=False)


def groups(result: SubmissionResult) -> Table:
    """A line for each group that has tests of its own."""
    found = leaves(result.root)
    scored = any(group.score is not None for group in found)
    score = (("score", "right"),) if scored else ()
    table = _table(("group", "left"), ("verdict", "left"), *score, ("tests", "right"), ("time", "right"),
                   ("memory", "right"))  # fmt: skip
    for group in found:
        tests = tuple(test for test in group.children if not isinstance(test, GroupResult))
        table.add_row(
            Text(clean(group.name) or "all"), verdict_text(group),
            *([Text(number(group.score))] if scored else []), Text(accepted(tests)), Text(seconds(slowest(tests))),
            Text(mib(largest(tests))),
        )  # fmt: skip
    return table


def reasons(result: SubmissionResult) -> Iterator[str]:
    """For each group that is not accepted the test to which that is due, and what was found there."""
    for group in leaves(result.root):
        tests = (child for child in group.children if isinstance(child, TestResult))
        first = next((t for t in tests if t.verdict.word == group.verdict.word and not t.verdict.accepted), None)
        if first is not None and first.verdict.word != "SK":
            yield clean(f"{first.name}: {words(first.verdict)}: {first.verdict.detail}")
        elif not group.verdict.accepted and group.verdict.detail:
            yield clean(f"{group.name}: {group.verdict.detail}")


def _block(title: str, text: str) -> list[RenderableType]:
    """Foreign text, a few lines of it, indented."""
    lines = clean_lines(text.strip("\n"))
    if len(lines) > MESSAGE_LINES:
        lines = [*lines[:MESSAGE_LINES], f"({len(lines) - MESSAGE_LINES} more lines)"]
    return [Text(clean(title) + ":"), *(Padding(Text(line), (0, 0, 0, 2), expand=False) for line in lines)]
