"""kill -9 of any of our processes at any moment: no process, cgroup, mount or file stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox, SandboxError, SupervisorError
from tests.runs.world import INIT_NAME, SPAWNER_NAME, all_gone, descendants, named, open_fds, until
from tests.slowness import IN_LAB, SLOW

pytestmark = pytest.mark.v2

PROGRAMS = Path(__file__).parent / "programs"
GONE_S = 1.0
# An emulated machine starts a command later, and has no time for as many runs.
STRETCH, RUNS = (5, 40) if IN_LAB else (1, 150)

Caller = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def caller() -> Iterator[Caller]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, os.fspath(PROGRAMS / "long_caller.py"), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def cgroups_of(pid: int) -> list[str]:
    """Leaves that a caller has made, in every hierarchy."""
    found = []
    for directory, names, _files in os.walk("/sys/fs/cgroup"):
        found += [f"{directory}/{name}" for name in names if name.startswith(f"pysandbox-{pid}-")]
    return found


def files_left() -> set[str]:
    return {
        f"{d}/{n}" for d in ("/tmp", "/var/tmp", "/dev/shm", "/run") for n in os.listdir(d) if "pysandbox" in n.lower()
    }


LIMITS = [(), ("mem=64M", "time=60"), ("ids=range",), ("ids=range", "mem=64M")]


@pytest.mark.parametrize("options", LIMITS, ids=lambda options: "+".join(options) or "plain")
def test_caller(options: tuple[str, ...], caller: Caller) -> None:
    files, mounts = files_left(), Path("/proc/self/mounts").read_text()
    process = caller(*options)
    assert process.stdout and process.stdout.readline() == b"up\n"
    assert until(lambda: len(named("sleep", process.pid)) == 3)
    tree = descendants(process.pid)
    assert {SPAWNER_NAME, INIT_NAME, "sh", "sleep"} <= set(tree.values())
    assert bool(cgroups_of(process.pid)) == any(o.startswith("mem") for o in options)
    process.kill()
    process.wait()
    assert not all_gone(tree, GONE_S)
    assert until(lambda: not cgroups_of(process.pid), GONE_S), cgroups_of(process.pid)
    assert files_left() == files and Path("/proc/self/mounts").read_text() == mounts


def test_caller_at_many_moments(caller: Caller, pysandbox: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """From before the first import to the middle of the run, by time and not by event."""
    files = files_left()
    for delay_ms in range(10, 170, 10):
        process = caller("mem=64M")
        time.sleep(delay_ms / 1000 * STRETCH)
        tree = descendants(process.pid)
        process.kill()
        process.wait()
        assert not all_gone(tree, GONE_S), f"after {delay_ms} ms"
        if not until(lambda pid=process.pid: not cgroups_of(pid), GONE_S):  # type: ignore[misc]
            # Killed between making the cgroup and telling its spawner: the next command removes it.
            assert pysandbox("run", "--mem", "64M", "--", "true").returncode == 0
            assert not cgroups_of(process.pid), f"after {delay_ms} ms"
    assert files_left() == files


def test_command_line(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    command = [*pysandbox_argv, "run", "--mem", "64M", "--", "sh", "-c", "echo up; setsid sleep 3600 & sleep 3600"]
    with subprocess.Popen(command, env=pysandbox_env, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"up\n"
        assert until(lambda: len(named("sleep", process.pid)) == 2)
        tree = descendants(process.pid)
        process.kill()
        process.wait()
        assert not all_gone(tree, GONE_S)
        assert until(lambda: not cgroups_of(process.pid), GONE_S)


def test_caller_and_spawner_together(
    caller: Caller, pysandbox: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Nobody of ours is left to remove the cgroup: the next command does it."""
    for _ in range(10):  # another command of the same user may be that next one: then we have seen nothing
        process = caller("mem=64M")
        assert process.stdout and process.stdout.readline() == b"up\n"
        tree = descendants(process.pid)
        (spawner,) = named(SPAWNER_NAME, process.pid)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            os.kill(process.pid, number)
            os.kill(spawner[0], number)
        process.wait()
        left = bool(cgroups_of(process.pid))
        assert not all_gone(tree, GONE_S)
        assert pysandbox("run", "--mem", "64M", "--", "true").returncode == 0
        assert not cgroups_of(process.pid)
        if left:
            return
    pytest.fail("the cgroup of a dead caller was never there to be seen")


