"""Many runs in a row leave no more behind than one. (bench/ has the version with 10,000.)"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import RequestError, Sandbox, SetupError, arun, run
from tests.runs.world import INIT_NAME, SPAWNER_NAME, named, open_fds, programs_of, until, zombies
from tests.slowness import IN_LAB

# An emulated machine has no time for as many.
RUNS, COMMANDS, SANDBOXES, CROWDS = (20, 4, 8, 1) if IN_LAB else (300, 30, 40, 5)


def leaves() -> int:
    mine = f"pysandbox-{os.getpid()}-"
    return sum(name.startswith(mine) for _d, names, _f in os.walk("/sys/fs/cgroup") for name in names)


def spawner_fds() -> int:
    (pid, _start), *_ = named(SPAWNER_NAME)
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        # It is not dumpable, so its fds are root's business; FDSize grows in powers of two.
        line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("FDSize"))
        return int(line.split()[1])


def memory_of(pid: int | str) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) << 10


ON_V2 = ("limited", "killed")  # the others differ in what is no cgroup's business
KINDS = {
    "plain": ([], {}),
    "limited": (["sh", "-c", "exit 3"], {"mem": "64M", "time": 5, "wall": 5}),
    "streams": (["cat"], {"stdin": b"x" * 100_000, "output": "1M"}),
    "orphans": (["sh", "-c", "setsid sleep 60 & exit 0"], {}),
    "killed": (["sh", "-c", "kill -9 $$"], {"mem": "32M"}),
    "missing": (["/no/such/program"], {"mem": "32M"}),
}


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.v2) if k in ON_V2 else k for k in KINDS])
def test_300_runs_in_a_row(kind: str) -> None:
    argv, options = KINDS[kind]
    with Sandbox(**options) as box:  # type: ignore[arg-type]
        for _ in range(20):
            box.run(argv or ["true"])
        fds, dead, spawner = len(open_fds()), zombies(), spawner_fds()
        (pid, _start), *_ = named(SPAWNER_NAME)
        memory = memory_of("self"), memory_of(pid)
        for _ in range(RUNS):
            box.run(argv or ["true"])
        assert len(open_fds()) == fds
        assert zombies() == dead
        assert leaves() == 0
        assert spawner_fds() == spawner
        assert not programs_of()
        # One more sandbox than runs may be there: the one made ahead.
        assert until(lambda: len(named(INIT_NAME)) <= 1 + len(named(SPAWNER_NAME)))
        assert memory_of("self") - memory[0] < 4 << 20
        assert memory_of(pid) - memory[1] < 1 << 20


@pytest.mark.v2
def test_300_failures_in_a_row(tmp_path: Path) -> None:
    def fail() -> None:
        with pytest.raises(SetupError):
            box.run(["true"], workdir="/usr/no/such/place")
        with pytest.raises(RequestError):
            box.run(["true"], stdout=str(tmp_path / "no" / "such"))

    with Sandbox(mem="64M") as box:
        fail()
        fds, dead = len(open_fds()), zombies()
        for _ in range(RUNS // 2):
            fail()
        assert len(open_fds()) == fds and zombies() == dead and leaves() == 0


@pytest.mark.v2
def test_many_sandboxes_one_after_the_other() -> None:
    run(["true"])
    fds, dead, spawners = len(open_fds()), zombies(), len(named(SPAWNER_NAME))
    for _ in range(SANDBOXES):
        with Sandbox(mem="64M") as box:
            assert box.run(["true"]).ok
    assert len(open_fds()) == fds and zombies() == dead
    assert until(lambda: len(named(SPAWNER_NAME)) == spawners, 2)


def test_many_tasks_leave_no_fds(program: Callable[[str], str]) -> None:
    async def several() -> None:
        for _ in range(CROWDS):
            await asyncio.gather(*(arun(["true"], mem="64M") for _ in range(30)))

    asyncio.run(several())
    fds, dead = len(open_fds()), zombies()
    asyncio.run(several())
    assert len(open_fds()) == fds and leaves() == 0 and zombies() == dead


def test_300_command_lines_are_too_slow_so_30(pysandbox: Callable[..., object], tmp_path: Path) -> None:
    before = {p.name for p in Path("/tmp").iterdir()}
    for _ in range(COMMANDS):
        done = pysandbox("run", "--mem", "64M", "--", "true")
        assert done.returncode == 0  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())
    assert not {n for n in {p.name for p in Path("/tmp").iterdir()} - before if "pysandbox" in n}
