"""Acceptance line 4: output is counted as it passes, cut exactly, and never blocks or fills the supervisor."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import STDOUT, Result, run
from tests.runs.world import named, until

MIB = 1 << 20

Program = Callable[[str], str]


def test_flood_is_cut_at_the_byte(program: Program) -> None:
    result = run([program("flood"), str(100 * MIB)], output="1M", wall=20)
    assert result.outcome == "output", result
    assert result.stdout == b"o" * MIB and result.stdout_truncated
    assert result.usage.output_bytes > MIB
    assert not named("flood")


def test_flood_through_the_command_line(pysandbox: Callable[..., object], program: Program) -> None:
    done = pysandbox("run", "--output", "1M", "--", program("flood"), str(100 * MIB))
    assert done.stdout == "o" * MIB  # type: ignore[attr-defined]
    assert "output" in done.stderr  # type: ignore[attr-defined]
    assert done.returncode == 137  # type: ignore[attr-defined]


def test_stdout_and_stderr_count_together(program: Program) -> None:
    result = run([program("flood"), str(3 * MIB), str(3 * MIB)], output="1M", wall=20)
    assert result.outcome == "output"
    assert len(result.stdout) + len(result.stderr) == MIB
    assert set(result.stdout) <= {ord("o")} and set(result.stderr) <= {ord("e")}


def test_one_stream_for_both_counts_once(program: Program) -> None:
    half = MIB // 2
    result = run([program("flood"), str(half), str(half)], output="1M", stderr=STDOUT, wall=20)
    assert result.ok and len(result.stdout) == MIB and result.usage.output_bytes == MIB
    assert result.stdout.count(b"e") == half


@pytest.mark.parametrize("more", [0, 1])
def test_the_limit_itself_is_allowed(more: int, program: Program) -> None:
    result = run([program("flood"), str(MIB + more)], output="1M", wall=20)
    assert len(result.stdout) == MIB
    assert result.outcome == ("output" if more else "ok")
    assert result.stdout_truncated == bool(more)


def test_what_goes_nowhere_counts_too(program: Program) -> None:
    result = run([program("flood"), str(2 * MIB)], output="1M", stdout="devnull", wall=20)
    assert result.outcome == "output" and result.stdout == b""


def test_limit_of_nothing_at_all() -> None:
    silent = run(["true"], output=0)
    assert silent.ok
    loud = run(["echo", "x"], output=0)
    assert loud.outcome == "output" and loud.stdout == b""


def test_captured_without_a_limit_is_capped_and_runs_to_its_end(program: Program) -> None:
    result = run([program("flood"), str(70 * MIB)], wall=60)
    assert result.ok
    assert len(result.stdout) == 64 * MIB and result.stdout_truncated
    assert result.usage.output_bytes == 70 * MIB


def test_file_gets_exactly_what_the_limit_allows(program: Program, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = run([program("flood"), str(4 * MIB)], output="1M", stdout=str(target), wall=20)
    assert result.outcome == "output"
    assert target.read_bytes() == b"o" * MIB


@pytest.mark.parametrize("cgroup", ["auto", "none"])
def test_reader_that_does_not_read_does_not_hold_up_a_deadline(cgroup: str, program: Program) -> None:
    reader, writer = os.pipe()
    found: list[Result] = []

    def call() -> None:
        found.append(run([program("flood"), str(8 * MIB)], stdout=writer, wall="500ms", cgroup=cgroup))

    caller = threading.Thread(target=call)
    caller.start()
    assert until(lambda: named("flood"))
    assert until(lambda: not named("flood"), 5), "the program outlived its deadline"
    with os.fdopen(reader, "rb") as pipe:
        # What the supervisor still holds for us is at most what it has said: one chunk, and the pipe.
        caller_ends = threading.Thread(target=lambda: (caller.join(), os.close(writer)))
        caller_ends.start()
        assert len(pipe.read()) < MIB
        caller_ends.join(20)
    assert found[0].exit_status == 124


def test_closed_stdout_gives_sigpipe(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    reader, writer = os.pipe()
    command = [*pysandbox_argv, "run", "--wall", "20s", "--", "yes"]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=pysandbox_env) as process:
        os.close(writer)
        assert os.read(reader, 4) == b"y\ny\n"
        os.close(reader)
        assert process.wait(20) == 128 + 13
    assert not named("yes")


def test_bytes_arrive_as_they_are(python_program: Callable[..., Result]) -> None:
    result = python_program("import os; os.write(1, bytes(range(256)) * 64); os.write(2, b'\\xff\\x00')")
    assert result.stdout == bytes(range(256)) * 64
    assert result.stderr == b"\xff\x00"


def test_output_after_the_main_process_has_ended_is_not_waited_for() -> None:
    result = run(["sh", "-c", "(sleep 30; echo late) & echo early"])
    assert result.ok and result.stdout == b"early\n"
