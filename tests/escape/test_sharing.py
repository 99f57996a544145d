"""Two sandboxes at once: nothing of one is seen in the other (rule 10), also where no filter helps."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox

POLICIES = pytest.mark.parametrize("policy", ["default", "none"])

# Everything that could be found by a name or number that two sandboxes have in common.
LEAVE = """
import fcntl, socket
shm = call("shmget", 0x5053, 4096, 0o1666)
sem = call("semget", 0x5053, 1, 0o1666)
queue = call("msgget", 0x5053, 0o1666)
mq = call("mq_open", "pysandbox", 0o102, 0o666, 0)
names = [shm, sem, queue, mq]
for path in ("/dev/shm/mark", "/tmp/mark", "/work/mark"):
    open(path, "w").write("left")
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0pysandbox")
abstract.listen()
tcp = socket.socket()
tcp.bind(("127.0.0.1", 17654))
tcp.listen()
lock = os.open("/tmp/lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
memory = os.memfd_create("left")
key = call("add_key", "user", "pysandbox", "secret", 6, -3)
out = {"names": [n >= 0 for n in names], "key": key > 0, "pid": os.getpid()}
"""
WAIT = "\nprint(json.dumps(out), flush=True)\nsys.stdin.read()\nout = 'end'"

LOOK = """
import fcntl, socket
out["shm"] = call("shmget", 0x5053, 4096, 0)
out["sem"] = call("semget", 0x5053, 1, 0)
out["queue"] = call("msgget", 0x5053, 0)
out["mq"] = call("mq_open", "pysandbox", 2, 0, 0)
out["files"] = [name for place in ("/dev/shm", "/tmp", "/work") for name in os.listdir(place)]
def connect(one, address):
    return tried(lambda: one.connect(address))
out["abstract"] = connect(socket.socket(socket.AF_UNIX), "\\0pysandbox")
out["tcp"] = connect(socket.socket(), ("127.0.0.1", 17654))
out["unix"] = text("/proc/net/unix").count("\\n")
lock = os.open("/tmp/lock", os.O_RDWR | os.O_CREAT)
out["flock"] = tried(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
out["locks"] = text("/proc/locks").count("\\n")
out["pids"] = sorted(int(p) for p in os.listdir("/proc") if p.isdigit())
out["sysvipc"] = [text("/proc/sysvipc/" + kind).count("\\n") for kind in ("shm", "sem", "msg")]
out["key"] = call("request_key", "user", "pysandbox", 0, 0)
"""
EXPECTED = {"shm": -2, "sem": -2, "queue": -2, "mq": -2, "files": [], "abstract": -111, "tcp": -111, "unix": 1,
            "flock": None, "locks": 0, "pids": [1, 2], "sysvipc": [1, 1, 1]}  # fmt: skip


@pytest.fixture
def occupied(box: Sandbox, command: Callable[[str], list[str]]) -> Iterator[Callable[..., Any]]:
    """``occupied(policy=…)``: another sandbox that has left all its marks and still runs."""
    pipes: list[int] = []
    threads = []
    results: list[Any] = []

    def start(code: str = LEAVE, **options: Any) -> Any:
        stdin, hold = os.pipe()
        ready, stdout = os.pipe()
        pipes.extend([hold, stdin, ready, stdout])
        thread = threading.Thread(
            target=lambda: results.append(box.run(command(code + WAIT), stdin=stdin, stdout=stdout, **options))
        )
        thread.start()
        threads.append(thread)
        with os.fdopen(os.dup(ready)) as lines:
            return json.loads(lines.readline())

    yield start
    for hold in pipes[::4]:
        os.close(hold)
    for thread in threads:
        thread.join()
    for number, fd in enumerate(pipes):
        if number % 4:
            os.close(fd)
    assert all(result.ok for result in results), results


@POLICIES
def test_marks_of_another_sandbox(policy: str, occupied: Any, inside: Any) -> None:
    left = occupied(policy=policy)
    assert all(left["names"])
    out = inside(LOOK, policy=policy)
    key = out.pop("key")
    assert key == -1 if policy == "default" else key < 0, key
    assert out == EXPECTED


def test_the_marks_are_seen_where_they_were_left(inside: Any) -> None:
    """Or the test above would pass because nothing of it can be seen at all."""
    out = inside(
        LEAVE + LOOK.replace("import fcntl, socket", "left, out = out, {}") + "\nout['left'] = left", policy="none"
    )
    assert all(out["left"]["names"]) and out["left"]["key"]
    assert all(out[name] >= 0 for name in ("shm", "sem", "queue", "mq", "key"))
    assert out["abstract"] is None and out["tcp"] is None
    assert sorted(out["files"]) == ["lock", "mark", "mark", "mark"]
    assert out["flock"] == -11 and out["locks"] == 0 and out["sysvipc"] == [2, 2, 2]


def test_keys_with_no_filter(box: Sandbox, inside: Any) -> None:
    """A key of one run is in nobody's keyring later: sessions are new, and user keyrings belong to the namespace."""
    add = """
rings = {"thread": -1, "process": -2, "session": -3, "user": -4, "user session": -5}
for name, ring in rings.items():
    out[name] = call("add_key", "user", "pysandbox-" + name, "secret", 6, ring)
out["links"] = call("keyctl", 8, -4, -3)
"""
    look = """
for name in ("thread", "process", "session", "user", "user session"):
    for ring in (-3, -4, -5):
        out[f"{name} {ring}"] = call("keyctl", 10, ring, "user", "pysandbox-" + name, 0)
    out[name] = call("request_key", "user", "pysandbox-" + name, 0, 0)
"""
    added = inside(add, policy="none")
    assert all(number > 0 for name, number in added.items() if name != "links"), added
    found = inside(look, policy="none")
    assert {name: number for name, number in found.items() if number >= 0} == {}
    assert min(inside(look, policy="default").values()) == max(inside(look, policy="default").values()) == -1


@pytest.mark.parametrize("ids", ["single", "range"])
@POLICIES
def test_keys_of_the_caller(policy: str, ids: str, numbers: dict[str, int]) -> None:
    """The caller's session keyring is not inherited, and a key cannot be read by its number.

    Without a filter a program with the caller's own id can still see what a key is called: the kernel
    lets every process of its owner do that.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    name = b"pysandbox-caller-%d" % os.getpid()
    assert libc.syscall(numbers["keyctl"], 1, None, 0, 0, 0) > 0  # a session keyring of this process
    serial = libc.syscall(numbers["add_key"], b"user", name, b"secret", 6, -3)
    assert serial > 0
    try:
        with Sandbox() as fresh:  # its spawner starts with this session
            result = fresh.run(
                [
                    "/usr/bin/python3",
                    "-IS",
                    "-c",
                    f"""
import ctypes
libc = ctypes.CDLL(None)
found = libc.syscall({numbers["keyctl"]}, 10, -3, b"user", {name!r}, 0)
buffer = ctypes.create_string_buffer(64)
print(found, libc.syscall({numbers["keyctl"]}, 11, {serial}, buffer, 64),
      libc.syscall({numbers["keyctl"]}, 6, {serial}, buffer, 64))
""",
                ],
                policy=policy,
                ids=ids,
            )
        found = result.stdout.split()
        assert found[:2] == [b"-1", b"-1"], result
        assert found[2] == b"-1" or (policy, ids) == ("none", "single"), result
    finally:
        libc.syscall(numbers["keyctl"], 9, serial, -3)


@POLICIES
def test_a_lock_in_a_shared_directory_is_shared(policy: str, occupied: Any, inside: Any, tmp_path: Path) -> None:
    """What was asked for is shared: the same file, the same lock. The other side of the tests above."""
    (tmp_path / "lock").touch()
    take = """
import fcntl
lock = os.open("/mnt/a/lock", os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
"""
    occupied(take, volumes=[f"{tmp_path}:/mnt/a:rw"], policy=policy)
    out = inside("import fcntl\nlock = os.open('/mnt/a/lock', os.O_RDWR)\n"
                 "out = tried(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))",
                 volumes=[f"{tmp_path}:/mnt/a:rw"], policy=policy)  # fmt: skip
    assert out == -11


@POLICIES
def test_the_network_of_the_host(policy: str, inside: Any) -> None:
    """Rule 11: an abstract socket and a port of the caller's are not there; the only interface is loopback."""
    import socket

    with socket.socket(socket.AF_UNIX) as abstract, socket.socket() as tcp:
        abstract.bind(f"\0pysandbox-{os.getpid()}")
        abstract.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        out = inside(
            f"""
import socket
out["abstract"] = tried(lambda: socket.socket(socket.AF_UNIX).connect("\\0pysandbox-{os.getpid()}"))
out["tcp"] = tried(lambda: socket.socket().connect(("127.0.0.1", {tcp.getsockname()[1]})))
out["names"] = [name for _, name in socket.if_nameindex()]
out["away"] = tried(lambda: socket.socket().connect(("192.0.2.1", 80)))
out["raw"] = call("socket", 2, 3, 1)
plain = socket.socket()
out["configure"] = call("ioctl", plain.fileno(), 0x8914, b"lo" + bytes(14) + b"\\0\\0" + bytes(22))
""",
            policy=policy,
        )
    assert out == {"abstract": -111, "tcp": -111, "names": ["lo"], "away": -101, "raw": -1, "configure": -1}
