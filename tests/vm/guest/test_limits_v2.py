"""Every limit of cgroup v2 on a real one, by what it does to a program that does not respect it.

For a guest with systemd: the tests run as a user in a delegated scope (cpu, memory and pids), who may sudo.
cpuset and io are not delegated there; what needs them runs in a service of the system that has them all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import HostError, Result, Sandbox, run
from sandbox.cgroup import delegation, files
from sandbox.cgroup.v2 import V2Backend, V2Leaf
from sandbox.spec import Limits
from tests.runs.world import until

pytestmark = pytest.mark.skipif(os.environ.get("PYSANDBOX_LAB") != "1", reason="needs a guest of the lab")

TREE = Path(__file__).resolve().parents[3]
MIB = 1 << 20
WAIT_S = 60

# Fills MIB of memory page by page, says how much of itself is in swap, and stays for SECONDS.
HOG = """
import sys, time
block = bytearray(int(sys.argv[1]) << 20)
for at in range(0, len(block), 4096): block[at] = 1
swap = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmSwap")]
time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
print(swap[0])
"""
BURN = "import sys, time\nwhile time.process_time() < float(sys.argv[1]): sum(range(1000))"


def python(text: str, *args: object, **options: Any) -> Result:
    return run(["python3", "-I", "-S", "-c", text, *map(str, args)], **options)


@pytest.fixture(scope="module")
def backend() -> V2Backend:
    found = delegation.find()
    assert isinstance(found, V2Backend), found.missing("mem")
    return found


@pytest.fixture
def leaves(backend: V2Backend) -> Iterator[Callable[..., V2Leaf]]:
    """Leaves that are opened by hand, and closed."""
    opened: list[V2Leaf] = []

    def make(**limits: Any) -> V2Leaf:
        opened.append(backend.open(Limits(**limits)))
        return opened[-1]

    yield make
    for leaf in opened:
        leaf.kill()
        leaf.close()


def inside(leaf: V2Leaf, text: str, *args: object) -> subprocess.Popen[bytes]:
    """A program in a leaf, by moving itself, with nobody who supervises it."""
    enter = f"open({leaf.path + '/cgroup.procs'!r}, 'w').write('0')\n"
    command = [sys.executable, "-I", "-S", "-c", enter + text, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def in_everything(*argv: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """The command as our user in a service of the system to which all controllers are delegated."""
    me = os.environ.get("USER") or str(os.geteuid())
    command = ["sudo", "-n", "systemd-run", "--pipe", "--wait", "--quiet", "--collect", f"--uid={me}",
               "-p", "Delegate=yes", f"--working-directory={TREE}", f"--setenv=PYTHONPATH={TREE}",
               f"--setenv=HOME={Path.home()}", "--setenv=PYTHONDONTWRITEBYTECODE=1", "--setenv=PYSANDBOX_LAB=1",
               "--", *argv]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout)


def events(leaf: V2Leaf) -> dict[str, int]:
    lines = Path(leaf.path, "memory.events").read_text().splitlines()
    return {key: int(value) for key, value in (line.split() for line in lines)}


# ---- memory


def test_memory_max() -> None:
    result = python(HOG, 96, mem="48M")
    assert result.outcome == "memory", result
    usage = result.usage
    assert usage.oom_kills and usage.sources["oom_kills"] == "cgroup v2 memory.events oom_kill"
    assert usage.memory_peak_bytes is not None and 24 * MIB < usage.memory_peak_bytes <= 48 * MIB
    assert usage.sources["memory_peak_bytes"].startswith("cgroup v2 memory.peak")
    assert python(HOG, 96, mem="256M").ok, "the program fails by itself, so the above proves nothing"


def test_swap_max() -> None:
    """The guest swaps to zram, so a hog that is allowed to swap lives."""
    assert len(Path("/proc/swaps").read_text().splitlines()) > 1
    swapping = python(HOG, 96, mem="48M", swap="128M")
    assert swapping.ok, swapping
    assert int(swapping.stdout) > 24 * 1024, "KiB in swap"
    assert swapping.enforced["swap"] == "cgroup v2 memory.swap.max"
    assert python(HOG, 96, mem="48M", swap=0).outcome == "memory"
    assert python(HOG, 96, mem="48M", swap="8M").outcome == "memory"


def test_a_full_page_cache_is_no_oom(disk: Path) -> None:
    fill = "f = open('/data/f', 'wb')\nfor _ in range(96): f.write(bytes(1 << 20))"
    result = python(fill, mem="48M", volumes=[f"{disk}:/data:rw"])
    assert result.ok and result.usage.oom_kills == 0, result
    assert result.usage.memory_peak_bytes is not None and result.usage.memory_peak_bytes > 40 * MIB


@pytest.fixture
def disk() -> Iterator[Path]:
    """On the disk: /tmp is a tmpfs on Debian 13."""
    with tempfile.TemporaryDirectory(prefix="pysandbox-test-", dir="/var/tmp") as path:
        kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout
        assert kind.strip() not in ("tmpfs", "ramfs"), kind
        yield Path(path)


def test_oom_group_takes_the_siblings_too(leaves: Callable[..., V2Leaf]) -> None:
    """By the kernel alone: no supervisor looks at this leaf."""
    leaf = leaves(mem_bytes=48 * MIB)
    sibling = inside(leaf, "import time; time.sleep(600)")
    assert until(lambda: sibling.pid in files.pids(f"{leaf.path}/cgroup.procs"), WAIT_S)
    hog = inside(leaf, HOG, 96)
    assert hog.wait(WAIT_S) == -signal.SIGKILL
    assert sibling.wait(WAIT_S) == -signal.SIGKILL
    found = events(leaf)
    assert found["oom_kill"] >= 2 and found.get("oom_group_kill", 1) == 1, found
    kills = leaf.oom_kills()
    assert kills is not None and kills >= 1


def test_an_oom_is_counted_in_its_own_leaf(leaves: Callable[..., V2Leaf]) -> None:
    one, other = leaves(mem_bytes=48 * MIB), leaves(mem_bytes=48 * MIB)
    assert inside(one, HOG, 96).wait(WAIT_S) == -signal.SIGKILL
    assert inside(other, HOG, 8).wait(WAIT_S) == 0
    assert one.oom_kills() and other.oom_kills() == 0


def test_the_peak_where_the_kernel_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 5.19 there is no memory.peak: reading it says that there is no such file, as here."""
    real = files.read_or_none

    def old(path: str, dir_fd: int | None = None) -> bytes | None:
        return None if os.path.basename(path) == "memory.peak" else real(path, dir_fd)

    monkeypatch.setattr(files, "read_or_none", old)
    for options in ({"mem": "128M"}, {"mem": "128M", "time": 60}):
        result = python(HOG, 64, 0.5, **options)
        assert result.ok, result
        peak = result.usage.memory_peak_bytes
        assert peak is not None and 64 * MIB <= peak <= 128 * MIB, (options, peak)
        assert result.usage.sources["memory_peak_bytes"].startswith("cgroup v2 memory.current, polled")


