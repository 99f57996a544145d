"""A private lxcfs on cgroup v2, and the death of the system's: what tests/runs/test_private_lxcfs.py does, and what
only root can do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import HostError, Sandbox
from tests.runs.test_private_lxcfs import *  # noqa: F403  # every test of it, here on v2
from tests.runs.test_private_lxcfs import MEMORY, PEELED, TOTAL, fuse_is_open, lxcfs_of, reading, total
from tests.runs.world import until

pytestmark = pytest.mark.guests("debian12")

DIRECTORY = "/var/lib/lxcfs"
# Mounting a cgroup2 without these options, as a lxcfs of root's does at its start, takes them from every mount of it.
REMOUNT = "mount -o remount,nsdelegate,memory_recursiveprot /sys/fs/cgroup"

Root = Callable[..., object]


def test_everything_it_needs_is_here() -> None:
    """Or all tests above were skipped."""
    assert fuse_is_open()


def test_where_it_lives(box: Sandbox) -> None:
    """Its cgroup namespace begins around the leaves; beside them it has limits of its own."""
    assert box.run(["true"]).ok
    (one,) = lxcfs_of(box)
    (path,) = [line[3:] for line in Path(f"/proc/{one.pid}/cgroup").read_text().splitlines() if line.startswith("0::")]
    own = Path(f"/sys/fs/cgroup{path}")
    assert (own / "memory.max").read_text() == f"{64 << 20}\n" and (own / "pids.max").read_text() == "64\n"
    assert str(own.parent) == one.backend.parents()[0]
    assert (own.parent / "cgroup.procs").read_text() == ""
    assert os.readlink(f"/proc/{one.pid}/ns/cgroup") != os.readlink("/proc/self/ns/cgroup")


def test_out_of_memory_it_dies_alone(box: Sandbox) -> None:
    assert box.run(["true"]).ok
    (one,) = lxcfs_of(box)
    path = Path(f"/proc/{one.pid}/cgroup").read_text().strip().removeprefix("0::")
    result = reading(box, lambda: Path(f"/sys/fs/cgroup{path}/memory.max").write_text("0") and None)
    assert result.ok and result.notes == (PEELED,)


@pytest.fixture
def system_lxcfs(as_root: Root) -> Iterator[str]:
    """With the option that Debian's unit lacks, and no systemd that would start it again."""
    as_root(f"mkdir -p {DIRECTORY}; lxcfs -l --enable-cfs {DIRECTORY} >/dev/null 2>&1 </dev/null &")
    assert until(lambda: os.path.exists(f"{DIRECTORY}/proc/meminfo"), 60)
    yield DIRECTORY
    as_root(f"pkill -x lxcfs; umount -l {DIRECTORY} 2>/dev/null; {REMOUNT}")


@pytest.mark.parametrize("found", ["watched", "asked"])
def test_the_death_of_the_systems(
    found: str, system_lxcfs: str, as_root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    if found == "asked":
        monkeypatch.setattr("sandbox.procview.process.pidfd_of", lambda path: -1)
    with Sandbox(proc="lxcfs", mem=MEMORY) as box:
        result = reading(box, lambda: as_root("pkill -9 -x lxcfs"))
        words = result.stdout.decode().split()
        assert result.ok and {*words[:-5]} <= {str(64 << 10), "error"}
        assert result.proc == "lxcfs" and result.notes == (PEELED,)
        with pytest.raises(HostError, match=f"lxcfs at {system_lxcfs} is dead"):
            box.run(["true"])
        after = box.run(["cat", "/proc/meminfo"], proc="auto")
        assert after.ok and after.proc == "static" and total(after.stdout) == TOTAL


def test_a_hung_one_holds_nobody_up(system_lxcfs: str, as_root: Root) -> None:
    """Stopped under a run that does not read: the run ends as ever."""
    with Sandbox(proc="lxcfs", mem=MEMORY) as box:
        with box.start(["sleep", "1"]) as running:
            running.supervision.step(0.2)
            as_root("pkill -STOP -x lxcfs")
            try:
                result = running.wait()
            finally:
                as_root("pkill -CONT -x lxcfs")
    assert result.ok and not result.notes
