"""Results: what they say and how they travel."""

from __future__ import annotations

import json
import pickle

import pytest

from sandbox import Cause, Result, Usage, result

FULL = Result(
    outcome="memory",
    signal=9,
    causes=(Cause(kind="memory", detail="killed", at_ns=5), Cause(kind="signaled", detail="by 9")),
    usage=Usage(cpu_ns=1, memory_peak_bytes=2, sources={"cpu_ns": "cpuacct.usage"}),
    stdout=b"\xff\x00ok",
    stderr=b"e",
    stdout_truncated=True,
    enforced={"mem": "cgroup v1 memory"},
    not_enforced={"time": "no"},
    absent=("net",),
    capabilities=("CHOWN",),
    notes=("n",),
    hints=("h",),
    backend="v1",
    policy="none",
    error="",
)


def test_every_outcome_has_a_place_in_the_order() -> None:
    assert sorted(result.PRECEDENCE) == sorted(result.OUTCOMES)
    assert len(set(result.OUTCOMES)) == len(result.OUTCOMES)


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (Result(outcome="ok", exit_code=0), 0),
        (Result(outcome="exited", exit_code=3), 3),
        (Result(outcome="exited", exit_code=255), 255),
        (Result(outcome="signaled", signal=11), 139),
        (Result(outcome="syscall", signal=31), 159),
        (Result(outcome="memory", signal=9), 137),
        (Result(outcome="memory", exit_code=1), 137),
        (Result(outcome="cpu_time", signal=9), 124),
        (Result(outcome="wall_time", exit_code=0), 124),
        (Result(outcome="idle", signal=9), 124),
        (Result(outcome="output", signal=9), 137),
        (Result(outcome="exec_failed", exit_code=127), 127),
        (Result(outcome="interrupted"), 125),
    ],
)
def test_exit_status(one: Result, status: int) -> None:
    assert one.exit_status == status


def test_ok_means_ok() -> None:
    assert Result(outcome="ok", exit_code=0).ok
    assert not any(Result(outcome=outcome).ok for outcome in result.OUTCOMES if outcome != "ok")


def test_json_and_pickle() -> None:
    data = FULL.to_json()
    again = json.loads(json.dumps(data))
    assert again == data  # nothing that JSON bends: no tuples, no bytes, no keys that are no texts
    assert data["schema"] == result.SCHEMA_VERSION and data["exit_status"] == 137
    assert data["stdout"] == "�\x00ok" and data["causes"][0] == {"kind": "memory", "detail": "killed", "at_ns": 5}
    assert data["usage"]["sources"] == {"cpu_ns": "cpuacct.usage"}
    assert set(data) == {"schema", "exit_status", *FULL.asdict()}
    assert pickle.loads(pickle.dumps(FULL)) == FULL


def test_results_do_not_share_their_defaults() -> None:
    """A default that is a dict belongs to the class: to_json must hand out what may be changed."""
    one, other = Result(outcome="ok"), Result(outcome="ok")
    data = one.to_json()
    data["notes"].append("mine")
    data["causes"].append("mine")
    assert other.to_json()["notes"] == [] and other.to_json()["causes"] == []
