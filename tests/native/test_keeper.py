"""The keeper without systemd, started by hand and without a cgroup: whom it serves, what a spawner of it has,
who dies with whom. What a subtree is for is tested on a host with systemd (tests/vm)."""

from __future__ import annotations

import array
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox.native._core import ffi, lib

from sandbox.errors import HostError, SandboxError, SupervisorError
from sandbox.executable import executable
from sandbox.keeper import client
from sandbox.native.spawn import Spawner

TREE = Path(__file__).resolve().parent.parent.parent
HELLO_BYTES = ffi.sizeof("struct pysb_keep_hello")
WANT_BYTES = ffi.sizeof("struct pysb_keep_want")
MAPS = {"uid_map": f"0 {os.getuid()} 1", "gid_map": f"0 {os.getgid()} 1"}


class Hand:
    """A keeper that was started by hand."""

    def __init__(self, directory: Path, idle_ms: int = 60_000) -> None:
        self.path = str(directory / "socket")
        self.process = subprocess.Popen([executable(), "keep", self.path, "", str(idle_ms)])
        end = time.monotonic() + 10
        while not os.path.exists(self.path):
            assert self.process.poll() is None and time.monotonic() < end
            time.sleep(0.005)

    def connect(self) -> client.Keeper:
        keeper = client.connect(self.path)
        assert keeper is not None
        return keeper

    def raw(self) -> socket.socket:
        """A connection without the manners of ``client.Keeper``, its hello read."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(10)
        connection.connect(self.path)
        assert len(connection.recv(HELLO_BYTES + 1)) == HELLO_BYTES
        return connection

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def keeper() -> Iterator[Callable[..., Hand]]:
    """``keeper()`` starts one that ends with the test."""
    started: list[Hand] = []

    def start(**options: Any) -> Hand:
        # sun_path has 108 bytes, and tmp_path may be long
        directory = Path(f"/tmp/keeper-test-{os.getpid()}-{len(started)}")
        directory.mkdir(mode=0o700)
        started.append(Hand(directory, **options))
        return started[-1]

    yield start
    for hand in started:
        hand.end()
        Path(hand.path).unlink(missing_ok=True)
        os.rmdir(os.path.dirname(hand.path))


def gone(pid: int, seconds: float = 10) -> bool:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        watch = select.poll()
        watch.register(fd, select.POLLIN)
        return bool(watch.poll(seconds * 1000))
    finally:
        os.close(fd)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int) -> list[int]:
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def wait_for(what: Callable[[], object], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def python(code: str, **options: Any) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(TREE)}
    command = [*options.pop("before", ()), sys.executable, "-P", "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, **options)


def test_a_spawner_of_it_serves_as_any_other(keeper: Callable[..., Hand], wire: Any, status_run: Any) -> None:
    hand = keeper()
    one = wire(keeper=hand.connect())
    assert children(hand.process.pid) == [one.spawner.pid] and os.getsid(one.spawner.pid) == one.spawner.pid
    for _ in range(5):
        answer = one.good(status_run)
        assert lib.PYSB_ENDED in answer.kinds and b"NoNewPrivs:\t1" in answer.output
    assert one.spawner.alive()
    pid = one.spawner.pid
    one.close()
    assert gone(pid) and wait_for(lambda: not children(hand.process.pid)), "a zombie stays"


def test_maps_by_the_caller(keeper: Callable[..., Hand]) -> None:
    """As with ids=range, whose helpers are given the pid of the spawner."""
    seen = []

    def write(pid: int) -> None:
        seen.append(pid)
        Path(f"/proc/{pid}/setgroups").write_text("deny")
        Path(f"/proc/{pid}/uid_map").write_text(MAPS["uid_map"])
        Path(f"/proc/{pid}/gid_map").write_text(MAPS["gid_map"])

    spawner = Spawner(write_maps=write, keeper=keeper().connect())
    with pytest.raises(HostError):  # setgroups(2), which such a spawner calls, is denied: it says so and is gone
        spawner.wait_ready()
    assert seen == [spawner.pid] and not spawner.alive()


def test_what_a_child_would_have_inherited(keeper: Callable[..., Hand]) -> None:
    """Limits below the keeper's, niceness, CPUs, oom_score_adj."""
    hand = keeper()
    code = f"""
import os, resource
from sandbox.keeper import client
from sandbox.native.spawn import Spawner
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 8192))
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
os.nice(5)
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
open("/proc/self/oom_score_adj", "w").write("123")
def show(pid):
    print(os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid),
          open(f"/proc/{{pid}}/oom_score_adj").read().strip())
spawner = Spawner(uid_map={MAPS["uid_map"]!r}, gid_map={MAPS["gid_map"]!r}, keeper=client.connect({hand.path!r}))
spawner.wait_ready()
show(os.getpid())
lines = open(f"/proc/{{spawner.pid}}/limits").read().splitlines()
print([line.split() for line in lines if line.startswith(("Max file size", "Max open files"))])
show(spawner.pid)
"""
    done = python(code)
    out, _ = done.communicate(timeout=30)
    assert done.returncode == 0
    own, limits, rest = out.splitlines()
    assert own == rest and rest.startswith("5 {") and rest.endswith("} 123")
    # a spawner raises its own soft limit of files to the hard one, wherever it comes from
    assert limits == str([
        ["Max", "file", "size", "4096", "8192", "bytes"], ["Max", "open", "files", "300", "300", "files"]
    ])  # fmt: skip


