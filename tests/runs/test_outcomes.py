"""Acceptance line 6: each way to end, or not to begin, has its own outcome and exit code."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import HostError, RequestError, SetupError, run
from tests.runs.world import named, programs_of
from tests.slowness import SLOW

pytestmark = pytest.mark.v2

Judged = Callable[..., SimpleNamespace]
Program = Callable[[str], str]

WAYS = [
    ("abort", "signaled", 6, None, 134),
    ("segv", "signaled", 11, None, 139),
    ("kill", "signaled", 9, None, 137),
    ("trap", "signaled", 4, None, 132),
    ("3", "exited", None, 3, 3),
    ("0", "ok", None, 0, 0),
    ("255", "exited", None, 255, 255),
    # What could be taken for a word of ours is the program's own exit code all the same.
    ("124", "exited", None, 124, 124),
    ("125", "exited", None, 125, 125),
    ("126", "exited", None, 126, 126),
    ("127", "exited", None, 127, 127),
    ("137", "exited", None, 137, 137),
]


@pytest.mark.parametrize(("how", "outcome", "signal", "exit_code", "status"), WAYS, ids=[w[0] for w in WAYS])
@pytest.mark.parametrize("cgroup", ["auto", "none"])
def test_ways_to_end(
    how: str, outcome: str, signal: int | None, exit_code: int | None, status: int, cgroup: str, program: Program
) -> None:
    result = run([program("die"), how], cgroup=cgroup, **({"mem": "64M"} if cgroup == "auto" else {}))
    assert (result.outcome, result.signal, result.exit_code) == (outcome, signal, exit_code), result
    assert result.exit_status == status
    assert [c.kind for c in result.causes] == ([] if outcome == "ok" else [outcome])
    assert result.ok == (how == "0")


@pytest.mark.parametrize(("how", "outcome", "signal", "exit_code", "status"), WAYS, ids=[w[0] for w in WAYS])
def test_exit_codes_of_the_command_line(
    how: str, outcome: str, signal: int | None, exit_code: int | None, status: int, judged: Judged, program: Program
) -> None:
    got = judged("--", program("die"), how)
    assert (got.code, got.outcome, got.signal, got.exit_code) == (status, outcome, signal, exit_code)
    assert (got.said == "") == (outcome in ("ok", "exited"))
    assert "Traceback" not in got.said


@pytest.fixture
def broken(tmp_path: Path, program: Program) -> Callable[[str], str]:
    """A file that cannot be executed, by its kind."""

    def make(kind: str) -> str:
        path = tmp_path / kind
        contents = {
            "empty": b"", "text": b"\0\1\2 nothing that a kernel knows", "no-interpreter": b"#!/no/such/interpreter\n",
            "not-executable": b"#!/bin/sh\nexit 0\n", "cut-elf": Path("/bin/true").read_bytes()[:100],
            "bad-interpreter": b"#!\n", "interpreter-is-directory": b"#!/usr\n", "loop": b"#!/app/loop\n",
            "foreign-elf": b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\x00\xf3\x00" + b"\0" * 200,
        }  # fmt: skip
        if kind == "missing":
            return str(path)
        if kind == "directory":
            path.mkdir()
            return str(path)
        path.write_bytes(contents[kind])
        path.chmod(0o644 if kind == "not-executable" else 0o755)
        return str(path)

    return make


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("missing", 127), ("no-interpreter", 127), ("not-executable", 126), ("empty", 126), ("text", 126),
        ("directory", None), ("cut-elf", 126), ("bad-interpreter", 126), ("interpreter-is-directory", 126),
        ("loop", 126), ("foreign-elf", 126),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cgroup", ["auto", "none"])
def test_what_cannot_be_executed(kind: str, status: int | None, cgroup: str, broken: Callable[[str], str]) -> None:
    result = run([broken(kind)], cgroup=cgroup, **({"mem": "64M"} if cgroup == "auto" else {}))
    assert result.outcome == "exec_failed", result
    assert result.exit_status in ([status] if status else (126, 127))
    assert result.error and result.signal is None
    assert result.stdout == result.stderr == b""


@pytest.mark.parametrize(
    ("kind", "says"), [("not-executable", "chmod +x"), ("no-interpreter", "/no/such/interpreter"), ("empty", "#!")]
)
def test_the_command_line_says_what_to_do(
    kind: str, says: str, broken: Callable[[str], str], pysandbox: Callable[..., SimpleNamespace]
) -> None:
    done = pysandbox("run", "--", broken(kind))
    assert says in done.stderr and done.returncode in (126, 127)


def test_unknown_program_by_name(judged: Judged) -> None:
    got = judged("--", "no-such-program-anywhere")
    assert (got.outcome, got.code) == ("exec_failed", 127)
    assert "no-such-program-anywhere" in got.said


def test_grandchild_that_outlives_the_program() -> None:
    result = run(["sh", "-c", "(trap '' HUP TERM; sleep 3600) & exit 3"])
    assert (result.outcome, result.exit_code) == ("exited", 3)
    assert result.usage.wall_ns is not None and result.usage.wall_ns < 5_000_000_000 * SLOW
    assert not named("sleep")


def test_grandchild_killed_by_a_signal_is_not_the_programs_outcome() -> None:
    assert run(["sh", "-c", "sh -c 'kill -SEGV $$'; sh -c 'kill -KILL $$'; exit 0"]).ok


def test_killing_everything_in_reach_ends_the_program_alone() -> None:
    """kill(-1) and a SIGKILL for the init from inside: the init is out of reach."""
    result = run(["sh", "-c", "kill -KILL 1; kill -STOP 1; kill -SEGV 1; kill -TERM 1; exit 7"])
    assert (result.outcome, result.exit_code) == ("exited", 7)
    # kill(-1) spares its caller (kill(2)), so the shell's child does it to the shell.
    result = run(["sh", "-c", "python3 -ISc 'import os; os.kill(-1, 9)'; exit 7"])
    assert (result.outcome, result.signal) == ("signaled", 9)


def test_init_cannot_be_traced_or_starved() -> None:
    result = run(["sh", "-c", "exec 2>/dev/null; cat /proc/1/mem; echo 1000 > /proc/1/oom_score_adj; exit 5"])
    assert result.exit_code == 5


def test_denied_system_call_has_its_own_outcome(program: Program, tmp_path: Path) -> None:
    policy = tmp_path / "deadly.toml"
    policy.write_text(DEADLY)
    result = run(["hostname"], policy=str(policy))
    assert (result.outcome, result.signal, result.exit_status) == ("syscall", 31, 159), result


DEADLY = """
version = 1
description = "everything but uname"
default = "allow"
[groups.names]
action = "kill"
calls = ["uname"]
"""


def test_sigsys_by_hand_without_a_filter_is_an_ordinary_signal() -> None:
    result = run(["sh", "-c", "kill -SYS $$"], policy="none")
    assert (result.outcome, result.signal) == ("signaled", 31)


def test_fault_of_ours_is_an_exception_and_125(pysandbox: Callable[..., SimpleNamespace], tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        run(["true"], workdir="/usr/no/such/place")
    assert caught.value.errno and "/usr/no/such/place" in str(caught.value)
    done = pysandbox("run", "-w", "/usr/no/such/place", "--", "true")
    assert done.returncode == 125 and done.stderr.count("\n") == 1 and done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not programs_of()


def test_failed_setup_leaves_the_next_run_alone() -> None:
    for _ in range(3):
        with pytest.raises(SetupError):
            run(["true"], workdir="/usr/no/such/place", mem="64M")
        assert run(["true"], mem="64M").ok


def test_exceptions_are_what_the_docs_say() -> None:
    with pytest.raises(RequestError):
        run(["true"], mem="lots")
    with pytest.raises(HostError):
        run(["true"], mem="64M", cgroup="none")
    with pytest.raises(TypeError):
        run(["true"], no_such_option=1)


def test_result_can_be_stored() -> None:
    result = run(["sh", "-c", "echo out; echo err >&2; exit 3"], mem="64M", time=5)
    assert pickle.loads(pickle.dumps(result)) == result
    data = json.loads(json.dumps(result.to_json()))
    assert (data["schema"], data["outcome"], data["exit_code"], data["exit_status"]) == (1, "exited", 3, 3)
    assert (data["stdout"], data["stderr"]) == ("out\n", "err\n")


def test_argument_limits_of_the_kernel() -> None:
    words = ["x" * 1000] * 3000  # 3 MB: more than a quarter of the default stack limit
    result = run(["sh", "-c", "echo $#", "sh", *words], stack="8M")
    assert result.outcome in ("exec_failed", "ok"), result
    if result.outcome == "exec_failed":
        assert result.error == os.strerror(7)
    assert run(["sh", "-c", "echo $#", "sh", *words[:1000]]).stdout == b"1000\n"


def test_script_of_the_caller_runs(tmp_path: Path) -> None:
    script = tmp_path / "hello"
    script.write_text("#!/bin/sh\necho hello $1\n")
    script.chmod(0o755)
    assert run([str(script), "you"]).stdout == b"hello you\n"
    shutil.copy("/bin/true", tmp_path / "own-true")
    assert run([str(tmp_path / "own-true")]).ok
