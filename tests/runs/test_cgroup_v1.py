"""cgroup v1 on the real kernel, in a delegated subtree, as an unprivileged user.

Root makes a subtree for a uid that nobody has, runs each body in a forked child of that uid, and takes
the subtree away again. An ordinary user needs the one that `sudo pysandbox setup` made for him. The
programs are forked functions: what a sandbox's init does to enter a leaf is done here by hand.
"""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator

import pytest

from sandbox import admin
from sandbox.cgroup import delegation, files, mounts, names, v1
from sandbox.cgroup.sweep import sweep
from sandbox.errors import HostError, SupervisorError
from sandbox.spec import Limits

Body = Callable[[], None]

UID = 64_321
MIB = 1 << 20

pytestmark = pytest.mark.skipif(not mounts.here().v1.get("memory"), reason="memory is not a v1 controller here")


@pytest.fixture(scope="module")
def as_user() -> Iterator[Callable[[Body], None]]:
    """Runs a body as a user who has nothing but a delegated subtree."""
    if os.geteuid() != 0:
        yield lambda body: body()
        return
    made_before = os.path.isdir(delegation.admin_directory(mounts.here().v1["memory"].point, UID))
    admin.apply(admin.plan_setup(UID), UID)

    def in_child(body: Body) -> None:
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            status = 1
            try:
                os.setgroups([])
                os.setresgid(UID, UID, UID)
                os.setresuid(UID, UID, UID)
                body()
                status = 0
            except BaseException:
                os.write(writer, traceback.format_exc().encode()[-60_000:])
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            report = pipe.read().decode()
        _, status = os.waitpid(pid, 0)
        assert status == 0, report or f"wait status {status}"

    yield in_child
    if not made_before:
        admin.undo(UID)


def backend() -> v1.V1Backend:
    found = delegation.find("auto")
    assert isinstance(found, v1.V1Backend), found.missing("mem")
    for limit in ("mem", "time", "pids", "cpus", "cpuset"):
        assert limit in found.enforces(), found.missing(limit)
    return found


def start(leaf: v1.V1Leaf, program: Body) -> int:
    """Fork, enter the leaf as an init does, run the program, exit with 0."""
    pid = os.fork()
    if not pid:
        status = 111
        try:
            for fd in leaf.attach_fds():
                os.write(fd, b"0")
            program()
            status = 0
        finally:
            os._exit(status)
    return pid


def end(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def burn(seconds: float) -> None:
    while time.process_time() < seconds:
        sum(range(10_000))  # so that it is user time and not the system call above


def sleep_on() -> None:
    time.sleep(60)


def gone(pid: int, within_s: float = 2) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if names.starttime(pid) is None:
            return True
        time.sleep(0.005)
    return False


def leaves_of(found: v1.V1Backend) -> list[str]:
    """Those of this process: other runs may be going on in the same subtree."""
    mine = f"{names.PREFIX}{os.getpid()}-"
    return [f"{p}/{n}" for p in found.parents() for n in os.listdir(p) if n.startswith(mine)]


def oom_is_counted_in_its_own_leaf() -> None:
    found = backend()
    limits = Limits(mem_bytes=32 * MIB)
    leaf, other = found.open(limits), found.open(limits)
    bystander = start(other, lambda: time.sleep(0.2))
    victim = start(leaf, lambda: print(len(bytearray(b"x") * (128 * MIB))))
    assert end(victim) == -signal.SIGKILL
    assert end(bystander) == 0
    poll = select.poll()
    for fd in (*leaf.event_fds(), *other.event_fds()):
        poll.register(fd, select.POLLIN)
    assert [fd for fd, _ in poll.poll(1000)] == list(leaf.event_fds())
    assert (leaf.oom_kills(), other.oom_kills()) == (1, 0)
    usage = leaf.usage(b"")
    assert usage.memory_peak_bytes is not None and 24 * MIB < usage.memory_peak_bytes <= 32 * MIB
    assert usage.oom_kills == 1 and usage.sources["oom_kills"] == "cgroup v1 memory.oom_control oom_kill"
    leaf.close()
    other.close()
    assert leaves_of(found) == []


def page_cache_at_the_limit_is_no_oom() -> None:
    leaf = backend().open(Limits(mem_bytes=32 * MIB))

    def fill() -> None:
        with tempfile.TemporaryFile(dir="/var/tmp") as file:
            for _ in range(80):
                file.write(bytes(MIB))

    assert end(start(leaf, fill)) == 0
    assert leaf.oom_kills() == 0
    peak = leaf.usage(b"").memory_peak_bytes
    assert peak is not None and peak > 28 * MIB, "the cache never reached the limit, so this proves nothing"
    leaf.close()


def refused_forks_are_counted() -> None:
    leaf = backend().open(Limits(pids=5))

    def bomb() -> None:
        children: list[int] = []
        try:
            while len(children) < 20:
                pid = os.fork()
                if not pid:
                    time.sleep(60)
                    os._exit(0)
                children.append(pid)
        except BlockingIOError:
            pass
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os._exit(len(children))

    # The first task stands for the init, which is not counted: five more.
    assert end(start(leaf, bomb)) == 5
    usage = leaf.usage(b"")
    assert usage.pids_denied == 1
    assert usage.processes_peak in (5, None)
    leaf.close()


def time_of_orphans_is_counted() -> None:
    leaf = backend().open(Limits())
    reader, writer = os.pipe()

    def double_fork() -> None:
        for _ in range(2):
            if not os.fork():
                if not os.fork():
                    burn(0.15)
                    os.write(writer, b".")
                os._exit(0)
        os._exit(0)  # neither waits nor is waited for by anyone who counts

    assert end(start(leaf, double_fork)) == 0
    got = b""
    while len(got) < 2:
        got += os.read(reader, 2)
    os.close(reader)
    os.close(writer)
    usage = leaf.usage(b"")
    assert usage.cpu_ns is not None and 300_000_000 <= usage.cpu_ns < 500_000_000
    assert usage.user_ns is not None and usage.system_ns is not None
    # Which of the two is larger says nothing: burn() makes system calls, and the split is sampled by ticks.
    assert usage.user_ns + usage.system_ns == usage.cpu_ns and min(usage.user_ns, usage.system_ns) >= 0
    # the orphans may still be on their way out, which takes time too
    since_baseline = leaf.usage(b"100000000\n").cpu_ns
    assert since_baseline is not None and 0 <= since_baseline - (usage.cpu_ns - 100_000_000) < 50_000_000
    leaf.close()


def quota_throttles_until_the_kill() -> None:
    leaf = backend().open(Limits(cpu_milli=200))
    began = time.monotonic()
    pid = start(leaf, lambda: burn(60))
    time.sleep(0.6)
    used_ns, wall_ns = leaf.cpu_ns(), (time.monotonic() - began) * 1e9
    # A period more than its share is what the first one may give.
    assert used_ns is not None and used_ns < wall_ns * 0.2 + 30_000_000
    leaf.kill()
    os.kill(pid, signal.SIGKILL)
    assert end(pid) == -signal.SIGKILL
    throttled_ns = leaf.usage(b"").throttled_ns
    assert throttled_ns is not None and throttled_ns > 200_000_000
    leaf.close()


def cpuset_binds_and_refuses() -> None:
    found = backend()
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed)
    leaf = found.open(Limits(cpuset=str(cpu)))
    assert (
        end(start(leaf, lambda: os._exit(len(os.sched_getaffinity(0)) + 10 * (cpu in os.sched_getaffinity(0))))) == 11
    )
    leaf.close()
    with pytest.raises(HostError, match="cpuset 8000: cpu 8000 is not among those of /"):
        found.open(Limits(cpuset="8000"))
    assert leaves_of(found) == [], "a failed open must leave nothing"


