"""docs/result.schema.json against what runs really return, and against the classes it describes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sandbox import Cause, Result, Sandbox, Usage, result, run
from sandbox.spec import NAMESPACES

TREE = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads((TREE / "docs" / "result.schema.json").read_text())


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


SPIN = "while True: pass"
HOG = "b = bytearray(512 << 20)"

# outcome, program, options
RUNS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("ok", ["true"], {}),
    ("ok", ["sh", "-c", r"printf '\377\376text'; printf err >&2"], {"stderr": "capture"}),
    ("exited", ["sh", "-c", "exit 3"], {}),
    ("signaled", ["sh", "-c", "kill -SEGV $$"], {}),
    ("cpu_time", ["python3", "-c", SPIN], {"time": 0.1, "cpuset": "0", "cpus": 1}),
    ("wall_time", ["python3", "-c", SPIN], {"wall": 0.2}),
    ("idle", ["sleep", "60"], {"wall": 0.2}),
    ("memory", ["python3", "-c", HOG], {"mem": "64M", "swap": 0, "pids": 16}),
    ("output", ["sh", "-c", "yes"], {"output": "64K"}),
    ("exec_failed", ["no-such-program-anywhere"], {}),
    ("ok", ["true"], {"without": ["net", "uts"], "policy": "none"}),
    ("ok", ["true"], {"fsize": "1M", "stack": "unlimited", "core": "1M", "nofile": 64, "inodes": 100, "disk": "1M"}),
    ("ok", ["true"], {"mem": "64M", "time": 5, "cgroup": "none", "best_effort": True}),
    ("ok", ["true"], {"mem": "64M", "proc": "static"}),
]


@pytest.mark.parametrize(("outcome", "argv", "options"), RUNS, ids=lambda v: v if isinstance(v, str) else "")
def test_every_result_follows_the_schema(
    outcome: str, argv: list[str], options: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    found = run(argv, **options)
    assert found.outcome == outcome, found
    # through text, as a reader gets it
    validator.validate(json.loads(json.dumps(found.to_json())))


def test_a_refused_system_call_follows_the_schema(tmp_path: Path, validator: jsonschema.Draft202012Validator) -> None:
    policy = tmp_path / "deadly.toml"
    policy.write_text('version = 1\ndefault = "allow"\n[groups.parents]\naction = "kill"\ncalls = ["getppid"]\n')
    found = run(["python3", "-c", "import os; os.getppid()"], policy=str(policy))
    assert found.outcome == "syscall", found
    validator.validate(found.to_json())


def test_an_interrupted_run_follows_the_schema(validator: jsonschema.Draft202012Validator) -> None:
    with Sandbox() as box, box.start(["sleep", "60"]) as running:
        running.supervision.interrupt(15)
        found = running.wait()
    assert found.outcome == "interrupted", found
    validator.validate(found.to_json())


def test_what_the_command_writes_follows_the_schema(
    pysandbox: Callable[..., Any], validator: jsonschema.Draft202012Validator
) -> None:
    done = pysandbox("run", "--json", "-", "--", "sh", "-c", "echo out; exit 4")
    assert done.returncode == 4, done.stderr
    data = json.loads(done.stdout)
    validator.validate(data)
    assert (data["outcome"], data["exit_code"], data["exit_status"], data["stdout"]) == ("exited", 4, 4, "out\n")


def test_the_schema_names_the_fields_that_there_are() -> None:
    properties = SCHEMA["properties"]
    fields = {*Result._fields, "denials"} - {"refused"}  # in words
    assert set(properties) == {*fields, "schema", "exit_status"} == set(SCHEMA["required"])
    usage = properties["usage"]
    assert set(usage["properties"]) == set(Usage._fields) == set(usage["required"])
    assert set(usage["properties"]["sources"]["propertyNames"]["enum"]) == set(Usage._fields) - {"sources"}
    assert set(properties["causes"]["items"]["properties"]) == set(Cause._fields)


def test_the_schema_names_the_words_that_there_are() -> None:
    assert tuple(SCHEMA["$defs"]["outcome"]["enum"]) == result.OUTCOMES
    assert tuple(SCHEMA["properties"]["absent"]["items"]["enum"]) == NAMESPACES
    assert SCHEMA["properties"]["schema"]["const"] == result.SCHEMA_VERSION


@pytest.mark.parametrize(
    "change",
    [{"schema": 2}, {"outcome": "time limit"}, {"exit_code": -1}, {"enforced": {"memory": "x"}}, {"extra": 1},
     {"causes": [{"kind": "ok"}]}, {"usage": {}}, {"stdout": None}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_the_schema_refuses_what_is_no_result(
    change: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    assert not validator.is_valid({**Result(outcome="ok").to_json(), **change})
    assert validator.is_valid(Result(outcome="ok").to_json())
