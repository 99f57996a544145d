"""docs/judge.schema.json against the documents that are written, and against the classes that it describes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from judge.facts import CheckFacts, Evidence, Limited, Noise, PassFacts, RunFacts
from judge.problem.model import Scoring
from judge.report import document
from judge.report.audience import for_team
from judge.result import CompileFacts, GroupResult, SubmissionResult, TestResult
from judge.verdict import Finding, Verdict
from judge.verdict.words import WORDS
from sandbox import RequestError
from sandbox.result import OUTCOMES
from tests.judge.report import samples

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[3] / "docs" / "judge.schema.json").read_text())
RESULTS = [samples.right, samples.wrong, samples.broken, samples.all_words]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def whole() -> dict[str, Any]:
    results = [make() for make in RESULTS]
    return read_back(results)


def read_back(results: list[SubmissionResult]) -> dict[str, Any]:
    """As a reader gets it: through text."""
    written = document.document(samples.problem(), results, samples.jury(results))
    data: dict[str, Any] = json.loads(document.text(written))
    return data


@pytest.mark.parametrize("team", [True, False])
@pytest.mark.parametrize("make", RESULTS)
def test_every_document_follows_the_schema(
    make: Any, team: bool, validator: jsonschema.Draft202012Validator
) -> None:
    result = for_team(make()) if team else make()
    validator.validate(read_back([result]))


PLACES: list[tuple[str, type]] = [
    ("submission", SubmissionResult), ("group", GroupResult), ("test", TestResult), ("verdict", Verdict),
    ("evidence", Evidence), ("pass", PassFacts), ("check", CheckFacts), ("run", RunFacts),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), PLACES)
def test_the_schema_names_the_fields_that_there_are(name: str, kind: type) -> None:
    described = set(SCHEMA["$defs"][name]["properties"]) - ({"schema"} if kind is SubmissionResult else set())
    assert described == {field.name for field in fields(kind)} == set(SCHEMA["$defs"][name]["required"]) - {"schema"}


def test_the_schema_names_the_inner_fields_and_words() -> None:
    defs = SCHEMA["$defs"]
    inner = [
        (Limited, defs["run"]["properties"]["limits"]), (Noise, defs["evidence"]["properties"]["noise"]),
        (CompileFacts, defs["submission"]["properties"]["compile"]),
        (Finding, defs["verdict"]["properties"]["findings"]["items"]),
        (Scoring, defs["problem_group"]["properties"]["scoring"]),
    ]  # fmt: skip
    for kind, part in inner:
        assert set(part["properties"]) == {field.name for field in fields(kind)}, kind
    assert set(defs["word"]["enum"]) == set(WORDS)
    assert set(defs["outcome"]["enum"]) == set(OUTCOMES)


@pytest.mark.parametrize("path", [
    ("schema",), ("problem", "kinds"), ("results", 0, "verdict", "word"), ("results", 0, "root", "children"),
    ("jury", 0, "mismatches"),
])  # fmt: skip
def test_the_schema_refuses_what_is_no_document(path: Any, validator: jsonschema.Draft202012Validator) -> None:
    data = whole()
    validator.validate(data)
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "nonsense"
    assert not validator.is_valid(data)


def test_a_document_comes_back_equal(tmp_path: Path) -> None:
    results = [make() for make in RESULTS]
    file = tmp_path / "result.json"
    file.write_text(document.text(document.document(samples.problem(), results)))
    read = document.load(str(file))
    assert list(read.results) == results
    assert [test.name for test in read.data.tests()] == [test.name for test in samples.problem().tests]
    assert read.data.scoring == samples.problem().data.scoring and not read.custom


@pytest.mark.parametrize(("text", "why"), [
    ("", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "is no result"), ('{"schema": 1}', "is not as"),
    ('{"schema": 2}', "is no result"), ('{"schema": 1, "problem": 3, "results": [], "jury": []}', "is not as"),
])  # fmt: skip
def test_what_is_no_document_is_refused(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text(text)
    with pytest.raises(RequestError, match=why):
        document.load(str(file))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot read"):
        document.load(str(tmp_path / "none"))


def test_the_text_is_ascii() -> None:
    """A terminal to which it goes is told nothing by what a program wrote."""
    text = document.text(document.document(samples.problem(), [samples.broken()]))
    assert text.isascii() and "\x1b" not in text
