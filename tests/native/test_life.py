"""Whom the spawner serves, when it ends, and that it cannot be made to serve anybody else."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox.executable import executable

TREE = Path(__file__).resolve().parent.parent.parent


def ended(pidfd: int, seconds: float = 10) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def start(parent: int, *words: str) -> tuple[int, bytes]:
    """The status of a spawner that is told this parent, and what it said on its control socket."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        with theirs:
            actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
            environ = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
            argv = ["pysandbox-spawner", str(parent), *words]
            pid = os.posix_spawn(executable(), argv, environ, file_actions=actions)
        mine.settimeout(10)
        said = mine.recv(64)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


MAPS = (f"0 {os.getuid()} 1", f"0 {os.getgid()} 1")


def test_it_serves_its_parent() -> None:
    status, said = start(os.getpid(), "user", "net", *MAPS)
    assert said[:1] == b"R" and status == 0  # it ended by itself: the control socket was closed


@pytest.mark.parametrize("parent", [1, os.getppid(), 0, -1, 2**22 + 1])
def test_a_wrong_parent_is_refused(parent: int) -> None:
    status, said = start(parent, "user", "net", *MAPS)
    assert status == 3 and said == b""


@pytest.mark.parametrize("words", [(), ("user",), ("user", "net", *MAPS, "more")])
def test_a_wrong_number_of_words_is_refused(words: tuple[str, ...]) -> None:
    status, said = start(os.getpid(), *words)
    assert status == 2 and said == b""


def test_maps_of_somebody_else_are_refused() -> None:
    """Root of the host can never be mapped in: the kernel says so, and the spawner says which errno."""
    status, said = start(os.getpid(), "user", "net", "0 0 1", "0 0 1")
    assert said[:2] == b"EU" and int.from_bytes(said[2:6], "little", signed=True) == 1
    assert status == 5


CALLER = """
import os, sys, time
from sandbox.host import probe
from sandbox import Sandbox
box = Sandbox()
running = box.start(["sleep", "1000"])
while not running.supervision.began:
    running.supervision.step(1)
spawner = next(iter(box._warm._spawners.values()))
print(spawner.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_it_dies_with_its_caller(number: int) -> None:
    """And with it all sandboxes, also one that was made ahead."""
    env = {**os.environ, "PYTHONPATH": str(TREE)}
    caller = subprocess.Popen([sys.executable, "-P", "-c", CALLER], stdout=subprocess.PIPE, env=env,
                              stderr=subprocess.DEVNULL)  # fmt: skip
    assert caller.stdout
    with caller, caller.stdout:
        spawner = int(caller.stdout.readline())
        pids = [spawner, *descendants(spawner)]
        assert len(pids) >= 3, "a spawner, an init and a program"
        fds = [os.pidfd_open(pid) for pid in pids]
        try:
            caller.send_signal(number)
            caller.wait(10)
            assert all(ended(fd) for fd in fds), pids
        finally:
            for fd in fds:
                os.close(fd)


def descendants(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def test_its_death_ends_its_runs(wire: Callable[..., Any], pack: Any) -> None:
    one = wire()
    sleeper = pack(["/usr/bin/sleep", "1000"])
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memfd = os.memfd_create("plan")
    os.write(memfd, sleeper.setup + sleeper.run)
    with mine:
        with theirs:
            one.send(sleeper.request(), [theirs.fileno(), memfd, memfd])
        os.close(memfd)
        mine.settimeout(10)
        kinds = []
        while lib.PYSB_BEGAN not in kinds:
            kinds.append(int.from_bytes(mine.recv(4096)[:4], sys.byteorder))
        os.kill(one.spawner.pid, signal.SIGKILL)
        assert mine.recv(4096) == b""


def test_signals_of_a_terminal_do_not_reach_it(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
        os.kill(one.spawner.pid, number)
    assert lib.PYSB_ENDED in one.good(status_run).kinds


def test_it_is_in_a_session_of_its_own(wire: Callable[..., Any]) -> None:
    one = wire()
    assert os.getsid(one.spawner.pid) == one.spawner.pid


def test_its_words_are_gone(wire: Callable[..., Any]) -> None:
    """The inits are copies of it, and /proc/1/cmdline is for everybody to read."""
    one = wire()
    end = time.monotonic() + 10
    while (line := Path(f"/proc/{one.spawner.pid}/cmdline").read_bytes().strip(b"\0")) != b"pysandbox-spawner":
        assert time.monotonic() < end, line
        time.sleep(0.01)


def test_nobody_can_write_its_executable(wire: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2019-5736: it runs from a sealed memfd, and /proc/PID/exe is closed as well."""
    monkeypatch.delenv("PYSANDBOX_SPAWNER", raising=False)
    one = wire()
    with pytest.raises(PermissionError):
        os.readlink(f"/proc/{one.spawner.pid}/exe")
    maps = Path(f"/proc/{one.spawner.pid}/maps")
    with pytest.raises(PermissionError):
        maps.read_text()