def test_stopped_caller_keeps_its_deadline_for_later_and_leaves_nothing(caller: Caller) -> None:
    process = caller("wall=1s", "mem=64M")
    assert process.stdout and process.stdout.readline() == b"up\n"
    tree = descendants(process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1.2)
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(10 * SLOW) == 0
    assert not all_gone(tree, GONE_S)


@pytest.mark.parametrize("limits", [{}, {"mem": "64M"}], ids=["plain", "limited"])
@pytest.mark.parametrize("victim", [SPAWNER_NAME, INIT_NAME])
def test_surviving_caller_gets_a_supervisor_error(victim: str, limits: dict[str, str]) -> None:
    """The program has done nothing: its outcome must not be a signal, nor memory."""
    with Sandbox(wall=30 * SLOW, **limits) as box:
        box.run(["true"])
        with (
            pytest.raises(SupervisorError) as caught,
            box.start(["sh", "-c", "setsid sleep 3600 & sleep 3600"]) as running,
        ):
            assert until(lambda: len(named("sleep")) == 2)
            (program,) = (p for p, name in descendants().items() if name == "sh")
            target = parent_of(program[0]) if victim == INIT_NAME else box_spawner(program[0])
            tree = descendants(target)
            os.kill(target, signal.SIGKILL)
            running.wait()
        assert "\n" not in str(caught.value)
        assert not all_gone(tree, GONE_S)
        # The object recovers by itself.
        assert box.run(["echo", "again"]).stdout == b"again\n"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def box_spawner(program: int) -> int:
    return parent_of(parent_of(program))


def test_sandbox_made_ahead_may_be_killed_too() -> None:
    with Sandbox() as box:
        for _ in range(3):
            assert box.run(["true"]).ok
        assert until(lambda: named(INIT_NAME), 2), "no sandbox is made ahead: this test looks at nothing"
        ahead = dict.fromkeys(named(INIT_NAME), INIT_NAME)
        for pid, _start in ahead:
            os.kill(pid, signal.SIGKILL)
        assert not all_gone(ahead, GONE_S)
        for number in range(5):
            assert box.run(["echo", str(number)]).stdout == f"{number}\n".encode()


def test_spawner_killed_at_many_moments_of_many_runs() -> None:
    """Each run is a Result or a SandboxError, none hangs, and no fault of ours looks like the program's."""
    with Sandbox(mem="64M", wall=20 * SLOW) as box:
        stop = threading.Event()

        def killer() -> None:
            pause_ms = 1
            while not stop.is_set():
                for pid, _start in named(SPAWNER_NAME):
                    if parent_of_or_0(pid) == os.getpid():
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                pause_ms = pause_ms % 29 + 3
                time.sleep(pause_ms / 1000)

        thread = threading.Thread(target=killer)
        thread.start()
        outcomes = []
        try:
            for number in range(RUNS):
                try:
                    result = box.run(["echo", str(number)])
                except SandboxError:
                    outcomes.append("error")
                    continue
                assert result.ok and result.stdout == f"{number}\n".encode(), result
                outcomes.append("ok")
        finally:
            stop.set()
            thread.join()
        assert {"ok", "error"} == set(outcomes), "this test looks at nothing"
        assert box.run(["echo", "after"]).stdout == b"after\n"
    assert until(lambda: not named("echo") and not cgroups_of(os.getpid()), GONE_S)


def parent_of_or_0(pid: int) -> int:
    try:
        return parent_of(pid)
    except OSError:
        return 0


def test_no_fd_is_lost_to_dead_spawners() -> None:
    with Sandbox(mem="64M") as box:
        box.run(["true"])
        before = open_fds()
        for _ in range(10):
            for pid, _start in named(SPAWNER_NAME):
                os.kill(pid, signal.SIGKILL)
            for _ in range(3):
                try:
                    assert box.run(["true"]).ok
                except SandboxError:
                    pass
        assert len(open_fds()) <= len(before) + 1
