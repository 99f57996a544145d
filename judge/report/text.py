"""Numbers and foreign text in words. Whatever a submission or a package wrote passes ``clean`` before it is shown."""

from __future__ import annotations

from collections.abc import Iterator

from ..result import GroupResult, SubmissionResult, TestResult
from ..verdict import Verdict
from ..verdict.words import WORDS

SECOND = 1_000_000_000


def clean(text: str) -> str:
    """One line without control characters, terminal sequences or text that turns the direction of reading.

    ``str.isprintable`` is false for all of the categories C* and for separators but the blank (Unicode 15, 4.5).
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def clean_lines(text: str) -> list[str]:
    """The same, line by line; a tab stays as blanks."""
    return [clean(line.expandtabs(4)) for line in text.split("\n")]


def seconds(ns: int | None) -> str:
    """``1.234 s``, three digits behind the point: what a cgroup measures is no better than a millisecond. "-" if
    unknown."""
    return "-" if ns is None else f"{ns / SECOND:.3f} s"


def limit(ns: int | None) -> str:
    """A limit, without needless zeros: ``1 s``, ``0.25 s``, or "none"."""
    return "none" if ns is None else f"{ns / SECOND:.9f}".rstrip("0").rstrip(".") + " s"


def mib(size: int | None) -> str:
    """``3.4 MiB``; "-" if unknown."""
    if size is None:
        return "-"
    value = size / (1 << 20)
    return f"{value:.0f} MiB" if value >= 100 or value == int(value) else f"{value:.1f} MiB"


def number(value: float | None) -> str:
    """A score: at most 6 digits, "-" if there is none."""
    return "-" if value is None else f"{value:.6g}"


def words(verdict: Verdict) -> str:
    """``WA wrong answer``"""
    return f"{verdict.word} {WORDS[verdict.word]}"


def tests_of(node: GroupResult | TestResult) -> tuple[TestResult, ...]:
    return (node,) if isinstance(node, TestResult) else tuple(node.tests())


def accepted(tests: tuple[TestResult, ...]) -> str:
    """``3/5``: so many of so many are accepted."""
    return f"{sum(t.verdict.accepted for t in tests)}/{len(tests)}"


def slowest(tests: tuple[TestResult, ...]) -> int | None:
    return max((t.cpu_ns for t in tests if t.cpu_ns is not None), default=None)


def largest(tests: tuple[TestResult, ...]) -> int | None:
    return max((t.memory_bytes for t in tests if t.memory_bytes is not None), default=None)


def blamed(result: SubmissionResult) -> TestResult | None:
    """The test to which the verdict is due: the first with the same word, None if there is none (CE, AC)."""
    if result.verdict.accepted:
        return None
    return next((test for test in result.tests if test.verdict.word == result.verdict.word), None)


def why(result: SubmissionResult) -> str:
    """The reason of a verdict that is not AC: the test and what was found there."""
    test = blamed(result)
    if test is None:
        return result.verdict.detail
    return f"{test.name}: {test.verdict.detail}" if test.verdict.detail else test.name


def messages(test: TestResult) -> Iterator[tuple[str, str]]:
    """(title, text) of what was said about a test that was not accepted: its diff, checkers' words, its stderr. Whose
    test it is to see has been looked at before (``audience``)."""
    if test.verdict.accepted:
        return
    if test.sample and test.diff:
        yield f"{test.name}: difference", test.diff
    for one in test.evidence.passes:
        if one.check is not None and (one.check.message or one.check.team_message):
            yield f"{test.name}: {one.check.by}", one.check.message or one.check.team_message
        if one.stderr:
            yield f"{test.name}: stderr", one.stderr


def leaves(root: GroupResult) -> list[GroupResult]:
    """The groups that have tests of their own, in order."""
    found = [root] if any(isinstance(child, TestResult) for child in root.children) else []
    for child in root.children:
        if isinstance(child, GroupResult):
            found += leaves(child)
    return found
