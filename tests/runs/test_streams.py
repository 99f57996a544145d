"""The program's stdin, stdout, stderr and further fds: what was named is handed over, and nothing else is."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import DEVNULL, STDOUT, HandOver, RequestError, Result, Sandbox, run
from tests.runs.world import named, until

Command = Callable[..., SimpleNamespace]
BIG = os.urandom(3 << 20)


def test_stdin_bytes() -> None:
    assert run(["cat"], stdin=BIG).stdout == BIG
    assert run(["cat"], stdin=b"").stdout == b""
    assert run(["true"], stdin=BIG).ok  # nobody reads it
    assert run(["cat"], stdin=bytearray(b"abc")).stdout == b"abc"


def test_stdin_path_file_and_fd(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(BIG)
    assert run(["cat"], stdin=str(path)).stdout == BIG
    with open(path, "rb") as file:
        assert run(["cat"], stdin=file).stdout == BIG
    fd = os.open(path, os.O_RDONLY)
    try:
        os.lseek(fd, 100, os.SEEK_SET)
        assert run(["cat"], stdin=fd).stdout == BIG[100:]
    finally:
        os.close(fd)


def test_stdin_pipe_that_is_fed_while_the_program_runs() -> None:
    reader, writer = os.pipe()

    def feed() -> None:
        with os.fdopen(writer, "wb") as pipe:
            for _ in range(10):
                pipe.write(b"x" * 10_000)
                pipe.flush()

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert run(["wc", "-c"], stdin=reader).stdout == b"100000\n"
    feeder.join()
    os.close(reader)


def test_default_and_devnull() -> None:
    for options in ({}, {"stdin": DEVNULL}, {"stdin": None}):
        assert run(["sh", "-c", "cat; readlink /proc/self/fd/0"], **options).stdout == b"/dev/null\n"
    assert run(["echo", "x"], stdout=DEVNULL).stdout == b""
    assert run(["readlink", "/proc/self/fd/2"], stderr=DEVNULL).stdout == b"/dev/null\n"


def test_stdin_can_neither_be_written_nor_reach_the_callers_file(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"mine")
    result = run(["sh", "-c", "echo theirs >/proc/self/fd/0; echo theirs >&0"], stdin=str(path))
    assert not result.ok and path.read_bytes() == b"mine"


def test_directory_is_no_stream(tmp_path: Path) -> None:
    """openat(2) on a directory of the host would lead out of the sandbox (as in CVE-2024-21626)."""
    with pytest.raises(RequestError):
        run(["ls", "/proc/self/fd/0/"], stdin=str(tmp_path))
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for options in ({"stdin": fd}, {"pass_fds": [fd]}):
            with pytest.raises(RequestError):
                run(["ls"], **options)
    finally:
        os.close(fd)


def test_stdout_to_fd_file_and_path(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"what was there before, and is longer")
    assert run(["echo", "one"], stdout=str(path)).stdout == b""
    assert path.read_bytes() == b"one\n"
    with open(path, "ab") as file:
        file.write(b"buffered ")
        run(["echo", "two"], stdout=file)
        run(["echo", "three"], stdout=file.fileno())
    assert path.read_bytes() == b"one\nbuffered two\nthree\n"
    run(["sh", "-c", "echo out; echo err >&2"], stdout=str(tmp_path / "a"), stderr=str(tmp_path / "b"))
    assert (tmp_path / "a").read_bytes() == b"out\n" and (tmp_path / "b").read_bytes() == b"err\n"


def test_both_streams_to_one_fd() -> None:
    with tempfile.TemporaryFile() as file:
        run(["sh", "-c", "echo out; echo err >&2"], stdout=file, stderr=file)
        file.seek(0)
        assert sorted(file.read().split()) == [b"err", b"out"]


def test_stderr_to_stdout_keeps_the_order() -> None:
    result = run(["sh", "-c", "echo 1; echo 2 >&2; echo 3; echo 4 >&2"], stderr=STDOUT)
    assert (result.stdout, result.stderr) == (b"1\n2\n3\n4\n", b"")


def test_full_disk_of_the_caller_is_no_hang() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        result = run(["sh", "-c", "yes | head -c 1000000"], stdout=full, wall=10)
    assert result.outcome in ("ok", "exited", "signaled"), result


def test_inherit_hands_over_our_own(pysandbox: Command, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as file:
        done = pysandbox("run", "--stdout", "inherit", "--", "readlink", "/proc/self/fd/1", stdout=file)
    assert done.returncode == 0
    assert "out" in (tmp_path / "out").read_text()
    with open(tmp_path / "out", "wb") as file:
        done = pysandbox("run", "--", "readlink", "/proc/self/fd/1", stdout=file)
    assert (tmp_path / "out").read_text().startswith("pipe:")
    refused = pysandbox("run", "--stdout", "inherit", "--output", "1M", "--", "true")
    assert refused.returncode == 125 and "--stdout" in refused.stderr


def test_command_line_forwards_stdin(pysandbox: Command, tmp_path: Path) -> None:
    assert pysandbox("run", "--", "cat", input="through a pipe").stdout == "through a pipe"
    (tmp_path / "in").write_bytes(b"from a file")
    with open(tmp_path / "in", "rb") as file:
        file.seek(5)
        assert pysandbox("run", "--", "cat", stdin=file).stdout == "a file"
        # The program had a description of its own: our offset is where it was.
        assert file.tell() == 5 and os.lseek(file.fileno(), 0, os.SEEK_CUR) == 5
    assert pysandbox("run", "--stdin", "in", "--", "cat").stdout == "from a file"
    assert pysandbox("run", "--stdin", "null", "--", "cat", input="unread").stdout == ""
    with open(tmp_path / "in", "rb") as file:
        assert pysandbox("run", "--stdin", "inherit", "--", "head", "-c", "4", stdin=file).stdout == "from"


def test_command_line_with_a_socket_as_stdin(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [*pysandbox_argv, "run", "--", "cat"]
        with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, env=pysandbox_env) as process:
            ours.sendall(b"x" * 200_000)
            ours.shutdown(socket.SHUT_WR)
            out, _ = process.communicate(timeout=20)
    assert out == b"x" * 200_000


def test_stdin_that_stays_open_does_not_keep_the_run(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    command = [*pysandbox_argv, "run", "--", "head", "-n", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=pysandbox_env) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"first\nsecond\n")
        process.stdin.flush()
        assert process.stdout.read() == b"first\n"
        assert process.wait(10) == 0


def test_output_arrives_while_the_program_runs(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    command = [*pysandbox_argv, "run", "--", "sh", "-c", "echo first; read x; echo $x"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=pysandbox_env) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == b"first\n"
        process.stdin.write(b"second\n")
        process.stdin.close()
        assert process.stdout.read() == b"second\n"


def test_our_flags_of_stdout_stay_as_they_were(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    reader, writer = os.pipe()
    before = os.get_blocking(writer)
    text = "import os; os.set_blocking(1, False); os.set_blocking(2, False); print('x')"
    command = [*pysandbox_argv, "run", "--", "python3", "-c", text]
    subprocess.run(command, stdout=writer, stderr=writer, env=pysandbox_env, check=True)
    assert os.get_blocking(writer) == before
    os.close(writer)
    os.close(reader)


def test_pass_fds(python_program: Callable[..., Result]) -> None:
    reader, writer = os.pipe()
    try:
        text = f"import os; os.write({writer}, b'by an fd'); print(sorted(map(int, os.listdir('/proc/self/fd'))))"
        result = python_program(text, pass_fds=[writer])
        assert os.read(reader, 100) == b"by an fd"
        listed = {int(n) for n in result.stdout.strip(b"[]\n").split(b",")}
        assert {0, 1, 2, writer} <= listed and len(listed) == 5  # and the listing's own
    finally:
        os.close(reader)
        os.close(writer)


def test_pass_fds_in_any_order_and_number(python_program: Callable[..., Result]) -> None:
    files = [tempfile.TemporaryFile() for _ in range(20)]
    try:
        for file in files:
            file.write(str(file.fileno()).encode())
            file.seek(0)
        fds = [file.fileno() for file in files][::-1]
        result = python_program(f"import os\nfor n in {fds}: print(os.read(n, 9).decode())", pass_fds=fds)
        assert result.stdout.split() == [str(fd).encode() for fd in fds]
    finally:
        for file in files:
            file.close()


def test_json_on_stdout_carries_the_streams(pysandbox: Command) -> None:
    import json

    done = pysandbox("run", "--json", "-", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    data = json.loads(done.stdout)
    assert (data["stdout"], data["stderr"], data["exit_code"]) == ("out\n", "err\n", 3)
    assert done.returncode == 3


def test_quiet_and_loud(pysandbox: Command) -> None:
    loud = pysandbox("run", "--wall", "100ms", "--", "sleep", "9")
    assert "wall time" in loud.stderr or "idle" in loud.stderr
    assert pysandbox("run", "-q", "--wall", "100ms", "--", "sleep", "9").stderr == ""


def test_what_is_no_stream() -> None:
    for what in (io.BytesIO(b"x"), object(), 1.5):
        with pytest.raises((RequestError, OSError)):
            run(["cat"], stdin=what)


def test_fds_of_the_caller_are_as_before() -> None:
    read_before = os.fstat(0)
    run(["cat"], stdin=b"x")
    assert os.fstat(0) == read_before and sys.stdout is not None
    assert until(lambda: not named("cat"))


def test_two_runs_talk_through_a_kernel_pipe() -> None:
    """HandOver: the description itself, so a reader that ends is felt at once, and the ends can be put in order."""
    read, write = os.pipe2(os.O_CLOEXEC)
    with Sandbox(wall=20) as box:
        try:
            writer = box.start(["sh", "-c", "echo hello; sleep 0.5; exec yes"], stdout=HandOver(write), stderr=DEVNULL)
        finally:
            os.close(write)
        with writer:
            try:
                reader = box.start(["head", "-n", "1"], stdin=read)
            finally:
                os.close(read)
            with reader:
                heard = reader.wait()
            said = writer.wait()
    assert (heard.outcome, heard.stdout) == ("ok", b"hello\n")
    assert (said.outcome, said.signal) == ("signaled", signal.SIGPIPE)
    assert heard.usage.ended_at_ns is not None and said.usage.ended_at_ns is not None
    assert heard.usage.ended_at_ns < said.usage.ended_at_ns
    assert said.usage.output_bytes == 0


def test_a_stream_that_is_handed_over_has_no_output_limit() -> None:
    with pytest.raises(RequestError, match="cannot count as output"):
        run(["true"], stdout=HandOver(1), output="1M")
    with pytest.raises(RequestError, match="not an open fd"):
        run(["true"], stdout=HandOver(999))


def test_a_tap_sees_what_passes(tmp_path: Path) -> None:
    from sandbox.request import Tap

    seen: list[bytes] = []
    result = run(["sh", "-c", "echo out; echo err >&2"], stdout=Tap(seen.append), stderr=Tap(seen.append))
    assert sorted(seen) == [b"err\n", b"out\n"] and result.stdout == b"" and result.usage.output_bytes == 8
    with open(tmp_path / "out", "wb") as file:
        run(["echo", "both"], stdout=Tap(seen.append, file.fileno()))
    assert seen[-1] == b"both\n" == (tmp_path / "out").read_bytes()
    result = run(["sh", "-c", "head -c 100000 /dev/zero"], stdout=Tap(seen.append), output="1000")
    assert result.outcome == "output" and sum(map(len, seen)) < 2000
