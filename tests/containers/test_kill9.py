"""kill -9 of any process of ours, at any moment: the container goes, or stays, as it should; the next command
cleans."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sandbox.containers import find, list_containers, start
from sandbox.containers.options import configure
from sandbox.containers.volumes import everyone as list_volumes
from tests.containers.started import Containers, soon
from tests.slowness import SLOW


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.v2
def test_the_monitor(data: Path) -> None:
    container = start(configure(["sleep", "600"], image="busybox", name="k", mem="64M"))
    state = container.state
    assert state.pid and state.monitor_pid
    os.kill(state.monitor_pid, signal.SIGKILL)
    soon(lambda: gone(state.pid or 0))
    assert container.state.state == "lost"
    with pytest.raises(Exception, match="lost"):
        container.wait()
    container.remove()
    assert list_containers() == []


def test_the_monitor_of_one_that_goes_with_its_end(data: Path) -> None:
    container = start(configure(["sleep", "600"], image="busybox", name="k", remove=True, volumes=("/v", "kept:/k")))
    assert len(list_volumes()) == 2
    os.kill(container.state.monitor_pid or 0, signal.SIGKILL)
    soon(lambda: not container.running)
    again = start(configure(["true"], name="k"))  # the name is free, and all of the other has gone
    again.wait()
    assert [path.name for path in (data / "containers").glob("[!.]*")] == [again.id]
    assert list_volumes() == ["kept"]
    again.remove()


def test_an_orderly_end_of_the_monitor(data: Path) -> None:
    script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"
    container = start(configure(["sh", "-c", script], image="busybox", name="k"))
    soon(lambda: list(container.logs()))
    os.kill(container.state.monitor_pid or 0, signal.SIGTERM)
    soon(lambda: not container.running)
    assert (container.state.state, container.state.exit_status) == ("exited", 9)
    container.remove()


def test_the_init(data: Path) -> None:
    container = start(configure(["sleep", "600"], name="k"))
    os.kill(container.state.pid or 0, signal.SIGKILL)
    soon(lambda: not container.running)
    assert container.state.exit_status in (125, 137)
    container.remove()


def test_who_had_started_it(boxes: Containers, data: Path, pysandbox_argv: list[str],
                            pysandbox_env: dict[str, str]) -> None:  # fmt: skip
    """At any moment of a start, a little later each time, until one comes to its end: there is a whole container, or
    none, and never half a one."""
    environ = {**pysandbox_env, **boxes.env}
    killed, status = 0, None
    while status is None:
        command = [*pysandbox_argv, "run", "-d", "--name", f"s{killed}", "--image", "busybox", "sleep", "600"]
        one = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            status = one.wait((0.02 + 0.01 * killed) * SLOW)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
            killed += 1
    assert status == 0 and killed > 2 and any(c.running for c in list_containers())
    end = time.monotonic() + 20 * SLOW
    while any(c.state.state == "created" for c in list_containers()):
        assert time.monotonic() < end
        time.sleep(0.05)
    for container in list_containers():
        state = container.state
        assert state.state in ("running", "lost"), state
        container.remove(force=True)
    boxes.ok("run", "-d", "--rm", "true")  # sweeps
    soon(lambda: not list_containers())
    soon(lambda: not any(os.listdir(data / "containers" / name) for name in (".names", ".live", ".gone")))


def test_run_in_the_foreground(boxes: Containers, data: Path, pysandbox_argv: list[str],
                               pysandbox_env: dict[str, str]) -> None:  # fmt: skip
    command = [*pysandbox_argv, "run", "--rm", "--name", "f", "--image", "busybox", "sh", "-c", "echo up; sleep 600"]
    one = subprocess.Popen(command, env={**pysandbox_env, **boxes.env}, stdout=subprocess.PIPE, text=True)
    assert one.stdout is not None and one.stdout.readline() == "up\n"
    soon(lambda: find("f").state.pid)
    pid = find("f").state.pid or 0
    one.kill()
    one.communicate()
    soon(lambda: gone(pid))
    boxes.ok("run", "--rm", "--image", "busybox", "true")  # the next command
    assert not list((data / "containers").glob("[!.]*"))