# ---- processes


def test_pids_max() -> None:
    forks = """
import os, time
made = 0
try:
    while made < 40:
        if not os.fork():
            time.sleep(600)
        made += 1
except BlockingIOError:
    print(made)
"""
    result = python(forks, pids=8)
    # in a cgroup only if something needs one
    assert result.backend == "none" and result.stdout == b"7\n"
    result = python(forks, pids=8, mem="64M")
    assert result.ok and result.stdout == b"7\n", result
    assert result.enforced["pids"] == "cgroup v2 pids.max"
    assert result.usage.pids_denied == 1 and result.usage.sources["pids_denied"] == "cgroup v2 pids.events max"
    assert result.usage.processes_peak == 8 and result.usage.sources["processes_peak"].startswith("cgroup v2 pids.peak")
    assert python("pass", mem="64M").usage.pids_denied == 0


# ---- CPU


def test_cpu_max() -> None:
    result = python(BURN, 600, cpus=0.2, wall=3)
    assert result.outcome == "wall_time" and result.enforced["cpus"] == "cgroup v2 cpu.max", result
    usage = result.usage
    assert usage.throttled_ns is not None and usage.throttled_ns > 500_000_000
    assert usage.sources["throttled_ns"] == "cgroup v2 cpu.stat throttled_usec"
    assert usage.cpu_ns is not None and usage.wall_ns is not None
    # a period more than its share is what the first one may give
    assert 0 < usage.cpu_ns < usage.wall_ns * 0.2 + 100_000_000
    free = python(BURN, 1, time=60).usage
    assert free.cpu_ns is not None and free.cpu_ns > 900_000_000 and not free.throttled_ns


