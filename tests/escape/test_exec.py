"""A hostile sandbox that waits for a program to join it: what it could get hold of until that one is locked in.

CVE-2016-9962 (a process that joins can be traced), CVE-2019-5736 (its executable can be written), CVE-2024-21626 (what
it has open leads out).
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from sandbox import Sandbox, SetupError, SupervisorError
from sandbox.request import Request
from sandbox.running import Running
from tests.runs.world import until
from tests.slowness import SLOW

# Looks at every process that appears, as long as it bears the name that it has until its exec.
WATCH = r"""
import ctypes, errno, json, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
def name(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()
def tried(function):
    try:
        return ("got", repr(function()))
    except OSError as error:
        return (errno.errorcode[error.errno], "")
def opened(path, flags):
    fd = os.open(path, flags)
    os.close(fd)
    return path
def traced(pid):
    if libc.ptrace(0x4206, pid, 0, 0) < 0:  # PTRACE_SEIZE
        raise OSError(ctypes.get_errno(), "")
    libc.ptrace(0x4207, pid, 0, 0)  # PTRACE_INTERRUPT
    os.waitpid(pid, 0x40000000)  # __WALL
    libc.ptrace(17, pid, 0, 0)  # PTRACE_DETACH: it may have become the program by now
    return "traced"
def taken(pid, number):
    pidfd = os.pidfd_open(pid)
    try:
        if (fd := libc.syscall(438, pidfd, number, 0)) < 0:  # pidfd_getfd
            raise OSError(ctypes.get_errno(), "")
        return fd
    finally:
        os.close(pidfd)
before, got, seen = set(os.listdir("/proc")), set(), 0
open("/work/ready", "w").close()
end = time.monotonic() + 60
while not os.path.exists("/work/stop") and time.monotonic() < end:
    for pid in set(os.listdir("/proc")) - before:
        if not pid.isdigit():
            continue
        try:
            if name(pid) != "pysandbox-exec":
                continue
            found = {
                **{link: tried(lambda: os.readlink(f"/proc/{pid}/{link}")) for link in ("exe", "root", "cwd")},
                **{file: tried(lambda: open(f"/proc/{pid}/{file}").read()) for file in ("maps", "environ")},
                "fds": tried(lambda: os.listdir(f"/proc/{pid}/fd")), "trace": tried(lambda: traced(int(pid))),
                "mem": tried(lambda: opened(f"/proc/{pid}/mem", os.O_RDWR)),
                "ns": tried(lambda: opened(f"/proc/{pid}/ns/mnt", os.O_RDONLY)),
                "fd0": tried(lambda: taken(int(pid), 3)), "fd1": tried(lambda: taken(int(pid), 1001)),
            }
            if name(pid) != "pysandbox-exec":
                continue  # it has become the program meanwhile, which is anybody's in here
        except (OSError, ValueError):
            continue
        seen += 1
        got |= {(what, said) for what, (kind, said) in found.items() if kind == "got" and said not in ("''", "[]")}
print(json.dumps({"seen": seen, "got": sorted(map(list, got))}))
"""


@pytest.fixture(scope="module", name="box")
def _box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


def run(running: Running, *argv: str, **options: str) -> bytes:
    with running.exec(Request(argv=list(argv), **options)) as more:  # type: ignore[arg-type]
        return more.wait().stdout


def test_nothing_can_be_had_of_it_before_its_exec(box: Sandbox) -> None:
    with box.start(["python3", "-c", WATCH], joinable=True, policy="none", landlock="off") as running:
        assert until(lambda: run(running, "sh", "-c", "test -e /work/ready && echo yes"))
        for _ in range(60):
            run(running, "true")
        run(running, "touch", "/work/stop")
        found = json.loads(running.wait().stdout)
    assert found["seen"] > 0, "no process was caught before its exec: this test has tested nothing"
    assert found["got"] == []


def test_who_starts_it_cannot_be_seen_or_killed(box: Sandbox) -> None:
    """Everything that can be named in the sandbox is killed; what started the program still tells of its end."""
    with box.start(["sleep", "1000"], joinable=True, user=0, policy="none") as running:
        with running.exec(Request(argv=["sleep", "1000"])) as more:
            more.ready()
            seen = run(running, "sh", "-c", "cat /proc/[0-9]*/comm").split()
            assert b"pysandbox-exec" not in seen
            run(running, "python3", "-c", "import os; os.kill(-1, 9)")
            assert more.wait().signal == 9


def test_its_executable_cannot_be_written(box: Sandbox) -> None:
    """A program of the sandbox that is a link to /proc/self/exe is our own executable: it is sealed."""
    keep = r"""
import fcntl, os, time
kept = None
open("/work/ready", "w").close()
while kept is None:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if "pysandbox" in os.readlink(f"/proc/{pid}/exe"):
                kept = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
                break
        except OSError:
            pass
time.sleep(0.2)
print(fcntl.fcntl(kept, fcntl.F_GET_SEALS))  # while the spawner lives, ETXTBSY would do
for flags in (os.O_WRONLY, os.O_RDWR | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
    try:
        fd = os.open(f"/proc/self/fd/{kept}", flags)
        print("wrote", os.write(fd, b"attacked"))
    except OSError as error:
        print("refused", flush=True)
"""
    with box.start(["python3", "-c", keep], joinable=True, policy="none", landlock="off", wall=60 * SLOW) as running:
        run(running, "ln", "-s", "/proc/self/exe", "/work/sh")
        assert until(lambda: run(running, "sh", "-c", "test -e /work/ready && echo yes"))
        end = time.monotonic() + 50 * SLOW
        while not running.supervision.done:
            assert time.monotonic() < end, "our executable was never caught: this test has tested nothing"
            with suppress(SupervisorError):  # it has seen enough, and ended
                run(running, "/work/sh")
            running.supervision.step(0)
        seals, *tried = running.wait().stdout.split()
    assert tried == [b"refused"] * 3
    wanted = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | 0x10  # F_SEAL_FUTURE_WRITE, linux/fcntl.h
    assert int(seals) & wanted == wanted


def test_no_directory_of_it_leads_out(box: Sandbox) -> None:
    links = ("for n in $(seq 3 40); do ln -s /proc/self/fd/$n /work/d$n;"
             "ln -s /proc/self/fd/$n/../../../../../../../../usr/bin/id /work/p$n; done")  # fmt: skip
    with box.start(["sleep", "1000"], joinable=True, mem="64M", policy="none", landlock="off") as running:
        run(running, "sh", "-c", links)
        for number in range(3, 41):
            with running.exec(Request(argv=["true"], workdir=f"/work/d{number}")) as more:
                with pytest.raises(SetupError, match=f"/work/d{number}"):
                    more.wait()
            with running.exec(Request(argv=[f"/work/p{number}"])) as more:
                assert more.wait().outcome == "exec_failed"


def test_capabilities_of_a_sandbox_are_not_those_over_it(box: Sandbox) -> None:
    """CAP_SYS_PTRACE in the sandbox's user namespace is no right over what was not born in it."""
    with box.start(["python3", "-c", WATCH], joinable=True, policy="none", landlock="off", user=0,
                   cap_add=["SYS_PTRACE", "KILL", "DAC_OVERRIDE"]) as running:  # fmt: skip
        assert until(lambda: run(running, "sh", "-c", "test -e /work/ready && echo yes"))
        for _ in range(60):
            run(running, "true")
        run(running, "touch", "/work/stop")
        found = json.loads(running.wait().stdout)
    assert found["seen"] > 0 and found["got"] == []
