"""Progress while a judging goes on: bars on a terminal, a line per group elsewhere.

On stderr, so that what is printed at the end can go to a file. A group without tests of its own has no bar.
"""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from ..events import Began, Compiled, Ended, Event, GroupEnded, TestEnded
from ..problem.model import Group, Test
from ..result import TestResult
from .audience import for_team
from .table import STYLES, console
from .text import accepted, clean, number, seconds, slowest, why, words

NARROW = 60  # columns; below that there is no room for a bar


class Live:
    """A listener of ``events``; a context manager, for a terminal has to be put right again."""

    def __init__(self, out: Console | None = None) -> None:
        self._out = out or console(error=True)
        self._shown: _Bars | _Lines = _Bars(self._out) if self._out.is_terminal else _Lines(self._out)

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing moves any more."""
        self._shown.close()

    def __call__(self, event: Event) -> None:
        match event:
            case Began():
                self._shown.began(event)
            case Compiled():
                self._shown.compiled(event)
            case TestEnded():
                self._shown.test(event)
            case GroupEnded():
                self._shown.group(event)
            case Ended():
                self._shown.ended(event)


def _sizes(group: Group) -> dict[str, int]:
    """Names of the groups with tests of their own -> how many."""
    own = sum(isinstance(child, Test) for child in group.children)
    found = {group.name: own} if own else {}
    for child in group.children:
        if isinstance(child, Group):
            found |= _sizes(child)
    return found


def _verdict_line(event: Ended) -> Text:
    result = for_team(event.result)
    line = Text(clean(result.submission) + ": ")
    line.append(words(result.verdict), style=STYLES[result.verdict.word])
    if result.score is not None:
        line.append(f", score {number(result.score)}")
    reason = why(result)
    if reason:
        line.append(f" ({clean(reason)})")
    return line


class _Lines:
    """Not a terminal: nothing that moves."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def began(self, event: Began) -> None:
        self._say(f"{event.submission}: {event.tests} tests of {event.problem.name}")

    def compiled(self, event: Compiled) -> None:
        facts = event.facts
        how = "the compiler failed" if facts.fault else "does not compile" if not facts.ok else "ready"
        self._say(f"{event.submission}: {event.language}, {how}{' (from the cache)' if facts.cached else ''}")

    def test(self, event: TestEnded) -> None:
        pass

    def group(self, event: GroupEnded) -> None:
        group = event.result
        tests = tuple(child for child in group.children if isinstance(child, TestResult))
        if tests:
            self._say(
                f"{event.submission}: {group.name or 'all'}: {words(group.verdict)}, {accepted(tests)} tests, "
                f"slowest {seconds(slowest(tests))}"
            )

    def ended(self, event: Ended) -> None:
        self._out.print(_verdict_line(event), soft_wrap=True)

    def close(self) -> None:
        pass

    def _say(self, text: str) -> None:
        self._out.print(Text(clean(text)), soft_wrap=True)


class _Bars:
    """A terminal: a bar for each group of the submission under way, a line for each that is done."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._words: dict[str, list[str]] = {}

    def began(self, event: Began) -> None:
        self.close()
        bar = [BarColumn(bar_width=24)] if self._out.width >= NARROW else []
        self._progress = Progress(
            TextColumn("{task.fields[label]}", markup=False), *bar, MofNCompleteColumn(),
            TextColumn("{task.fields[found]}", markup=False), console=self._out, transient=True,
            refresh_per_second=8,
        )  # fmt: skip
        self._say(f"{event.submission} ...")
        for name, size in _sizes(event.problem.data).items():
            self._words[name] = []
            self._bars[name] = self._progress.add_task("", total=size, label=f"  {clean(name) or 'all'}", found="")
        self._progress.start()

    def compiled(self, event: Compiled) -> None:
        if event.facts.ok and self._progress is not None:
            self._say(f"  {event.language}{', from the cache' if event.facts.cached else ''}")

    def test(self, event: TestEnded) -> None:
        if self._progress is None or event.group not in self._bars:
            return
        seen = self._words[event.group]
        seen.append(event.result.verdict.word)
        counted = ", ".join(f"{seen.count(word)} {word}" for word in dict.fromkeys(seen))
        self._progress.update(self._bars[event.group], completed=len(seen), found=counted)

    def group(self, event: GroupEnded) -> None:
        if self._progress is not None and event.result.name in self._bars:
            verdict = event.result.verdict
            self._progress.update(self._bars[event.result.name], found=words(verdict))

    def ended(self, event: Ended) -> None:
        self.close()
        self._out.print(_verdict_line(event))

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._bars, self._words = {}, {}

    def _say(self, text: str) -> None:
        out = self._progress.console if self._progress is not None else self._out
        out.print(Text(clean(text)))
