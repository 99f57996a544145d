"""The system's lxcfs under cgroup v2, as Debian starts it (without -l and --enable-cfs) and with -l."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from sandbox import HostError, Sandbox, run
from tests.runs.figures import OPTIONS, Tool, installed, line_of

pytestmark = pytest.mark.guests("debian12")

POINT, UNIT = "/run/lxcfs-of-test", "lxcfs-of-test.service"
# Mounting a cgroup2 without these options, as lxcfs does at its start, takes them from every mount of it.
REMOUNT = "mount -o remount,nsdelegate,memory_recursiveprot /sys/fs/cgroup"

Root = Callable[..., "subprocess.CompletedProcess[str]"]


def wait_for(path: str) -> None:
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def lxcfs(as_root: Root) -> Iterator[None]:
    """The distribution's service."""
    as_root("systemctl start lxcfs")
    wait_for("/var/lib/lxcfs/proc/meminfo")
    yield
    as_root("systemctl stop lxcfs")
    as_root(REMOUNT)


@pytest.fixture
def another(as_root: Root, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A second one, with -l, for tests that do something to it: ``another("STOP")`` sends it a signal."""
    # in a service of its own: a process of root's in our own scope would be in the way of our cgroups
    as_root(f"mkdir -p {POINT} && systemd-run --quiet --collect --unit={UNIT} lxcfs -f -l -p {POINT}.pid {POINT}")
    wait_for(f"{POINT}/proc/meminfo")
    monkeypatch.setenv("PYSANDBOX_LXCFS", POINT)
    yield lambda name: as_root(f"systemctl kill -s {name} {UNIT}") and None
    as_root(f"systemctl kill -s KILL {UNIT}", check=False)
    as_root(f"umount -l {POINT}; rmdir {POINT}; rm -f {POINT}.pid")
    as_root(REMOUNT)


@pytest.mark.parametrize("tool", installed(), ids=lambda tool: tool.command)
def test_a_tool_agrees_with_the_limits(lxcfs: None, tool: Tool) -> None:
    result = run(tool.argv, stderr="capture", **OPTIONS)
    assert result.ok and result.proc == "lxcfs", result
    assert tool.shows(result.stdout.decode()) == tool.limit


def test_it_moves(lxcfs: None) -> None:
    """What our own files cannot: memory that is in use."""
    text = "b = bytearray(40 << 20)\nfor line in open('/proc/meminfo'): print(line, end='')"
    shown = run(["python3", "-I", "-S", "-c", text], mem="100M", proc="lxcfs").stdout.decode()
    assert line_of(shown, "MemTotal:") == ["102400", "kB"] and int(line_of(shown, "MemFree:")[0]) < 65 << 10


def test_what_it_cannot_show_is_ours(lxcfs: None) -> None:
    text = "cat /proc/loadavg; grep btime /proc/stat; grep -c fuse.lxcfs /proc/self/mountinfo"
    before = int(time.time())
    load, btime, count = run(["sh", "-c", text], mem="64M", cpus=1).stdout.decode().splitlines()
    assert load == "0.00 0.00 0.00 1/1 1" and before <= int(btime.split()[1]) <= time.time()
    assert count == "2"  # meminfo and swaps


def test_swap_is_shown(lxcfs: None) -> None:
    found = run(["free", "-m"], mem="64M", swap="16M")
    assert found.proc == "static" and line_of(found.stdout.decode(), "Swap:")[0] == "16"
    with pytest.raises(HostError, match="swap"):
        run(["true"], mem="64M", swap="16M", proc="lxcfs")


def test_without_a_pid_namespace(lxcfs: None) -> None:
    found = run(["free", "-m"], mem="64M", without=["pid"], proc="lxcfs")
    assert line_of(found.stdout.decode(), "Mem:")[0] == "64"


def test_with_l_the_load_is_the_sandboxs(another: Callable[[str], None]) -> None:
    with Sandbox(mem="64M") as box:
        found = box.run(["sh", "-c", "cat /proc/loadavg; grep loadavg /proc/self/mountinfo"])
        assert b"fuse.lxcfs" in found.stdout and found.stdout.startswith(b"0.00 0.00 0.00")


def test_one_that_hangs_does_not_hang_us(another: Callable[[str], None]) -> None:
    another("STOP")
    with Sandbox(mem="64M") as box:
        found = box.run(["free", "-m"], wall=60)
        assert found.proc == "static" and line_of(found.stdout.decode(), "Mem:")[0] == "64"
        assert [note for note in found.notes if "does not answer" in note]
        with pytest.raises(HostError, match="does not answer"):
            box.run(["true"], proc="lxcfs")


def test_one_that_died_is_not_used(another: Callable[[str], None]) -> None:
    with Sandbox(mem="64M") as box:
        assert box.run(["true"]).proc == "lxcfs"
        another("KILL")
        time.sleep(2)  # the kernel keeps names of a FUSE for a second
        found = box.run(["grep", "MemTotal", "/proc/meminfo"])
        assert found.ok and found.proc == "static" and b" 65536 kB" in found.stdout and found.notes
    with pytest.raises(HostError, match="lxcfs"):
        run(["true"], mem="64M", proc="lxcfs")
