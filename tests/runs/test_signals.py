"""Signals to the command line reach the program, then the grace ends, then nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.runs.world import all_gone, descendants, named, until

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> Iterator[Start]:
    """A command line in the background that has started its program: it is killed at the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*args: str, ready: str = "ready\n", **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen([*pysandbox_argv, "run", *args], env=pysandbox_env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, **options)  # fmt: skip
        processes.append(process)
        assert process.stdout and process.stdout.readline() == ready
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def tree_of(process: subprocess.Popen[str]) -> dict[tuple[int, int], str]:
    found = descendants(process.pid)
    assert found, "nothing was started"
    return found


@pytest.mark.parametrize("limits", [(), ("--mem", "64M")], ids=["plain", "limited"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name)
def test_signal_is_forwarded_and_ends_the_program(
    number: signal.Signals, limits: tuple[str, ...], start: Start
) -> None:
    process = start(*limits, "--", "sh", "-c", "echo ready; exec sleep 60")
    tree = tree_of(process)
    process.send_signal(number)
    _out, err = process.communicate(timeout=10)
    assert process.returncode == 128 + number, err
    assert "interrupted" in err
    assert not all_gone(tree, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_program_can_handle_it_and_choose_its_exit_code(number: signal.Signals, start: Start) -> None:
    name = number.name.removeprefix("SIG")
    process = start("--", "sh", "-c", f"trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.05; done")
    process.send_signal(number)
    out, _err = process.communicate(timeout=10)
    assert out == "caught\n" and process.returncode == 9


def test_whole_process_group_of_the_program_gets_it(start: Start) -> None:
    process = start("--", "sh", "-c", "sleep 61 & sleep 62 & echo ready; wait")
    process.terminate()
    assert process.wait(10) == 128 + 15
    assert until(lambda: not named("sleep", process.pid), 1)


def test_grace_then_kill(start: Start) -> None:
    process = start("--grace", "300ms", "--", "sh", "-c", "trap '' TERM INT HUP; echo ready; while :; do sleep 1; done")
    tree = tree_of(process)
    before = time.monotonic()
    process.terminate()
    _out, err = process.communicate(timeout=10)
    took = time.monotonic() - before
    assert process.returncode == 137 and "interrupted" in err
    assert 0.3 <= took < 5
    assert not all_gone(tree, 1)


def test_second_signal_kills_at_once(start: Start) -> None:
    process = start("--grace", "60s", "--", "sh", "-c", "trap '' TERM INT; echo ready; while :; do sleep 1; done")
    tree = tree_of(process)
    process.terminate()
    time.sleep(0.2)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 137
    assert not all_gone(tree, 1)


def test_stopped_program_is_killed_after_the_grace(start: Start) -> None:
    process = start("--grace", "300ms", "--", "sh", "-c", "echo ready; kill -STOP $$; sleep 60")
    tree = tree_of(process)
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 137
    assert not all_gone(tree, 1)


def test_nohup_is_respected(start: Start) -> None:
    """A SIGHUP that the command line was started to ignore does not end the run."""
    process = start(
        "--", "sh", "-c", "echo ready; sleep 0.5; echo survived", preexec_fn=lambda: signal.signal(1, signal.SIG_IGN)
    )
    process.send_signal(signal.SIGHUP)
    out, _err = process.communicate(timeout=10)
    assert out == "survived\n" and process.returncode == 0


def test_ctrl_c_for_the_whole_foreground_group(start: Start) -> None:
    """As a terminal does it: every process of the group, ours and whatever we forgot to move away."""
    process = start("--mem", "64M", "--", "sh", "-c", "echo ready; exec sleep 60", start_new_session=True)
    tree = tree_of(process)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert not all_gone(tree, 1)


def test_signal_before_the_program_has_begun(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    """At any moment of the start: the command ends with 128+n or 130 or the program's code, and leaves nothing."""
    for delay_ms in range(0, 120, 8):
        process = subprocess.Popen([*pysandbox_argv, "run", "--mem", "64M", "--", "sleep", "60"], env=pysandbox_env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        time.sleep(delay_ms / 1000)
        tree = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=20)
        # frames alone: runpy looks for our __main__ in a directory of that name, before a line of it has run
        ours = [line for line in err.splitlines() if line.startswith('  File "') and f"{os.sep}sandbox{os.sep}" in line]
        assert not ours, (delay_ms, err)
        if process.returncode not in (-2, 1):  # those: Python was not yet up, or no import of ours had begun
            assert process.returncode in (130, 137), (delay_ms, process.returncode, err)
            assert "Traceback" not in err, (delay_ms, err)
        assert not all_gone(tree, 2), delay_ms


def test_signal_that_ends_the_command_line_itself(start: Start) -> None:
    """Not forwarded, so its default action: what remains must go all the same."""
    for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGSEGV):
        process = start("--mem", "64M", "--", "sh", "-c", "echo ready; exec sleep 60")
        tree = tree_of(process)
        process.send_signal(number)
        process.communicate(timeout=10)
        assert process.returncode == -number
        assert not all_gone(tree, 1)
