"""What is told of a run: JUnit, JSON after its schema, the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from sandbox.ci import junit, report
from sandbox.ci.result import (
    ArtifactsResult,
    CacheResult,
    JobResult,
    RunResult,
    StepResult,
)

jsonschema = pytest.importorskip("jsonschema")
TREE = Path(__file__).resolve().parent.parent.parent


def result(*jobs: JobResult) -> RunResult:
    return RunResult(file="ci.yml", name="demo", started_ns=1, wall_ns=3_000_000_000, jobs=jobs)


def job(status: str, *steps: StepResult, **more: Any) -> JobResult:
    return JobResult(
        name="a", title="a (x=1)", axes={"x": "1"}, image="i", status=status, attempts=1, steps=steps, **more
    )


OK = StepResult(name="build", status="passed", exit_status=0, outcome="ok", wall_ns=1_500_000_000, output="made\n")
BAD = StepResult(
    name="test", status="failed", exit_status=1, outcome="exited", detail="exit status 1", output="\x1b[1m<no>"
)
SKIPPED = StepResult(name="pack", status="skipped", detail="a step before it has failed")


def test_junit_has_a_testcase_for_each_step() -> None:
    root = xml.fromstring(junit.render(result(job("failed", OK, BAD, SKIPPED))))
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    build, test, pack = root.iter("testcase")
    assert (build.get("name"), build.get("classname"), build.get("time")) == ("build", "demo.a (x=1)", "1.500")
    assert build.findtext("system-out") == "made\n"
    failure = test.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("exit status 1", "exited")
    assert test.findtext("system-out") == "\ufffd[1m<no>"
    assert pack.find("skipped") is not None


def test_junit_tells_steps_of_one_name_apart() -> None:
    root = xml.fromstring(junit.render(result(job("passed", OK, OK))))
    assert [case.get("name") for case in root.iter("testcase")] == ["build [1]", "build [2]"]


def test_junit_of_a_job_that_could_not_be_run() -> None:
    root = xml.fromstring(junit.render(result(job("error", detail="there is no image i"))))
    (error,) = root.iter("error")
    assert error.get("message") == "there is no image i"
    assert root.get("errors") == "1"


@pytest.mark.parametrize(
    ("statuses", "status", "code"),
    [
        (("passed", "skipped"), "passed", 0),
        (("passed", "failed"), "failed", 1),
        (("failed", "error"), "error", 125),
        (("error", "interrupted"), "interrupted", 130),
    ],
)
def test_the_worst_counts(statuses: tuple[str, ...], status: str, code: int) -> None:
    one = result(*(job(each) for each in statuses))
    assert (one.status, one.exit_status) == (status, code)


def test_json_follows_its_schema() -> None:
    schema = json.loads((TREE / "docs/ci.schema.json").read_text())
    taken = ArtifactsResult(directory="/o/a", files=1, bytes=2, skipped=("x",), unmatched=("*.y",))
    cache = CacheResult(key="k", restored=True, bytes=7)
    words = json.loads(
        result(job("failed", OK, BAD, SKIPPED, artifacts=taken, caches=(cache,)), job("skipped")).to_json()
    )
    jsonschema.Draft202012Validator(schema).validate(words)
    assert words["jobs"][0]["steps"][1]["exit_status"] == 1
    words["jobs"][0]["extra"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(words)


def test_the_table_says_what_failed_and_hides_control_characters() -> None:
    evil = BAD.replace(name="te\x1b[2Jst\nnext")
    text = "\n".join(report.table(result(job("failed", OK, evil), job("passed", OK))))
    assert "a (x=1)  FAILED" in text
    assert "FAILED: te\ufffd[2Jst next: exit status 1" in text
    assert "\x1b" not in text
    assert text.endswith("2 jobs: 1 ok, 1 failed, 3.00 s")
