"""``-t``: a terminal of the program's own, with size, job control and the caller's terminal put back."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator

import pytest

from tests.runs.world import all_gone, descendants


class Session:
    """A command line on a terminal of the test's."""

    def __init__(self, argv: list[str], env: dict[str, str], rows: int = 33, columns: int = 77) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        slave = self.slave

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, preexec_fn=own_terminal)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def expect(self, text: bytes, within_s: float = 15) -> None:
        end = time.monotonic() + within_s
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen!r}"
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                pytest.fail(f"the terminal ended without {text!r}: {self.seen!r}")
        self.seen = self.seen.partition(text)[2]

    def wait(self) -> int:
        end = time.monotonic() + 15
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536)
        assert self.process.returncode is not None, f"still there: {self.seen!r}"
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def begin(*args: str) -> Session:
        sessions.append(Session([*pysandbox_argv, "run", *args], pysandbox_env))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.close()


def test_program_has_a_terminal_of_its_own(terminal: Callable[..., Session]) -> None:
    foreground = "os.getpgrp() == os.tcgetpgrp(0)"
    text = f"import os; print([os.isatty(n) for n in (0, 1, 2)], os.ttyname(0), {foreground}, os.environ['TERM'])"
    session = terminal("-t", "--", "python3", "-I", "-c", text)
    session.expect(b"[True, True, True] /dev/pts/0 True xterm")
    assert session.wait() == 0


def test_without_t_there_is_none(terminal: Callable[..., Session]) -> None:
    text = (
        "import os\nprint([os.isatty(n) for n in (0, 1, 2)])\n"
        "try: os.open('/dev/tty', os.O_RDWR)\nexcept OSError as e: print('errno', e.errno)"
    )
    session = terminal("--", "python3", "-I", "-c", text)
    session.expect(b"[False, False, False]")
    session.expect(b"errno 6")
    assert session.wait() == 0


def test_window_size_and_its_changes(terminal: Callable[..., Session]) -> None:
    session = terminal(
        "-t", "--", "sh", "-c", "trap 'stty size; exit 5' WINCH; stty size; echo up; while :; do sleep 0.05; done"
    )
    session.expect(b"33 77")
    session.expect(b"up")
    session.resize(44, 99)
    session.expect(b"44 99")
    assert session.wait() == 5


def test_ctrl_c_reaches_the_program_only(terminal: Callable[..., Session]) -> None:
    session = terminal("-t", "--", "sh", "-c", "trap 'echo caught; exit 6' INT; echo up; while :; do sleep 0.05; done")
    session.expect(b"up")
    session.type(b"\x03")
    session.expect(b"caught")
    assert session.wait() == 6


def test_ctrl_c_ends_what_does_not_catch_it(terminal: Callable[..., Session]) -> None:
    session = terminal("-t", "--mem", "64M", "--", "sh", "-c", "echo up; exec sleep 60")
    session.expect(b"up")
    tree = descendants(session.process.pid)
    session.type(b"\x03")
    assert session.wait() == 130
    assert not all_gone(tree, 1)


def test_typing_end_of_file_and_raw_keys(terminal: Callable[..., Session]) -> None:
    session = terminal("-t", "--", "cat")
    session.type(b"hello\r")
    session.expect(b"hello")  # echoed by the program's terminal
    session.expect(b"hello")  # and written by cat
    session.type(b"\x04")
    assert session.wait() == 0


def test_job_control(terminal: Callable[..., Session]) -> None:
    session = terminal("-t", "--", "bash", "--norc", "-i")
    session.type(b"sleep 100\r")
    time.sleep(0.5)
    session.type(b"\x1a")
    session.expect(b"Stopped")
    session.type(b"fg\r")
    session.expect(b"fg\r\n")
    session.expect(b"sleep 100")
    time.sleep(0.5)
    session.type(b"\x03")
    session.expect(b"$ ")
    session.type(b"exit 4\r")
    assert session.wait() == 4


@pytest.mark.parametrize("how", ["exit", "kill", "limit", "term"])
def test_callers_terminal_is_restored(how: str, terminal: Callable[..., Session]) -> None:
    text = {"exit": "exit 3", "kill": "kill -9 $$", "limit": "sleep 60", "term": "sleep 60"}[how]
    session = terminal(
        "-t", "--wall", "1s" if how == "limit" else "30s", "--", "sh", "-c", f"stty raw; printf 'up'; {text}"
    )
    session.expect(b"up")
    if how == "term":
        session.process.send_signal(signal.SIGTERM)
    session.wait()
    assert termios.tcgetattr(session.slave) == session.before


def test_program_cannot_type_into_the_callers_terminal(terminal: Callable[..., Session]) -> None:
    """TIOCSTI (CVE-2017-5226) and TIOCLINUX (CVE-2023-28100), also with high bits set (CVE-2019-10063)."""
    text = (
        "import fcntl\nfor request in (0x5412, 0x541c, 0x5412 | 1 << 32, 0x541c | 1 << 32):\n"
        " try: fcntl.ioctl(0, request & 0xffffffff, b'x'); print('done')\n"
        " except OSError as e: print('errno', e.errno)"
    )
    for flag in ("-t", "-q"):
        session = terminal(flag, "--stdin=inherit" if flag == "-q" else "--quiet", "--", "python3", "-I", "-c", text)
        session.wait()
        assert b"done" not in session.seen, session.seen
        assert session.seen.count(b"errno 1\r\n") + session.seen.count(b"errno 25\r\n") == 4, session.seen


def test_output_limit_and_exit_codes(terminal: Callable[..., Session]) -> None:
    session = terminal("-t", "--output", "10K", "--", "yes")
    assert session.wait() == 137
    assert terminal("-t", "--", "sh", "-c", "exit 7").wait() == 7
    assert terminal("-t", "--", "no-such-program").wait() == 127


def test_t_without_a_terminal_around_it(pysandbox: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = pysandbox("run", "-t", "--", "sh", "-c", "test -t 0 && test -t 1 && echo yes")
    assert done.stdout.split() == ["yes"] and done.returncode == 0


def test_all_output_arrives_before_the_end(terminal: Callable[..., Session]) -> None:
    session = terminal(
        "-t", "--", "sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo the last one"
    )
    session.expect(b"the last one")
    assert session.wait() == 0