def test_cpu_time_of_all_processes_together() -> None:
    """Orphans too, and those whose parent ignores SIGCHLD, which rusage does not see."""
    text = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(2):
    if not os.fork():
        while True: pass
while True: time.sleep(1)
"""
    result = python(text, time=1, wall=WAIT_S)
    assert result.outcome == "cpu_time", result
    assert result.usage.cpu_ns is not None and result.usage.cpu_ns >= 1_000_000_000


@pytest.mark.guests("debian12")  # debian13's alice has the drop-in
def test_missing_controllers_are_named_with_the_drop_in(backend: V2Backend) -> None:
    enforced = backend.enforces()
    fix = "`sudo systemctl edit user@.service`, add the lines [Service] and Delegate=cpu cpuset io memory pids"
    missing = {"cpuset": ("cpuset", "0"), "io_read": ("io", "1M")}
    lacking = {limit: given for limit, given in missing.items() if limit not in enforced}
    assert lacking == missing
    for limit, (controller, value) in lacking.items():
        with pytest.raises(HostError) as caught:
            run(["true"], **{limit: value})
        assert f"has no {controller} controller to give; {fix}" in str(caught.value)
        assert str(caught.value).startswith(f"--{limit.replace('_', '-')}: ")


CPUSET = """
from sandbox import run, HostError
result = run(["python3", "-I", "-S", "-c",
              "import os; print(open('/proc/self/status').read().split('Cpus_allowed_list:')[1].split()[0])"],
             cpuset="1")
assert result.ok and result.stdout == b"1\\n", result
assert result.enforced["cpuset"] == "cgroup v2 cpuset.cpus", result
# not by the affinity mask alone, which the program may widen
text = "import os; os.sched_setaffinity(0, {0, 1}); print(os.sched_getaffinity(0))"
result = run(["python3", "-I", "-S", "-c", text], cpuset="1")
assert result.stdout == b"{1}\\n", result
try:
    run(["true"], cpuset="7")
except HostError as error:
    assert "cpuset 7: cpu 7 is not among those of /sys/fs/cgroup/" in str(error), error
else:
    raise AssertionError("a CPU that is not there")
