"""Which figures are shown by which means, on hosts written by hand; and our own files, as their readers parse them."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import HostError
from sandbox.procview import View, figures, lxcfs
from sandbox.procview.choose import Source, choose
from sandbox.procview.cpus import affinity, shown
from sandbox.procview.lxcfs import Lxcfs
from sandbox.request import Request
from sandbox.spec import Limits
from sandbox.validate import validate

GIB_KIB = 1 << 20
MEMINFO = b"""\
MemTotal:       4194304 kB
MemFree:        1000000 kB
MemAvailable:   2000000 kB
Cached:           70000 kB
SwapTotal:      1048576 kB
SwapFree:       1048576 kB
CommitLimit:    3000000 kB
VmallocTotal:   34359738367 kB
HugePages_Total:       5
Hugepagesize:       2048 kB
DirectMap1G:    25165824 kB
"""
BLOCK = b"""\
processor\t: %d
model name\t: A CPU: the name
physical id\t: 3
siblings\t: 9
core id\t\t: 7
flags\t\t: fpu"""
ALWAYS = {"proc/loadavg", "proc/diskstats", "proc/vmstat"}
ENFORCED = ("mem", "cpus", "cpuset", "time")


class Host(Source):
    """A source of texts that are the same everywhere."""

    def __init__(self, found: Lxcfs | None = None, meminfo: bytes = MEMINFO) -> None:
        super().__init__()
        self.found, self.text, self.asked = found, meminfo, 0

    def meminfo(self) -> bytes:
        return self.text

    def processors(self, count: int) -> tuple[bytes, ...]:
        return tuple(BLOCK % number for number in range(min(count, 2)))

    def lxcfs(self) -> Lxcfs | None:
        self.asked += 1
        return self.found


GOOD = Lxcfs(path="/lx", loadavg=True)
PLAIN_LXCFS = Lxcfs(path="/lx")


def view(found: Lxcfs | None = None, *, backend: str = "v1", enforced: Any = ENFORCED, host: Host | None = None,
         leaf: frozenset[int] | None = None, mask: tuple[int, ...] = (), **options: Any) -> View:  # fmt: skip
    spec = validate(Request(argv=["true"], **options))
    everything = frozenset(os.sched_getaffinity(0)) if leaf is None else leaf
    return choose(spec, host or Host(found), enforced=enforced, backend=backend, affinity=mask,
                  leaf_cpus=lambda: everything)  # fmt: skip


# ---- the choice ----


@pytest.mark.parametrize("options", [{}, {"time": 1, "pids": 5}, {"proc": "plain", "mem": "1G"},
                                     {"mem": "1G", "without": ["mount"]}], ids=str)  # fmt: skip
def test_nothing_is_made_and_nobody_is_asked_where_there_is_nothing_to_show(options: Any) -> None:
    host = Host(GOOD)
    assert view(host=host, **options) == View() and host.asked == 0


def test_only_what_a_limit_makes_meaningful() -> None:
    memory, cpus = view(mem="1G"), view(cpuset="0")
    assert set(memory.files) == {"proc/meminfo", "proc/swaps", *ALWAYS}
    names = {name for name in cpus.files if not name.startswith("sys/devices/system/cpu/")}
    assert names == {"proc/cpuinfo", "proc/stat", *ALWAYS} and len(cpus.files) > len(names)
    assert set(view(mem="1G", cpuset="0").files) == set(memory.files) | set(cpus.files)
    assert memory.kind == cpus.kind == "static" and not memory.served


def test_what_nothing_enforces_is_not_shown() -> None:
    assert view(mem="1G", cpus=0.5, enforced=()) == View()
    # but the affinity mask follows these two, whatever the cgroup does
    assert "proc/stat" in view(cpus=1, enforced=()).files and "proc/stat" in view(cpuset="0", enforced=()).files


@pytest.mark.parametrize("target", ["/sys", "/sys/devices"])
def test_a_share_at_sys_is_left_alone(target: str) -> None:
    for where in ({"volumes": [f"/usr:{target}"]}, {"tmpfs": [target]}):
        assert not [name for name in view(cpuset="0", **where).files if name.startswith("sys/")]
    assert [name for name in view(cpuset="0", tmpfs=["/system"]).files if name.startswith("sys/")]


def test_lxcfs_shows_what_it_shows_rightly() -> None:
    memory = ("proc/meminfo", "proc/swaps")
    assert view(GOOD, mem="1G").served == (*memory, "proc/loadavg")
    assert view(PLAIN_LXCFS, mem="1G").served == memory
    found = view(PLAIN_LXCFS, mem="1G")
    assert found.kind == "lxcfs" and found.source == "/lx" and found.optional and set(memory) <= set(found.files)
    # lxcfs 5 shows no swap under v2; where the host has none that is the truth
    assert view(GOOD, mem="1G", swap="1M", backend="v2").served == ("proc/loadavg",)
    assert view(GOOD, mem="1G", swap="1M", backend="v1").served == (*memory, "proc/loadavg")
    no_swap = Host(PLAIN_LXCFS, MEMINFO.replace(b"1048576", b"      0"))
    assert view(host=no_swap, mem="1G", swap="1M", backend="v2").served == memory
    assert "proc/uptime" in view(GOOD, mem="1G", without=["time"]).served


def test_lxcfs_that_shows_nothing_rightly_is_not_used() -> None:
    assert view(PLAIN_LXCFS, mem="1G", swap="1M", backend="v2").kind == "static"
    with pytest.raises(HostError, match="--proc lxcfs"):
        view(PLAIN_LXCFS, mem="1G", swap="1M", backend="v2", proc="lxcfs")


def test_stat_of_lxcfs_needs_a_cpuset_of_the_size_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    four = frozenset(range(4))
    one = view(GOOD, cpus=1, mask=(2,), leaf=four)
    assert "proc/stat" in one.served and one.cpuset == "2"
    assert view(GOOD, cpus=4, leaf=four).cpuset == "0,1,2,3"  # nothing to pin: the cpuset is the parent's
    named = view(GOOD, cpuset="1-2", mask=(1, 2), leaf=four)
    assert "proc/stat" in named.served and named.cpuset is None  # the leaf has the caller's own
    for other in (
        view(GOOD, cpus=1.5, leaf=four),  # two are shown, all four may be used
        view(GOOD, cpus=1, cpuset="1-2", mask=(1,), leaf=four),
        view(GOOD, cpus=1, mask=(2,), leaf=frozenset({0})),
        view(GOOD, cpus=1, mask=(2,), leaf=frozenset()),
        view(GOOD, cpus=1, mask=(2,), leaf=four, backend="v2"),
    ):
        assert "proc/stat" not in other.served and other.cpuset is None and "proc/stat" in other.files


def test_a_lxcfs_that_cannot_be_used_is_noted_or_an_error() -> None:
    hung = Lxcfs(path="/lx", fault="does not answer within 2 s")
    found = view(hung, mem="1G")
    assert found.kind == "static" and len(found.notes) == 1 and "/lx does not answer" in found.notes[0]
    with pytest.raises(HostError, match="does not answer"):
        view(hung, mem="1G", proc="lxcfs")
    with pytest.raises(HostError, match="no lxcfs is mounted"):
        view(None, mem="1G", proc="lxcfs")
    assert view(None, mem="1G").notes == ()


def test_a_private_one_is_as_good_as_a_system_one_with_all_options() -> None:
    """It needs no system lxcfs, and its files come as detached mounts."""
    for system in (None, GOOD, Lxcfs(path="/lx", fault="is dead")):
        found = view(system, mem="1G", proc="private")
        assert (found.kind, found.source, found.optional) == ("private", "fd:lxcfs", False)
        assert found.served == ("proc/meminfo", "proc/swaps", "proc/loadavg") and not found.notes


def test_asked_for_by_name_there_are_figures_without_a_limit() -> None:
    assert view(proc="static").files["proc/meminfo"] == MEMINFO
    named = view(GOOD, proc="lxcfs")
    assert named.served == ("proc/meminfo", "proc/swaps", "proc/loadavg") and not named.optional


# ---- CPUs ----


@settings(max_examples=200, database=None, derandomize=True, deadline=None)
@given(st.sets(st.integers(0, 200), min_size=1), st.integers(1, 40), st.integers(0, 1 << 32))
def test_whole_cpus_are_pinned_to_as_many(allowed: set[int], count: int, position: int) -> None:
    mask = affinity(Limits(cpu_milli=count * 1000), sorted(allowed), position)
    assert set(mask) <= allowed and len(mask) == len(set(mask)) == (count if count < len(allowed) else 0)
    assert affinity(Limits(cpu_milli=count * 1000 + 1), sorted(allowed), position) == ()


def test_runs_in_a_row_take_turns() -> None:
    position, used = 5, []
    for _ in range(4):
        mask = affinity(Limits(cpu_milli=2000), range(8), position)
        position += len(mask)
        used += mask
    assert sorted(used) == list(range(8))


def test_a_cpuset_is_the_mask_and_cpus_choose_from_it() -> None:
    assert affinity(Limits(cpuset="1,3"), (0, 1), 9) == (1, 3)
    assert affinity(Limits(cpuset="1,3", cpu_milli=1500), (0, 1), 9) == (1, 3)
    assert {affinity(Limits(cpuset="1,3", cpu_milli=1000), (0,), n) for n in range(4)} == {(1,), (3,)}


@pytest.mark.parametrize(("limits", "count"), [
    (Limits(), None), (Limits(cpu_milli=100), 1), (Limits(cpu_milli=1001), 2), (Limits(cpu_milli=64000), 4),
    (Limits(cpuset="0-2"), 3), (Limits(cpuset="0-2", cpu_milli=1500), 2), (Limits(cpuset="0", cpu_milli=3000), 1),
])  # fmt: skip
def test_how_many_cpus_are_shown(limits: Limits, count: int | None) -> None:
    assert shown(limits, 4, ENFORCED) == count


# ---- our own files ----


def amounts(meminfo: bytes) -> dict[str, int]:
    lines = (line.partition(":") for line in meminfo.decode().splitlines())
    return {name: int(rest.split()[0]) for name, _, rest in lines}


def test_meminfo() -> None:
    found = amounts(figures.meminfo(MEMINFO, 64 << 20, 16 << 20))
    assert list(found) == list(amounts(MEMINFO))  # every line that the kernel has, in its order
    expected = {"MemTotal": 65536, "MemFree": 65536, "MemAvailable": 65536, "SwapTotal": 16384, "SwapFree": 16384,
                "VmallocTotal": 34359738367, "Hugepagesize": 2048, "CommitLimit": 49152}  # fmt: skip
    assert found == {**dict.fromkeys(found, 0), **expected}
    lines = figures.meminfo(MEMINFO, 64 << 20, 0).decode().splitlines()
    assert lines[0] == "MemTotal:          65536 kB" and "HugePages_Total:       0" in lines
    assert amounts(figures.meminfo(MEMINFO, 1 << 40, 1 << 40))["MemTotal"] == 4 * GIB_KIB  # no more than there is
    assert amounts(figures.meminfo(MEMINFO, 1 << 40, 1 << 40))["SwapTotal"] == GIB_KIB


def test_swaps() -> None:
    assert figures.swaps(MEMINFO, 1 << 30, 0).splitlines()[1:] == []
    area = figures.swaps(MEMINFO, 1 << 30, 1 << 20).splitlines()[1]
    assert area.split() == [b"none", b"virtual", b"1024", b"0", b"0"]
    assert figures.swaps(MEMINFO, None, 0).splitlines()[1].split()[2] == b"1048576"


def test_cpuinfo() -> None:
    found = figures.cpuinfo((BLOCK % 4, BLOCK % 9), 3).decode()
    blocks = [dict(line.split(":", 1) for line in block.splitlines()) for block in found.strip().split("\n\n")]
    assert found.endswith("\n\n") and len(blocks) == 3
    for number, block in enumerate(blocks):
        values = {name.strip(): value.strip() for name, value in block.items()}
        expected = {"processor": number, "model name": "A CPU: the name", "physical id": 0, "siblings": 3,
                    "core id": number, "flags": "fpu"}  # fmt: skip
        assert values == {name: str(value) for name, value in expected.items()}


def test_stat() -> None:
    lines = figures.stat(2, 77).decode().splitlines()
    assert [line.split()[0] for line in lines] == [
        "cpu", "cpu0", "cpu1", "intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked", "softirq",
    ]  # fmt: skip
    assert "btime 77" in lines and len(lines[0].split()) == 11


def test_system_cpus() -> None:
    one, three = figures.system_cpus(1), figures.system_cpus(3)
    assert one["sys/devices/system/cpu/online"] == b"0\n" and three["sys/devices/system/cpu/present"] == b"0-2\n"
    topology = "sys/devices/system/cpu/cpu2/topology"
    assert three[f"{topology}/thread_siblings"] == b"00000004\n" and three[f"{topology}/core_siblings"] == b"00000007\n"
    many = figures.system_cpus(33)["sys/devices/system/cpu/cpu32/topology/core_siblings"]
    assert many == b"00000001,ffffffff\n"
    # each file is a step of the plan, which has 4096, and an inode among 4096
    assert len(figures.system_cpus(512)) < 2100 and len(figures.system_cpus(1000)) < 1100
    assert three["sys/devices/system/cpu/kernel_max"] == b"2\n"


def test_the_hosts_own_texts() -> None:
    source = Source()
    assert amounts(source.meminfo())["MemTotal"] > 0
    (block,) = source.processors(1)
    assert block.startswith(b"processor") and b"\n\n" not in block
    with open("/proc/cpuinfo", "rb") as file:
        assert len(source.processors(1000)) == file.read().count(b"processor\t:")
    with open("/proc/stat") as file:
        btime = next(int(line.split()[1]) for line in file if line.startswith("btime"))
    assert abs(source.boot_s(False) - btime) <= 1


# ---- asking lxcfs: a directory with the same files answers as it would ----


@pytest.fixture
def served(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_bytes(MEMINFO)
    (tmp_path / "proc" / "loadavg").write_bytes(b"0.00 0.00 0.00 1/99999 3\n")
    monkeypatch.setenv(lxcfs.OVERRIDE, str(tmp_path))
    return tmp_path


def test_an_answer(served: Any) -> None:
    assert Source().lxcfs() == Lxcfs(path=str(served), loadavg=True)
    os.unlink(served / "proc" / "loadavg")
    assert Source().lxcfs() == Lxcfs(path=str(served))
    os.symlink("/proc/loadavg", served / "proc" / "loadavg")  # what lxcfs does without -l
    assert Source().lxcfs() == Lxcfs(path=str(served))


def test_no_meminfo_is_a_fault(served: Any) -> None:
    os.unlink(served / "proc" / "meminfo")
    found = Source().lxcfs()
    assert found is not None and found.fault


def test_a_server_that_hangs_is_left(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifo without a writer: reading it blocks as a FUSE server does that took the request and says nothing."""
    os.unlink(served / "proc" / "meminfo")
    os.mkfifo(served / "proc" / "meminfo")
    with monkeypatch.context() as impatient:
        impatient.setattr(lxcfs, "PATIENCE_NS", 100_000_000)
        found = Source().lxcfs()
        assert found is not None and "does not answer" in found.fault
        assert Source().lxcfs() == found
    os.unlink(served / "proc" / "meminfo")
    (served / "proc" / "meminfo").write_bytes(MEMINFO)
    deadline = time.monotonic() + 60
    while True:  # each question reaps those before it that are dead by now
        assert Source().lxcfs() == Lxcfs(path=str(served), loadavg=True)
        if not lxcfs._left_behind:
            break
        assert time.monotonic() < deadline