def test_a_limit_above_the_keepers_is_the_keepers() -> None:
    """Only root could raise it; the spawner starts all the same."""
    path = f"/tmp/keeper-test-{os.getpid()}-low"
    words = [executable(), "keep", path, "", "60000"]
    low = subprocess.Popen(["prlimit", "--fsize=1000000:1000000", *words])
    try:
        assert wait_for(lambda: os.path.exists(path))
        connected = client.connect(path)
        assert connected is not None
        spawner = Spawner(**MAPS, keeper=connected)
        spawner.wait_ready()
        limits = Path(f"/proc/{spawner.pid}/limits").read_text()
        assert "Max file size             1000000              1000000" in limits
        spawner.close()
        connected.close()
    finally:
        low.kill()
        low.wait()
        os.unlink(path)


CALLER = """
import sys, time
from sandbox import Sandbox
from sandbox.keeper import client
box = Sandbox()
box._spawner_kept = client.connect(sys.argv[1])
from sandbox.userns import start_spawner
box.adopt(start_spawner(ids="single", user=True, net=True, keeper=box._spawner_kept), ids="single", user=True, net=True)
running = box.start(["sleep", "1000"])
while not running.supervision.began:
    running.supervision.step(1)
print("up", flush=True)
try:
    print(running.wait().outcome)
except Exception as error:
    print(type(error).__name__, error, flush=True)
    # and the object recovers, with a child of its own
    print(box.run(["echo", "again"]).stdout)
"""


def caller(hand: Hand) -> subprocess.Popen[str]:
    process = python(f"import sys; sys.argv[1:] = [{hand.path!r}]\n{CALLER}")
    assert process.stdout and process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_spawner_dies_with_its_caller(keeper: Callable[..., Hand], number: int) -> None:
    hand = keeper()
    first, second = caller(hand), caller(hand)
    with first, second:
        spawners = {pid: descendants(pid) for pid in children(hand.process.pid)}
        assert len(spawners) == 2 and all(len(below) >= 2 for below in spawners.values())
        first.send_signal(number)
        assert wait_for(lambda: len(children(hand.process.pid)) == 1)
        (left,) = children(hand.process.pid)
        for pid, below in spawners.items():
            for each in [pid, *below]:
                assert gone(each, 10 if pid != left else 0) == (pid != left)
        second.kill()
        assert wait_for(lambda: not children(hand.process.pid))


def test_spawners_die_with_the_keeper(keeper: Callable[..., Hand]) -> None:
    hand = keeper()
    with caller(hand) as process:
        assert process.stdout
        below = descendants(hand.process.pid)
        assert len(below) >= 3
        hand.process.kill()
        hand.process.wait()
        assert all(gone(pid) for pid in below)
        said, again = process.stdout.read().splitlines()
        assert said.startswith("SupervisorError "), said
        assert again == r"b'again\n'"


