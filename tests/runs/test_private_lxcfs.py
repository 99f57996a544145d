"""--proc private. Where /dev/fuse is open to this user it works; where it is not, the error says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import HostError, RequestError, Result, Sandbox, run
from sandbox.lxcfs import PROGRAMS, PrivateLxcfs
from tests.runs.world import SPAWNER_NAME, Process, all_gone, descendants, until

MEMORY = "64M"
TOTAL = f"MemTotal: {64 << 10} kB"
PEELED = "lxcfs died during the run: /proc has shown our own files since then"
LONG_CALLER = Path(__file__).parent / "programs" / "long_caller.py"


def fuse_is_open() -> bool:
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return False
    return any(os.access(program, os.X_OK) for program in PROGRAMS)


works = pytest.mark.skipif(not fuse_is_open(), reason="needs lxcfs and a /dev/fuse that this user may open")


def total(text: bytes | str) -> str:
    """The first line of a meminfo, its blanks squeezed."""
    decoded = text.decode() if isinstance(text, bytes) else text
    return " ".join(decoded.splitlines()[0].split())


def lxcfs_of(box: Sandbox) -> list[PrivateLxcfs]:
    pool = box._warm._lxcfs
    assert pool is not None
    return [one for _spawner, one in pool._kept.values()]


def family(pid: int) -> dict[Process, str]:
    """All processes of a caller, also where a keeper has started its spawner: those in cgroups with its name, and the
    spawner that is the parent of some."""
    found = descendants(pid)
    for process, name in descendants(1).items():
        try:
            inside = f"/pysandbox-{pid}-" in Path(f"/proc/{process[0]}/cgroup").read_text()
        except OSError:
            continue  # it ended
        if inside:
            found[process] = name
    parents = {parent(pid) for (pid, _), name in found.items() if name == "pysandbox-lxcfs"}
    return found | {p: name for p, name in descendants(1).items() if name == SPAWNER_NAME and p[0] in parents}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def cgroups() -> set[str]:
    return {f"{d}/{n}" for d, names, _ in os.walk("/sys/fs/cgroup") for n in names if n.startswith("pysandbox-")}


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(proc="private", mem=MEMORY) as one:
        yield one


# ---- where it cannot work ----


@pytest.mark.skipif(os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse is open here")
def test_a_closed_device_is_named() -> None:
    said = "/dev/fuse cannot be opened: (permission denied|no such file).*an administrator: "
    with pytest.raises(HostError, match=said):
        run(["true"], proc="private", mem=MEMORY)


def test_without_a_cgroup() -> None:
    with pytest.raises(HostError, match="a private lxcfs needs a cgroup.*--proc static"):
        run(["true"], proc="private", cgroup="none")


def test_without_a_user_namespace() -> None:
    with pytest.raises((HostError, RequestError), match="user"):
        run(["true"], proc="private", mem=MEMORY, without=["user"])


# ---- what it shows ----


@works
def test_the_limits_are_shown_and_what_is_used_moves(box: Sandbox) -> None:
    text = (
        "def free(): return int(open('/proc/meminfo').read().split('MemFree:')[1].split()[0])\n"
        "before = free(); kept = b'x' * (24 << 20); print(open('/proc/meminfo').readline(), before - free() > 16 << 10)"
    )
    result = box.run(["python3", "-I", "-S", "-c", text])
    assert result.ok and result.proc == "private" and not result.notes
    assert total(result.stdout) == TOTAL and result.stdout.endswith(b"True\n")


@works
def test_through_the_command(pysandbox: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = pysandbox("run", "--proc", "private", "--mem", MEMORY, "--", "free", "-m")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[:2] == ["Mem:", "64"]


@works
@pytest.mark.parametrize("options", [{"ids": "range"}, {"user": 0}, {"net": "host"}], ids=str)
def test_with_other_options(options: dict[str, object], box: Sandbox) -> None:
    result = box.run(["cat", "/proc/meminfo"], stderr="capture", **options)
    assert result.ok and total(result.stdout) == TOTAL, result


@works
def test_without_a_limit_it_shows_the_host() -> None:
    with Sandbox(proc="private") as box:
        result = box.run(["cat", "/proc/meminfo"])
    assert result.proc == "private" and total(result.stdout) == total(Path("/proc/meminfo").read_text())


@works
def test_each_sees_its_own(box: Sandbox) -> None:
    """One lxcfs for all runs, and each reads through it what limits itself."""
    runs = [box.start(["sh", "-c", "sleep 0.3; cat /proc/meminfo"], mem=f"{32 << n}M") for n in range(3)]
    results = [one.wait() for one in runs]
    for one in runs:
        one.close()
    assert [total(r.stdout) for r in results] == [f"MemTotal: {(32 << 10) << n} kB" for n in range(3)]
    assert len(lxcfs_of(box)) == 1
    names = list(family(os.getpid()).values())
    assert names.count("lxcfs") == 1 and names.count("pysandbox-lxcfs") == 1


@works
def test_the_program_cannot_write_or_reach_it(box: Sandbox) -> None:
    line = "cat /proc/[0-9]*/comm; grep -c fuse.lxcfs /proc/self/mountinfo; echo x >/proc/meminfo"
    result = box.run(["sh", "-c", line], stderr="capture")
    names = result.stdout.split()
    assert b"pysandbox-init" in names and not [name for name in names if b"lxcfs" in name]
    assert names[-1] == b"3" and b"ead-only" in result.stderr


# ---- deaths ----

READ = """
import time
seen, last = [], None
while True:
    try:
        found = open('/proc/meminfo').readline().split()[1]
    except OSError:
        found = 'error'
    if found != last:
        seen.append(found)
    last = found
    own = 'fuse.lxcfs' not in open('/proc/self/mountinfo').read()
    if own and found != 'error':
        break
    time.sleep(0.002)