def orphan_is_swept_and_the_living_spared() -> None:
    found = backend()
    spared = found.open(Limits())
    reader, writer = os.pipe()
    owner = os.fork()
    if not owner:
        orphan = found.open(Limits(mem_bytes=32 * MIB, cpu_milli=100))
        pid = start(orphan, sleep_on)
        while pid not in files.pids(f"{found.parents()[0]}/{orphan._name}/cgroup.procs"):
            time.sleep(0.001)
        os.write(writer, f"{pid} {orphan._name}".encode())
        os._exit(0)
    pid_text, name = os.read(reader, 300).decode().split()
    os.close(reader)
    os.close(writer)
    end(owner)
    removed = sweep(found)
    assert [path for path in removed if path.endswith(name)], removed
    assert not [parent for parent in found.parents() if os.path.exists(f"{parent}/{name}")]
    assert gone(int(pid_text))
    assert leaves_of(found), "our own leaf is not an orphan"
    assert not [path for path in sweep(found) if path.endswith(name)]
    spared.close()
    assert leaves_of(found) == []


def busy_leaf_is_reported_and_can_be_closed_later() -> None:
    found = backend()
    leaf = found.open(Limits())
    pid = start(leaf, sleep_on)
    deadline = time.monotonic() + 5
    last = f"{found.parents()[1]}/{leaf._name}/cgroup.procs"
    while pid not in files.pids(last) and time.monotonic() < deadline:
        time.sleep(0.001)
    with pytest.raises(SupervisorError, match=rf"cannot remove /.*: still busy after 300 ms \(processes: {pid}\)"):
        leaf.close()
    os.kill(pid, signal.SIGKILL)
    end(pid)
    leaf.close()
    leaf.close()
    assert leaves_of(found) == []


def no_fd_stays() -> None:
    found = backend()
    found.open(Limits(mem_bytes=32 * MIB)).close()
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        leaf = found.open(Limits(mem_bytes=32 * MIB, cpu_milli=500, cpuset=str(max(os.sched_getaffinity(0)))))
        leaf.usage(b"")
        leaf.close()
    assert os.listdir("/proc/self/fd") == before


def subtree_of_another_user_is_refused_with_its_name() -> None:
    with pytest.raises(HostError, match=r"cgroup / is not usable: /\S+ belongs to uid 0 and is not writable by uid"):
        delegation.find("/")


BODIES = [
    oom_is_counted_in_its_own_leaf,
    page_cache_at_the_limit_is_no_oom,
    refused_forks_are_counted,
    time_of_orphans_is_counted,
    quota_throttles_until_the_kill,
    cpuset_binds_and_refuses,
    orphan_is_swept_and_the_living_spared,
    busy_leaf_is_reported_and_can_be_closed_later,
    no_fd_stays,
    subtree_of_another_user_is_refused_with_its_name,
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_v1(body: Body, as_user: Callable[[Body], None]) -> None:
    as_user(body)