def test_a_dead_keeper_is_noticed(keeper: Callable[..., Hand]) -> None:
    hand = keeper()
    connected = hand.connect()
    assert connected.alive()
    hand.process.kill()
    hand.process.wait()
    assert not connected.alive()
    with pytest.raises(SupervisorError, match=f"the keeper \\(pid {hand.process.pid}\\) gives no spawner"):
        Spawner(**MAPS, keeper=connected)
    assert client.connect(hand.path) is None


def test_it_leaves_when_nobody_needs_it(keeper: Callable[..., Hand]) -> None:
    hand = keeper(idle_ms=200)
    connected = hand.connect()
    time.sleep(0.5)
    assert hand.process.poll() is None, "it left although somebody was connected"
    spawner = Spawner(**MAPS, keeper=connected)
    spawner.wait_ready()
    connected.close()
    time.sleep(0.5)
    assert hand.process.poll() is None and spawner.alive(), "it left although it had a spawner"
    spawner.close()
    assert hand.process.wait(10) == 0
    assert not os.path.exists(hand.path)


def test_a_child_of_fork_is_not_connected(keeper: Callable[..., Hand]) -> None:
    """The keeper takes it for its parent, whose death would end its spawners."""
    connected = keeper().connect()
    pid = os.fork()
    if not pid:
        os._exit(0 if not connected.alive() else 1)
    assert os.waitpid(pid, 0)[1] == 0 and connected.alive()


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (("unshare", "-U", "--map-current-user"), "is in another user namespace"),
        (("unshare", "-U", "--map-current-user", "-m"), "is in another user namespace"),
    ],
)
def test_other_namespaces_are_refused(keeper: Callable[..., Hand], before: tuple[str, ...], why: str) -> None:
    hand = keeper()
    code = f"""
from sandbox.keeper import client
from sandbox.errors import HostError
try:
    client.connect({hand.path!r})
except HostError as error:
    print(error)
"""
    process = python(code, before=before)
    out, _ = process.communicate(timeout=30)
    assert why in out and out.endswith("; run it under `systemd-run --user --scope -p Delegate=yes`\n")


def test_one_that_has_moved_since_is_hung_up_on(keeper: Callable[..., Hand]) -> None:
    """What was seen at the connection may not be so any more."""
    code = f"""
import ctypes, os
from sandbox.keeper import client
from sandbox.native.spawn import Spawner
keeper = client.connect({keeper().path!r})
assert keeper.alive()
assert ctypes.CDLL(None).unshare(0x10000000) == 0  # CLONE_NEWUSER
try:
    Spawner(uid_map="0 0 1", gid_map="0 0 1", keeper=keeper)
except Exception as error:
    print(type(error).__name__)
"""
    process = python(code)
    out, _ = process.communicate(timeout=30)
    assert out == "SupervisorError\n"


def test_one_that_cannot_be_looked_at_is_refused(keeper: Callable[..., Hand]) -> None:
    hand = keeper()
    code = f"""
import ctypes
from sandbox.keeper import client
from sandbox.errors import HostError
assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE
try:
    client.connect({hand.path!r})
except HostError as error:
    print(error)
"""
    process = python(code)
    out, _ = process.communicate(timeout=30)
    assert out.startswith("this process hides its namespaces from the keeper: permission denied")


def want(**changed: object) -> bytes:
    words = ffi.new("struct pysb_keep_want *")
    assert lib.core_keeper_inherit(words) == 0
    words.flags = lib.PYSB_KEEP_WANT_USER
    words.uid_map, words.gid_map = MAPS["uid_map"].encode(), MAPS["gid_map"].encode()
    for name, value in changed.items():
        setattr(words, name, value)
    return bytes(ffi.buffer(words))