print(*seen, open('/proc/loadavg').read().strip())
"""


def reading(box: Sandbox, kill: Callable[[], None]) -> Result:
    """A program that reads until lxcfs' layer is gone; ``kill`` is called when it has begun."""
    with box.start(["python3", "-I", "-S", "-c", READ], wall=100) as running:
        watch, end = running.supervision, 0.0
        while not watch.done:
            left = watch.timeout()
            watch.step(0.05 if left is None else min(left, 0.05))
            if watch.began and not end:
                end = time.monotonic() + 0.5
            elif end and end < time.monotonic() and end > 0:
                kill()
                end = -1.0
        return running.result()


@works
@pytest.mark.parametrize("victim", ["pid", "server_pid"])
def test_its_death_breaks_no_run(victim: str, box: Sandbox) -> None:
    """Errors at most for a moment, then our own figures; the outcome is the program's, the next run has a new one."""
    assert box.run(["true"]).ok
    (one,) = lxcfs_of(box)
    result = reading(box, lambda: os.kill(getattr(one, victim), signal.SIGKILL))
    words = result.stdout.decode().split()
    assert result.ok and {*words[:-5]} <= {str(64 << 10), "error"}
    assert words[-5:] == ["0.00", "0.00", "0.00", "1/1", "1"]
    assert result.notes == (PEELED,)
    again = box.run(["cat", "/proc/meminfo"])
    assert again.proc == "private" and not again.notes and total(again.stdout) == TOTAL
    (new,) = lxcfs_of(box)
    assert new.pid != one.pid


@works
def test_all_that_it_left_is_removed_once_its_runs_are_gone(box: Sandbox) -> None:
    before = cgroups()
    assert box.run(["true"]).ok
    (one,) = lxcfs_of(box)
    with box.start(["sleep", "100"]):
        os.kill(one.pid, signal.SIGKILL)
        assert until(lambda: not one.alive())
        assert box.run(["true"]).ok
    of_two = cgroups() - before
    os.kill(lxcfs_of(box)[0].pid, signal.SIGKILL)
    assert until(lambda: not lxcfs_of(box)[0].alive())
    assert box.run(["true"]).ok  # the third, before whose start the two that are dead are cleaned up
    assert len(cgroups() - before) < len(of_two)
    box.close()
    assert cgroups() == before


@works
def test_the_death_of_the_spawner(box: Sandbox) -> None:
    """A new spawner gets a new lxcfs, and what belonged to the old one is removed at once."""
    before = cgroups()
    assert box.run(["true"]).ok
    of_one = len(cgroups() - before)
    (one,) = lxcfs_of(box)
    os.kill(parent(one.server_pid), signal.SIGKILL)
    assert until(lambda: not one.alive())
    again = box.run(["cat", "/proc/meminfo"])
    assert again.proc == "private" and total(again.stdout) == TOTAL
    assert len(lxcfs_of(box)) == 1 and len(cgroups() - before) == of_one


@works
def test_nothing_stays_after_the_end() -> None:
    before = cgroups()
    with Sandbox(proc="private", mem=MEMORY) as box:
        assert box.run(["true"]).ok
        tree = {process: name for process, name in family(os.getpid()).items() if "lxcfs" in name}
        assert len(tree) == 2
    assert not all_gone(tree, 2.0) and until(lambda: cgroups() == before, 2.0)


@works
@pytest.mark.parametrize("victims", ["caller", "spawner", "both"])
def test_nothing_stays_after_a_kill(victims: str) -> None:
    before = cgroups()
    command = [sys.executable, os.fspath(LONG_CALLER), "proc=private", f"mem={MEMORY}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout and process.stdout.readline() == b"up\n"
        tree = family(process.pid)
        assert {"lxcfs", "pysandbox-lxcfs", "pysandbox-spawn", "pysandbox-init"} <= set(tree.values())
        if victims != "caller":
            os.kill(next(pid for (pid, _), name in tree.items() if name == "pysandbox-spawn"), signal.SIGKILL)
        if victims == "spawner":
            process.wait(60)  # it has seen its run die
    finally:
        process.kill()
        process.communicate()
    assert not all_gone(tree, 5.0)
    if victims == "both":  # nobody was left to remove them: the next caller does, at its first run
        with Sandbox(mem=MEMORY) as next_one:
            assert next_one.run(["true"]).ok
    assert until(lambda: cgroups() <= before, 5.0), cgroups() - before
