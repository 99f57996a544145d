"""--io-read and --io-write on a real disk: held where they can be, refused or noted where not.

Times are compared with what the limit makes of them: without one each program here ends within milliseconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import HostError, RequestError, Result, Sandbox, run
from sandbox.cgroup import delegation
from tests.runs.world import until

MIB = 1 << 20

BACKEND = delegation.find(prepare=False)
needs_io = pytest.mark.skipif("io_write" not in BACKEND.enforces(), reason=BACKEND.missing("io_write"))

# O_DIRECT: 4 MiB in 64 operations, or COUNT operations of 4 KiB; prints the seconds that they took.
DIRECT = """
import mmap, os, sys, time
way, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
block = mmap.mmap(-1, size)
fd = os.open(sys.argv[4] if len(sys.argv) > 4 else "/data/file", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
began = time.monotonic()
for _ in range(count):
    (os.write(fd, block) if way == "write" else os.readv(fd, [block]))
print(time.monotonic() - began)
"""
BUFFERED = """
import os, sys, time
fd = os.open("/data/buffered", os.O_WRONLY | os.O_CREAT)
began = time.monotonic()
for _ in range(64):
    os.write(fd, bytes(65536))
if "sync" in sys.argv: os.fsync(fd)
print(time.monotonic() - began)
"""
BULK = (64, 65536)
SMALL = (60, 4096)


@pytest.fixture
def data(disk_dir: Path) -> Path:
    """A directory with a file of 4 MiB that is on the disk."""
    with open(disk_dir / "file", "wb") as file:
        file.write(bytes(4 * MIB))
        os.fsync(file.fileno())
    return disk_dir


def took(data: Path, text: str, *args: object, **options: object) -> tuple[float, Result]:
    result = run(["python3", "-I", "-S", "-c", text, *map(str, args)], volumes=[f"{data}:/data:rw"], **options)
    assert result.ok, result
    return float(result.stdout), result


@needs_io
@pytest.mark.parametrize("way", ["write", "read"])
def test_bytes_a_second(way: str, data: Path) -> None:
    free, _ = took(data, DIRECT, way, *BULK)
    limited, result = took(data, DIRECT, way, *BULK, **{f"io_{way}": "1M"})
    assert limited > 2 and limited > 3 * free, (free, limited)
    assert result.enforced[f"io_{way}"].startswith(f"cgroup {result.backend} ")
    counted = result.usage.io_write_bytes if way == "write" else result.usage.io_read_bytes
    assert counted is not None and counted >= 4 * MIB
    assert f"cgroup {result.backend}" in result.usage.sources[f"io_{way}_bytes"]
    other = {"write": "read", "read": "write"}[way]
    assert f"io_{other}" not in result.enforced
    crossed, _ = took(data, DIRECT, other, *BULK, **{f"io_{way}": "1M"})
    assert crossed < 1, "one limit held back the other direction"


@needs_io
@pytest.mark.parametrize("way", ["write", "read"])
def test_operations_a_second(way: str, data: Path) -> None:
    free, _ = took(data, DIRECT, way, *SMALL)
    limited, _ = took(data, DIRECT, way, *SMALL, **{f"io_{way}": "20iops"})
    assert limited > 1.5 and limited > 3 * free, (free, limited)


@needs_io
def test_of_both_the_lower_one_holds(data: Path) -> None:
    by_ops, _ = took(data, DIRECT, "write", *SMALL, io_write="1G,20iops")
    by_bytes, _ = took(data, DIRECT, "write", *BULK, io_write="100000iops,1M")
    assert by_ops > 1.5 and by_bytes > 2


@needs_io
def test_a_synced_file_is_caught(data: Path) -> None:
    limited, _ = took(data, BUFFERED, "sync", io_write="1M")
    assert limited > 2


@needs_io
def test_what_is_not_caught_is_noted(data: Path) -> None:
    """v1 charges write-back to nobody. v2 does charge it; that the writer itself does not wait means nothing."""
    _, result = took(data, BUFFERED, io_write="1M")
    noted = [note for note in result.notes if "io_write" in note]
    if result.backend == "v1":
        assert "written back later" in noted[0] or "writes back later" in noted[0]
        assert result.usage.io_write_bytes is not None and result.usage.io_write_bytes < 4 * MIB
        assert "direct and synchronous" in result.enforced["io_write"]
    else:
        assert not noted
    _, result = took(data, BUFFERED, io_read="1M")
    assert not [note for note in result.notes if "io_" in note]


@needs_io
def test_a_handed_file_is_a_place(data: Path) -> None:
    """It is no volume, and the program could write to it past a limit that looks at volumes only."""
    text = "import mmap, os, sys\nfor _ in range(64): os.write(int(sys.argv[1]), mmap.mmap(-1, 65536))"
    # direct: the pages in the cache are ours, and v2 charges whoever brought them there
    fd = os.open(data / "file", os.O_WRONLY | os.O_DIRECT)
    try:
        began = time.monotonic()
        result = run(["python3", "-I", "-S", "-c", text, str(fd)], pass_fds=[fd], io_write="1M")
    finally:
        os.close(fd)
    assert result.ok, result
    assert time.monotonic() - began > 2 and " on " in result.enforced["io_write"]


@needs_io
def test_a_kill_does_not_wait_for_the_disk(data: Path) -> None:
    """64 KiB at 4 KiB a second: without lifting the limit SIGKILL has to wait for 16 s."""
    began = time.monotonic()
    argv = ["python3", "-I", "-S", "-c", DIRECT, "write", *map(str, BULK)]
    result = run(argv, volumes=[f"{data}:/data:rw"], io_write="4K", wall=0.5)
    assert result.outcome in ("wall_time", "idle"), result
    assert time.monotonic() - began < 8


CALLER = """
import sys
from sandbox import Sandbox
with Sandbox() as box:
    box.start(["python3", "-I", "-S", "-c", sys.argv[1], "write", "1000", "65536"],
              volumes=[sys.argv[2] + ":/data:rw"], io_write="4K").wait()
"""


def leaves_of(pid: int) -> list[str]:
    return [f"{d}/{n}" for d, names, _ in os.walk("/sys/fs/cgroup") for n in names if n.startswith(f"pysandbox-{pid}-")]


@needs_io
@pytest.mark.parametrize("ending", ["kill", "terminate"])
def test_a_dead_caller_leaves_nothing_that_waits_for_the_disk(ending: str, data: Path) -> None:
    before = os.stat(data / "file").st_mtime_ns
    process = subprocess.Popen([sys.executable, "-c", CALLER, DIRECT, os.fspath(data)])
    try:
        assert until(lambda: os.stat(data / "file").st_mtime_ns != before, 30), "the program never wrote"
        assert leaves_of(process.pid)
    finally:
        getattr(process, ending)()
        process.wait()
    assert until(lambda: not leaves_of(process.pid), 8)


def test_only_memory_can_be_written(data: Path) -> None:
    """It holds by itself, without a cgroup; a caller with one limit for all runs need not care which have a volume."""
    for options in ({}, {"volumes": [f"{data}:/data"]}, {"cgroup": "none"}):
        result = run(["true"], io_write="1M", **options)
        assert result.enforced["io_write"].startswith("nothing to limit: "), result.enforced
        assert not result.notes or "io_write" not in result.notes[0]


def test_a_writable_place_in_memory_is_refused_by_its_name() -> None:
    with pytest.raises(HostError, match="--io-write: io_write cannot be enforced: /dev/shm is on tmpfs, which is mem"):
        run(["true"], io_write="1M", volumes=["/dev/shm:/data:rw"])
    result = run(["true"], io_write="1M", volumes=["/dev/shm:/data:rw"], best_effort=True)
    assert "io_write" not in result.enforced and "/dev/shm is on tmpfs" in result.not_enforced["io_write"]
    # to be read it needs no disk, and so nothing is missing
    if "io_read" in BACKEND.enforces():
        assert "io_read" in run(["true"], io_read="1M", volumes=["/dev/shm:/data"]).enforced


def test_without_a_cgroup_it_is_refused(data: Path) -> None:
    with pytest.raises(HostError, match="--io-read: io_read cannot be enforced: the caller asked for no cgroup"):
        run(["true"], io_read="1M", cgroup="none")
    with pytest.raises(HostError, match="--io-write: "):
        run(["true"], io_write="1M", cgroup="none", volumes=[f"{data}:/data:rw"])


@needs_io
def test_command_line(judged: Callable[..., SimpleNamespace], pysandbox: Callable[..., object], data: Path) -> None:
    volume = f"{data}:/data:rw"
    got = judged("--io-write", "1M,100000iops", "--io-read=500iops", "-v", volume, "--", "python3", "-I", "-S", "-c",
                 DIRECT, "write", *map(str, BULK))  # fmt: skip
    assert got.code == 0 and float(got.out) > 2
    assert {"io_read", "io_write"} <= set(got.enforced)
    assert got.usage.io_write_bytes >= 4 * MIB
    done = pysandbox("run", "--io-write", "1M,2M", "--", "true")
    assert done.returncode == 125  # type: ignore[attr-defined]
    assert "--io-write: expected one number of bytes and one of operations" in done.stderr  # type: ignore[attr-defined]


def test_bad_rates_name_their_field() -> None:
    with pytest.raises(RequestError) as caught:
        run(["true"], io_read="0iops")
    assert caught.value.field == "io_read"


@needs_io
@pytest.mark.skipif(BACKEND.name != "v1", reason="one directory on v2")
def test_the_hierarchy_is_entered_only_when_it_is_needed() -> None:
    with Sandbox() as box:
        plain = [step.describe() for step in box.plan(["true"], mem="64M").enter]
        limited = [step.describe() for step in box.plan(["true"], io_read="1M").enter]
    assert not [line for line in plain if "blkio" in line]
    assert [line for line in limited if "blkio" in line]