def send(connection: socket.socket, message: bytes, fds: int = 1) -> tuple[bytes, int]:
    """The answer (b"" after a hang-up) and how many fds came with it, with a control socket that nobody reads."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, theirs:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()] * fds))] if fds else []
        connection.sendmsg([message], rights)
        try:
            answer, ancillary, _flags, _address = connection.recvmsg(64, socket.CMSG_SPACE(8))
        except ConnectionResetError:
            return b"", 0
        got = array.array("i", b"".join(data for _level, _kind, data in ancillary))
        for fd in got:
            os.close(fd)
        return answer, len(got)


def test_messages_that_are_none_end_the_connection(keeper: Callable[..., Hand]) -> None:
    hand = keeper()
    good = want()
    bad: list[tuple[bytes, int]] = [
        (b"x", 1), (good[:-1], 1), (good + b"x", 1), (good, 0), (good, 2), (bytes(WANT_BYTES), 1),
        (b"\xff" * WANT_BYTES, 1),
        (want(protocol=0), 1), (want(flags=4), 1), (want(cpu_bytes=lib.PYSB_KEEP_CPU_BYTES + 1), 1),
        (want(uid_map=b"1" * 64), 1), (want(gid_map=b"1" * 64), 1), (want(oom_score_adj=1001), 1),
    ]  # fmt: skip
    for message, fds in bad:
        with hand.raw() as connection:
            assert send(connection, message, fds) == (b"", 0), (message[:64], fds)
    with hand.raw() as connection:
        answer, fds = send(connection, good)
        assert answer[:4] == bytes(4) and fds == 1
    assert wait_for(lambda: not children(hand.process.pid)), "only the good one had a spawner"
    assert len(os.listdir(f"/proc/{hand.process.pid}/fd")) < 12


def test_what_cannot_be_inherited_is_said(keeper: Callable[..., Hand]) -> None:
    """No CPU of the mask exists: a HostError with errno, not a spawner that ends without a word."""
    hand = keeper()
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = want(cpu_bytes=8, cpus=bytes(lib.PYSB_KEEP_CPU_BYTES))
    with mine, theirs, hand.raw() as connection:
        mine.settimeout(10)
        connection.sendmsg([words], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
        assert mine.recv(64) == b"EK" + (22).to_bytes(4, "little")
    from sandbox.diagnose import spawner_failed

    assert "invalid argument; run it under" in str(spawner_failed("K", 22))


def test_more_clients_than_it_has_room_for(keeper: Callable[..., Hand]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * lib.PYSB_KEEP_CLIENTS:
        pytest.skip("RLIMIT_NOFILE")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    hand = keeper()
    connections = []
    try:
        for _ in range(lib.PYSB_KEEP_CLIENTS):
            connections.append(hand.connect())
        with pytest.raises(HostError, match=f"serves {lib.PYSB_KEEP_CLIENTS} callers already"):
            hand.connect()
        connections.pop().close()
        assert wait_for(lambda: _welcome(hand))
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _welcome(hand: Hand) -> bool:
    try:
        hand.connect().close()
    except SandboxError:
        return False
    return True


def test_who_answers_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_MS", 100)
    path = f"/tmp/keeper-test-{os.getpid()}-mute"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute:
        mute.bind(path)
        try:
            mute.listen()
            with pytest.raises(HostError, match="does not answer as it should: connection timed out"):
                client.connect(path)
        finally:
            os.unlink(path)


def test_its_socket_is_for_its_user(keeper: Callable[..., Hand]) -> None:
    assert os.stat(keeper().path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words", [("keep",), ("keep", "/nowhere/socket", ""), ("keep", "a", "b", "c", "d", "e")])
def test_wrong_words_are_refused(words: tuple[str, ...]) -> None:
    assert subprocess.run([executable(), *words], check=False).returncode == 2


def test_no_socket_no_keeper() -> None:
    assert subprocess.run([executable(), "keep", "/nowhere/socket", "", "1000"], check=False).returncode == 7
    assert subprocess.run([executable(), "keep", "/nowhere/socket", "/nowhere", "1000"], check=False).returncode == 6


def test_a_spawner_wants_a_pidfd() -> None:
    """The word pidfd alone, without an fd 4, starts nothing."""
    done = subprocess.run([executable(), "pidfd", "user", "net", MAPS["uid_map"], MAPS["gid_map"]], check=False)
    assert done.returncode == 3
