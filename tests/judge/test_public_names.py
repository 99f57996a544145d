"""The judge's own public face, and the five lines that its documents show."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

import judge

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_list_is_what_the_homes_say() -> None:
    assert sorted(judge.__all__) == sorted(judge._HOMES) == dir(judge)


@pytest.mark.parametrize("name", judge.__all__)
def test_each_is_there_and_documented(name: str) -> None:
    assert inspect.getdoc(getattr(judge, name))


def test_others_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = judge.nothing


def test_a_verdict_its_facts_and_the_same_verdict_again(tmp_path: Path) -> None:
    problem = judge.open_problem(EXAMPLES / "sum")
    options = judge.Options(journal=tmp_path / "journal.sqlite")
    result = judge.judge(problem, EXAMPLES / "sum/submissions/wrong_answer/overflow.c", options=options)
    assert result.verdict.word == "WA"
    assert [test.verdict.word for test in result.tests[:3]] == ["AC"] * 3
    stored = judge.SubmissionResult.from_json(json.loads(json.dumps(result.to_json())))
    assert stored == result
    for test in stored.tests:
        if test.origin == "run":
            assert judge.decide(test.evidence, stored.profile).word == test.verdict.word


def test_errors_say_what_and_where(tmp_path: Path) -> None:
    (tmp_path / "problem.yaml").write_text("limits: [1\n")
    with pytest.raises(judge.PackageError, match=r"problem\.yaml:\d+: error"):
        judge.open_problem(tmp_path)
    with pytest.raises(judge.SubmissionError, match="nothing.c"):
        judge.judge(judge.open_problem(EXAMPLES / "sum"), tmp_path / "nothing.c")
