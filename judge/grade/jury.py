"""``--all``: the package's own submissions against what the jury expects of them.

What each is expected to do comes from the package (problem package format: names of the directories below
submissions/, @EXPECTED_RESULTS@ in a source, submissions.yaml); the readers have made ``model.Expected`` of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LanguageError, SubmissionError
from ..events import Ended, Event, Listener
from ..problem.model import Expected, JurySubmission, Problem
from ..problem.patterns import covers
from ..result import CompileFacts, GroupResult, SubmissionResult, TestResult
from ..verdict import Verdict
from ..verdict.profiles import PACKAGE_WORDS

if TYPE_CHECKING:
    from ..language import Languages
    from .judging import Options

ACCEPTED = frozenset({"AC", "PAC"})
NOT_JUDGED = "SK"


@dataclass(frozen=True)
class JuryResult:
    """mismatches: what is not as expected, each in words; none if all is."""

    submission: JurySubmission
    result: SubmissionResult
    mismatches: tuple[str, ...]


def judge_all(
    problem: Problem, *, languages: Languages, options: Options, listener: Listener | None = None
) -> Iterator[JuryResult]:
    """Judge one after the other, and compare. A submission of which nothing is expected has no mismatches."""
    from .judging import judge

    for submission in problem.submissions:
        own = replace(
            options, language=submission.language or options.language,
            early=options.early and not needs_every_test(submission.expected),
        )  # fmt: skip
        heard = _named(listener, submission.name) if listener else None
        try:
            found = judge(problem, submission.path, languages=languages, options=own, listener=heard,
                          entrypoint=submission.entrypoint, root=problem.root)  # fmt: skip
        except (SubmissionError, LanguageError) as error:
            found = unreadable(problem, submission.path, options, error)
            if heard is not None:
                heard(Ended(found))
        result = replace(found, submission=submission.name)
        yield JuryResult(submission, result, mismatches(submission.expected, result))


def unreadable(problem: Problem, submission: Path, options: Options, error: Exception) -> SubmissionResult:
    """JE, for one of several: the others are judged all the same."""
    why = Verdict("JE", str(error))
    return SubmissionResult(
        problem.name, submission.name, options.language or "", options.profile, why,
        compile=CompileFacts(False, fault=str(error)), root=GroupResult("", why),
        time_ns=options.time_ns or problem.limits.time_ns,
        memory_bytes=options.memory_bytes or problem.limits.memory_bytes,
    )  # fmt: skip


def _named(listener: Listener, name: str) -> Listener:
    """Files of one name are in several directories: a listener hears the name below submissions/."""

    def heard(event: Event) -> None:
        if isinstance(event, Ended):
            listener(Ended(replace(event.result, submission=name)))
        else:
            listener(replace(event, submission=name))

    return heard


def needs_every_test(expected: Expected) -> bool:
    """Could a test beyond the first that is rejected matter? Then none may be left out."""
    if expected.parts or expected.message:
        return True
    return bool(expected.required) and not (expected.permitted and expected.permitted <= expected.required | ACCEPTED)


def mismatches(expected: Expected, result: SubmissionResult) -> tuple[str, ...]:
    """What is not as expected."""
    found = []
    word = result.verdict.word
    if expected.verdicts and word not in expected.verdicts:
        found.append(f"expected {either(expected.verdicts)}, got {word}")
    counted = frozenset(test.name for test in _counted(result.root))
    found += _of_tests(expected, result.tests, "", counted)
    if expected.score is not None:
        found += _of_score(expected.score, result.score, "")
    for pattern, part in expected.parts:
        tests = tuple(test for test in result.tests if matches(pattern, test.name))
        where = f"{pattern}: " if pattern else ""
        if not tests:
            found.append(f"{where}no such test")
            continue
        found += _of_tests(part, tests, where, None if pattern else counted)
        if part.score is not None:
            if not pattern:
                found += _of_score(part.score, result.score, "")
                continue
            for node in _topmost(pattern, result.root):
                found += _of_score(part.score, node.score, f"{node.name}: ")
    return tuple(dict.fromkeys(found))


def _counted(group: GroupResult) -> Iterator[TestResult]:
    """Without the tests of groups whose condition (require_pass) failed: they are run to be looked at, if at all."""
    for child in group.children:
        if isinstance(child, TestResult):
            yield child
        elif child.verdict.word != NOT_JUDGED:
            yield from _counted(child)


def _of_tests(
    expected: Expected, tests: tuple[TestResult, ...], where: str, counted: frozenset[str] | None = None
) -> list[str]:
    """``counted``: names of tests to which ``permitted`` applies, None for all."""
    judged = [test for test in tests if test.verdict.word != NOT_JUDGED]
    found = []
    if expected.permitted:
        wrong = [test for test in judged if test.verdict.word not in expected.permitted
                 and (counted is None or test.name in counted)]  # fmt: skip
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            found.append(
                f"{where}permitted {either(expected.permitted)}, got {wrong[0].verdict.word} on {wrong[0].name}{more}"
            )
    if expected.required and not any(test.verdict.word in expected.required for test in judged):
        found.append(f"{where}no test with {either(expected.required)}")
    if expected.message and not any(_said(test, expected.message) for test in judged):
        found.append(f"{where}no checker said {expected.message!r}")
    return found


def _of_score(wanted: tuple[float, float], score: float | None, where: str) -> list[str]:
    low, high = wanted
    if score is not None and low <= score <= high:
        return []
    span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return [f"{where}expected score {span}, got {'none' if score is None else f'{score:g}'}"]


def _said(test: TestResult, message: str) -> bool:
    """Case does not matter (2025-09, Example submissions)."""
    checks = [one.check for one in test.evidence.passes if one.check is not None]
    return any(message in check.message for check in checks)


def either(words: frozenset[str]) -> str:
    """``AC or WA``. What are all of our words for one of the package's is said in that one: RTE is MLE, OLE and SV, too
    (verdict.profiles)."""
    left, found = set(words), set()
    for package in dict.fromkeys(PACKAGE_WORDS.values()):
        ours = {word for word, of in PACKAGE_WORDS.items() if of == package}
        if ours <= words:
            found.add(package)
            left -= ours
    return " or ".join(sorted(found | left))


def _topmost(pattern: str, node: GroupResult | TestResult) -> Iterator[GroupResult | TestResult]:
    """What the pattern names, without what is in it."""
    if node.name and covers(pattern, node.name):
        yield node
    elif isinstance(node, GroupResult):
        for child in node.children:
            yield from _topmost(pattern, child)


def matches(pattern: str, name: str) -> bool:
    """Does a pattern name this test or a group above it? "" names all."""
    return not pattern or covers(pattern, name)
