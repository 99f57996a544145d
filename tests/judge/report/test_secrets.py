"""Secret data in no output that a team gets: not in a detail, a message, a diff, an argument of a refused call."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from judge.events import Began, Ended, GroupEnded, TestEnded
from judge.problem.model import Problem
from judge.report import document, html, junit, matrix, table
from judge.report.audience import for_team
from judge.report.live import Live
from judge.result import GroupResult, SubmissionResult
from judge.verdict.decide import decide
from tests.judge.report import samples
from tests.judge.report.samples import SECRET

Report = Callable[[Problem, SubmissionResult], str]


def shown(problem: Problem, result: SubmissionResult, *, jury: bool = False) -> str:
    out = io.StringIO()
    table.show(Console(file=out, width=200, markup=False), problem, [result], jury=jury)
    matrix.show(Console(file=out, width=200, markup=False), problem, samples.jury([result]))
    return out.getvalue()


def live(problem: Problem, result: SubmissionResult) -> str:
    """Events come from the judging as they are: what is shown of them must be safe by itself."""
    out = io.StringIO()
    with Live(Console(file=out, force_terminal=True, width=200, markup=False)) as listener:
        listener(Began(problem, result.submission, len(result.tests)))
        for group in result.root.children:
            assert isinstance(group, GroupResult)
            for test in group.tests():
                listener(TestEnded(result.submission, group.name, test))
            listener(GroupEnded(result.submission, group))
        listener(Ended(result))
    return out.getvalue()


REPORTS: dict[str, Report] = {
    "terminal": shown, "html": lambda p, r: html.render(p, [r], samples.jury([r])),
    "junit": lambda p, r: junit.render(p, [r]), "junit --all": lambda p, r: junit.render(p, [r], samples.jury([r])),
    "json": lambda p, r: document.text(document.document(p, [r], samples.jury([r]))),
}  # fmt: skip


@pytest.mark.parametrize("report", REPORTS)
def test_nothing_secret_for_a_team(report: str) -> None:
    assert SECRET in document.text(samples.wrong().to_json())  # it was there
    text = REPORTS[report](samples.problem(), for_team(samples.wrong()))
    assert SECRET not in text
    assert "openat" in text or report in ("terminal", "junit --all")  # what it was killed for stays


def test_nothing_secret_while_it_goes_on() -> None:
    worst = samples.result([samples.test("secret/01", "SV", detail=f'openat("/{SECRET}") refused')])
    assert SECRET not in live(samples.problem(2), worst)


@pytest.mark.parametrize("report", ["html", "json"])
def test_samples_are_shown(report: str) -> None:
    text = REPORTS[report](samples.problem(), for_team(samples.wrong()))
    assert "expected 3" in text and "+ 4" in text


def test_the_jury_sees_what_checkers_said() -> None:
    assert f"expected {SECRET}" in html.render(samples.problem(), [samples.wrong()])
    assert f"expected {SECRET}" in shown(samples.problem(), samples.wrong(), jury=True)


def test_stderr_of_a_secret_test_is_secret() -> None:
    from dataclasses import replace

    test = samples.test("secret/01", "RTE", detail=f"exit code 1, it said {SECRET}")
    passes = tuple(replace(one, stderr=f"panic:\n{SECRET}\n") for one in test.evidence.passes)
    result = samples.result([replace(test, evidence=replace(test.evidence, passes=passes))])
    assert SECRET not in document.text(for_team(result).to_json())
    assert for_team(result).tests[1].verdict.detail == "exit code 1, it said …"


def test_the_facts_that_decide_stay() -> None:
    """What a team sees gives the same words again."""
    for result in (samples.right(), samples.wrong()):
        for before, after in zip(result.tests, for_team(result).tests, strict=True):
            assert decide(before.evidence, "icpc").word == decide(after.evidence, "icpc").word
            assert (before.cpu_ns, before.memory_bytes) == (after.cpu_ns, after.memory_bytes)


def test_a_sample_is_left_as_it_is() -> None:
    assert for_team(samples.wrong()).tests[0] == samples.wrong().tests[0]