def test_an_answer_is_kept_for_a_while(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    first = source.lxcfs()
    os.unlink(served / "proc" / "meminfo")
    assert source.lxcfs() == first
    source.forget()
    assert source.lxcfs() != first


@pytest.mark.parametrize(("before", "between", "after", "own"), [
    ("0.10 0.20 0.30 1/300 9", "0.10 0.20 0.30 1/301 10", "0.10 0.20 0.30 1/300 11", False),
    ("0.10 0.20 0.30 1/300 9", "0.15 0.21 0.30 1/310 10", "0.15 0.21 0.30 1/305 11", False),  # a tick, and then it
    ("0.10 0.20 0.30 1/300 9", "0.00 0.00 0.00 0/1 10", "0.10 0.20 0.30 1/300 11", True),
    ("0.00 0.00 0.00 1/300 9", "0.00 0.00 0.00 0/1 10", "0.00 0.00 0.00 1/300 11", True),
    ("0.10 0.20 0.30 1/300 9", "0.07 0.01 0.00 1/300 10", "0.10 0.20 0.30 1/300 11", True),  # from the root cgroup
    ("0.00 0.00 0.00 1/300 9", "0.00 0.00 0.00 1/300 10", "0.00 0.00 0.00 1/300 11", False),
    ("0.00 0.00 0.00 1/300 9", "0.00 0.00 0.00 1/300 10", "MemTotal: 5 kB", False),  # it has no loadavg
])  # fmt: skip
def test_whose_load(before: str, between: str, after: str, own: bool) -> None:
    assert lxcfs._counts_for_itself(before.encode(), between.encode(), after.encode()) == own


def test_a_part_of_lxcfs_is_not_taken_for_all_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """In an LXC container its files are mounted one by one."""
    table = tmp_path / "mountinfo"
    table.write_text("1 2 0:4 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
                     "3 2 0:4 / /var/lib/a\\040b rw,relatime shared:9 - fuse.lxcfs lxcfs rw\n")  # fmt: skip
    monkeypatch.delenv(lxcfs.OVERRIDE, raising=False)
    monkeypatch.setattr(lxcfs, "MOUNTINFO", str(table))
    assert lxcfs.find() == "/var/lib/a b"
    table.write_text("1 2 0:4 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n")
    assert lxcfs.find() == ""
