"""``pysandbox attach``: output from now on, input, the exit status, signals, the keys."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli.container.keys import Keys, parse_keys
from sandbox.errors import RequestError
from tests.containers.started import Containers, soon


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


@pytest.fixture
def attach(
    box: Containers, pysandbox_argv: list[str], pysandbox_env: dict[str, str]
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **options: Any) -> subprocess.Popen[str]:
        kept = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        found = subprocess.Popen([*pysandbox_argv, "attach", *words], env={**pysandbox_env, **box.env}, **kept)  # type: ignore[call-overload]
        started.append(found)
        return found

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_both_streams_input_and_exit_status(box: Containers, attach: Callable[..., subprocess.Popen[str]]) -> None:
    box.start("one", "sh", "-c", "echo before; read a; echo got $a; echo bad >&2; read b; exit 4", options=("-i",))
    soon(lambda: box.ok("logs", "one") == "before\n")
    process = attach("one")
    assert process.communicate("x\ny\n", timeout=30) == ("got x\n", "bad\n")
    assert process.returncode == 4
    assert box.ok("logs", "one") == "before\ngot x\n"


def test_who_does_not_read_holds_nobody_up(box: Containers, attach: Callable[..., subprocess.Popen[str]]) -> None:
    """16 MiB for somebody who has stopped reading: the container ends all the same."""
    box.start("one", "sh", "-c", "read a; head -c 16777216 /dev/zero; exit 6", options=("-i",))
    process = attach("one")
    assert process.stdin is not None
    process.stdin.write("x\n")
    process.stdin.flush()
    assert box.ok("wait", "one") == "6\n"


def test_signals_pass_and_end(box: Containers, attach: Callable[..., subprocess.Popen[str]]) -> None:
    box.start("one", "sh", "-c", "trap 'echo int; exit 9' INT; trap 'echo hup' HUP; while :; do sleep 0.05; done")
    quiet, looking, process = attach("--no-signals", "one"), attach("--no-stdin", "one"), attach("one")
    time.sleep(0.5)
    for other in (quiet, looking):
        other.send_signal(signal.SIGHUP)
        assert other.wait(30) == -signal.SIGHUP
    process.send_signal(signal.SIGHUP)
    soon(lambda: "hup" in box.ok("logs", "one"))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 9
    assert box.ok("logs", "one") == "hup\nint\n"


def test_keys_leave_a_terminal(box: Containers, attach: Callable[..., subprocess.Popen[str]]) -> None:
    box.start("one", "sh", "-c", "read a; echo got $a; stty size; sleep 60", options=("-i", "-t"))
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (33, 77))
    try:
        process = attach("one", stdin=slave, stdout=slave, stderr=slave)
        os.write(master, b"hi\r")
        soon(lambda: "got hi" in box.ok("logs", "one"))
        soon(lambda: "33 77" in box.ok("logs", "one"))  # its terminal is as large as ours
        os.write(master, b"\x10\x11")
        assert process.wait(30) == 0
        assert box.state("one")["state"] == "running"
    finally:
        os.close(master)
        os.close(slave)


def test_not_running(box: Containers) -> None:
    box.start("one", "true")
    box.ok("wait", "one")
    done = box.words("attach", "one")
    assert done.returncode == 125 and "is not running" in done.stderr


def test_parse_keys() -> None:
    assert parse_keys("ctrl-p,ctrl-q") == b"\x10\x11" and parse_keys("none") == b"" and parse_keys("a,ctrl-@") == b"a\0"
    for text in ("", "ctrl-", "ctrl-1", "ab", "ctrl-p,"):
        with pytest.raises(RequestError):
            parse_keys(text)


def test_keys_may_come_one_by_one() -> None:
    keys = Keys(b"\x10\x11")
    assert [keys.feed(data) for data in (b"a", b"b\x10", b"c", b"\x10", b"\x10", b"\x11d")] == [
        (b"a", False), (b"b", False), (b"\x10c", False), (b"", False), (b"\x10", False), (b"", True)]  # fmt: skip
