"""``exec``: one more program in a container, on a leash."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.containers import Container, find, list_containers, start
from sandbox.containers.options import configure
from sandbox.errors import RequestError, SandboxError
from tests.containers.started import Containers, soon
from tests.runs.test_exec_life import sleeping
from tests.slowness import SLOW


@pytest.fixture
def box(data: Path) -> Iterator[Container]:
    container = start(configure(["sleep", "600"], image="busybox", name="e", env={"A": "own"}, remove=True, mem="64M"))
    yield container
    with contextlib.suppress(RequestError):  # --rm: it may have gone by itself
        container.remove(force=True)


@pytest.mark.v2
def test_it_is_in_the_container(box: Container, boxes: Containers) -> None:
    done = boxes.words("exec", "e", "sh", "-c", "ps; id -u; echo $A $HOME; pwd; touch /made; exit 7")
    assert done.returncode == 7, done.stderr
    assert "sleep 600" in done.stdout and done.stdout.splitlines()[-3:] == ["0", "own /root", "/"]
    assert Path(box.directory, "upper/made").exists()


def test_output_input_and_variables(box: Container, boxes: Containers) -> None:
    script = "cat; echo $A $B; echo err >&2; exit 3"
    result = box.exec(["sh", "-c", script], stdin=b"in\n", env={"B": "b"}, workdir="/tmp")
    assert (result.stdout, result.stderr, result.exit_code) == (b"in\nown b\n", b"err\n", 3)
    assert box.exec(["/nosuch"]).exit_status == 127
    assert box.exec(["sleep", "60"], wall="100ms").exit_status == 124
    read, write = os.pipe()
    box.exec(["echo", "through"], stdout=write)
    os.close(write)
    with open(read, "rb") as file:
        assert file.read() == b"through\n"
    done = boxes.words("exec", "-i", "-w", "/tmp", "-e", "C=c", "e", "sh", "-c", "cat; pwd; echo $C", input="x\n")
    assert done.stdout == "x\n/tmp\nc\n"
    assert boxes.words("exec", "e", "cat", input="not passed on").stdout == ""


def test_large_words_go_through(box: Container) -> None:
    words = ["x" * 100_000] * 3
    assert box.exec(["sh", "-c", 'echo ${#1} $#', "sh", *words]).stdout == b"100000 3\n"


def test_it_has_the_limits_of_the_container(box: Container) -> None:
    script = "dd if=/dev/zero of=/dev/null bs=%sM count=1; echo $?"
    assert box.exec(["sh", "-c", script % 10]).stdout == b"0\n"
    assert box.exec(["sh", "-c", script % 100]).stdout != b"0\n"


def test_who_asks_is_killed_and_so_is_the_program(box: Container, boxes: Containers, pysandbox_argv: list[str],
                                                  pysandbox_env: dict[str, str]) -> None:  # fmt: skip
    asking = subprocess.Popen([*pysandbox_argv, "exec", "e", "sleep", "333"], env={**pysandbox_env, **boxes.env})
    soon(lambda: b"sleep 333" in box.exec(["ps"]).stdout)
    asking.kill()
    asking.wait()
    soon(lambda: b"sleep 333" not in box.exec(["ps"]).stdout)
    assert box.running


def test_a_signal_is_passed_on(box: Container, boxes: Containers, pysandbox_argv: list[str],
                               pysandbox_env: dict[str, str]) -> None:  # fmt: skip
    script = "trap 'echo got; exit 4' TERM; echo up; while :; do sleep 0.05; done"
    asking = subprocess.Popen([*pysandbox_argv, "exec", "e", "sh", "-c", script], env={**pysandbox_env, **boxes.env},
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert asking.stdout is not None
    assert asking.stdout.readline() == "up\n"
    asking.terminate()
    out, _err = asking.communicate(timeout=30 * SLOW)
    assert (out, asking.returncode) == ("got\n", 4)


def test_detached_it_stays(box: Container, boxes: Containers) -> None:
    boxes.ok("exec", "-d", "e", "sh", "-c", "sleep 0.1; touch /later; sleep 444")
    soon(lambda: box.exec(["ls", "/later"]).exit_code == 0)
    assert b"sleep 444" in box.exec(["ps"]).stdout


def test_a_terminal(box: Container, boxes: Containers, pysandbox_argv: list[str],
                    pysandbox_env: dict[str, str]) -> None:  # fmt: skip
    master, slave = pty.openpty()
    command = [*pysandbox_argv, "exec", "-it", "e", "sh", "-c", "tty; stty size; read x; echo got $x"]
    subprocess.run(["stty", "rows", "33", "cols", "77"], stdin=slave, check=True)
    asking = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**pysandbox_env, **boxes.env})
    os.close(slave)
    seen = b""
    while b"33 77" not in seen:
        seen += os.read(master, 1000)
    os.write(master, b"key\r")
    while b"got key" not in seen:
        seen += os.read(master, 1000)
    assert asking.wait(30 * SLOW) == 0 and b"/dev/pts/" in seen
    os.close(master)


def test_what_is_refused(box: Container, boxes: Containers) -> None:
    assert boxes.words("exec", "e").returncode == 125
    assert "no such container" in boxes.words("exec", "nosuch", "true").stderr
    assert "-i or -t" in boxes.words("exec", "-dt", "e", "true").stderr
    with pytest.raises(RequestError, match="one id"):
        box.exec(["true"], user="user")
    with pytest.raises(RequestError, match="an exec takes"):
        box.exec(["true"], mem="1M")
    with pytest.raises(RequestError, match="a container knows"):
        box.call("nosuch")
    box.kill()
    with pytest.raises(SandboxError, match="not running|ended|removed"):
        box.exec(["true"])


def test_the_end_of_the_container_is_the_end_of_it(box: Container, boxes: Containers) -> None:
    mark = f"5{os.getpid()}"
    boxes.ok("exec", "-d", "e", "sleep", mark)
    assert sleeping(mark)
    assert box.stop(grace=0) == 137
    soon(lambda: not sleeping(mark))


def test_into_one_in_the_foreground(boxes: Containers, data: Path, pysandbox_argv: list[str],
                                    pysandbox_env: dict[str, str]) -> None:  # fmt: skip
    """It is open to questions 20 ms after its begin; who asks earlier waits."""
    command = [*pysandbox_argv, "run", "--rm", "--name", "f", "--image", "busybox", "sh", "-c", "read x; cat /told"]
    one = subprocess.Popen(command, env={**pysandbox_env, **boxes.env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    soon(lambda: any(c.name == "f" for c in list_containers()))
    find("f").exec(["sh", "-c", "echo hello > /told"])
    out, _err = one.communicate(b"go\n", timeout=30 * SLOW)
    assert (out, one.returncode) == (b"hello\n", 0)
    assert list_containers() == []