print("done")
"""


def test_cpuset() -> None:
    done = in_everything(sys.executable, "-P", "-c", CPUSET)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr


def test_disk_limits_where_io_is_delegated() -> None:
    """The tests of --io-read and --io-write once more, where nothing is missing for them."""
    done = in_everything(sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
                         "tests/runs/test_io_limits.py")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and done.stdout.count("SKIPPED") == 1, done.stdout


# ---- the end


def test_a_throttled_tree_ends(backend: V2Backend) -> None:
    text = "import os\nfor _ in range(5): os.fork()\nwhile True: pass"
    result = python(text, cpus=0.01, wall=3, pids=64)
    assert result.outcome in ("wall_time", "idle"), result
    assert not [name for name in os.listdir(backend.parents()[0]) if name.startswith(f"pysandbox-{os.getpid()}-")]


def test_a_frozen_tree_ends(backend: V2Backend) -> None:
    with Sandbox() as box, box.start(["sh", "-c", "sleep 600 & sleep 600"], mem="64M") as running:
        leaf = only_leaf(backend)
        assert until(lambda: len(files.pids(f"{leaf}/cgroup.procs")) >= 3, WAIT_S)  # with the init
        Path(leaf, "cgroup.freeze").write_text("1")
        assert until(lambda: "frozen 1" in Path(leaf, "cgroup.events").read_text(), WAIT_S)
        running.supervision.kill("interrupted", "the test says so")
        result = running.wait()
    assert result.outcome == "interrupted", result
    assert not os.path.exists(leaf)


def only_leaf(backend: V2Backend) -> str:
    (parent,) = backend.parents()
    (name,) = [n for n in os.listdir(parent) if n.startswith(f"pysandbox-{os.getpid()}-")]
    return f"{parent}/{name}"


# ---- where the run is billed

# The first instructions of the process are system calls that read its cgroup: nothing ran before them.
FIRST = """
static long call(long n, long a, long b, long c)
{
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}
static char text[4096];
void _start(void)
{
    long fd = call(2, (long)"/proc/self/cgroup", 0, 0), length = call(0, fd, (long)text, sizeof text);
    call(1, 1, (long)text, length);
    for (;;)
        call(0, 0, (long)text, sizeof text) <= 0 ? call(60, 0, 0, 0) : 0;
}
"""


def test_the_first_instruction_is_in_the_leaf(backend: V2Backend, tmp_path: Path) -> None:
    """--without cgroup shows the whole path; the program waits for the end of its stdin, so the leaf is there."""
    if os.uname().machine != "x86_64":
        pytest.skip("the program is written for x86_64")
    source, program = tmp_path / "first.c", tmp_path / "first"
    source.write_text(FIRST)
    subprocess.run(["gcc", "-O1", "-nostdlib", "-static", "-fno-stack-protector", "-o", program, source], check=True)
    reader, writer = os.pipe()
    got, put = os.pipe()
    with Sandbox() as box:
        options = {"mem": "64M", "without": ["cgroup"], "stdin": reader, "stdout": put}
        with box.start([str(program)], **options) as running:
            os.close(reader)
            assert running.supervision.leaf is not None
            assert running.supervision.leaf.clone_fd() is not None and not running.supervision.leaf.attach_fds()
            leaf = only_leaf(backend)
            watch = running.supervision
            os.set_blocking(got, False)
            text = b""
            while b"\n" not in text:
                watch.step(0.05)
                try:
                    text += os.read(got, 4096)
                except BlockingIOError:
                    pass
            os.close(writer)
            assert running.wait().ok
    os.close(got)
    os.close(put)
    assert text.decode() == f"0::{leaf.removeprefix('/sys/fs/cgroup')}\n"


def usage_us(directory: str) -> int:
    found = files.keyed(Path(directory, "cpu.stat").read_bytes(), b"usage_usec")
    assert found is not None
    return found


def test_nothing_of_a_run_is_billed_elsewhere(backend: V2Backend) -> None:
    """Our own processes wait meanwhile: what they use is the launch and some polling."""
    (base,) = backend.parents()
    with Sandbox() as box:
        text = BURN + "\nblock = bytearray(96 << 20)\nfor at in range(0, len(block), 4096): block[at] = 1"
        assert box.run(["python3", "-I", "-S", "-c", text, "0.1"], mem="256M").ok  # warm: the spawner is there
        siblings = [e.path for e in os.scandir(base) if e.is_dir()]
        assert f"{base}/pysandbox-main" in siblings
        before = {s: (usage_us(s), int(Path(s, "memory.current").read_text())) for s in siblings}
        outside_before = usage_us(base)
        result = box.run(["python3", "-I", "-S", "-c", text, "5"], mem="256M")
        after = {s: (usage_us(s), int(Path(s, "memory.current").read_text())) for s in siblings}
        outside = usage_us(base) - outside_before
    assert result.ok, result
    used_us = (result.usage.cpu_ns or 0) // 1000
    assert used_us >= 5_000_000
    for sibling in siblings:
        assert after[sibling][0] - before[sibling][0] < used_us // 4, sibling
        assert after[sibling][1] - before[sibling][1] < 32 * MIB, sibling
    # The base counts all that is below it. Whatever is neither ours nor the program's is the launch: init and setup.
    rest = outside - used_us - sum(after[s][0] - before[s][0] for s in siblings)
    assert rest < used_us // 4, (outside, used_us, rest)


def test_waiting_costs_nothing() -> None:
    """memory.events is always readable: a supervisor that waited for that would use as much CPU as the program."""
    before = time.process_time()
    assert run(["sleep", "5"], mem="64M").ok
    assert time.process_time() - before < 2


def test_time_between_two_looks_is_not_lost() -> None:
    """cpu.stat of the leaf against what the program itself says it used."""
    began = time.monotonic()
    result = python("import time\nwhile time.process_time() < 2: pass\nprint(time.process_time())", time=WAIT_S)
    assert result.ok and result.usage.cpu_ns is not None
    own_ns = float(result.stdout) * 1e9
    assert own_ns <= result.usage.cpu_ns <= (time.monotonic() - began) * 1e9
