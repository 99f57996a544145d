"""isolation="landlock" from inside: the caller's uid, the host's files, processes and network, all out of reach.

Every attack is also made from outside (``outside()``), or a test would pass because it can never work.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.host import probe

ABI = probe().landlock
pytestmark = pytest.mark.skipif(ABI < 3, reason="this kernel has no Landlock that is enough")
POLICIES = pytest.mark.parametrize("policy", ["default", "none"])


@pytest.fixture(scope="module")
def alone() -> Iterator[Sandbox]:
    with Sandbox(wall=60, isolation="landlock") as one:
        yield one


@pytest.fixture
def within(alone: Sandbox, command: Callable[[str], list[str]]) -> Callable[..., Any]:
    def run(code: str, **options: Any) -> Any:
        result = alone.run(command(code), **options)
        assert result.ok, f"{result!r}: {result.stderr.decode(errors='replace')}"
        return json.loads(result.stdout.splitlines()[-1])

    return run


@pytest.fixture
def outside(command: Callable[[str], list[str]]) -> Callable[[str], Any]:
    def run(code: str) -> Any:
        argv = [sys.executable, *command(code)[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout.splitlines()[-1])

    return run


FILES = """
os.chdir(PLACE)
out["read"] = tried(lambda: os.close(os.open("secret", os.O_RDONLY)))
out["list"] = tried(lambda: len(os.listdir(".")) and None)
out["write"] = tried(lambda: os.close(os.open("secret", os.O_WRONLY)))
out["truncate"] = tried(lambda: os.truncate("secret", 0))
out["create"] = tried(lambda: os.close(os.open("new", os.O_WRONLY | os.O_CREAT)))
out["mkdir"] = tried(lambda: os.mkdir("new.d"))
out["symlink"] = tried(lambda: os.symlink("a", "new.l"))
out["fifo"] = tried(lambda: os.mkfifo("new.p"))
out["link"] = tried(lambda: os.link("secret", "new.h"))
out["rename"] = tried(lambda: os.rename("other", "moved"))
out["unlink"] = tried(lambda: os.unlink("moved" if os.path.exists("moved") else "other"))
out["rmdir"] = tried(lambda: os.rmdir("empty"))
out["exec"] = tried(lambda: os.spawnv(os.P_WAIT, os.path.abspath("tool"), ["tool"]) and None)
for name, call_it in {
    "chmod": lambda: os.chmod("secret", 0o600), "fchmod": lambda: os.fchmod(os.open("/proc/self/exe", os.O_RDONLY), 0),
    "chown": lambda: os.chown("secret", -1, os.getgid()), "utime": lambda: os.utime("secret", (1, 1)),
    "setxattr": lambda: os.setxattr("secret", "user.a", b"b"),
}.items():
    out[name] = tried(call_it)
out["fchmodat2"] = call(452, -100, "secret", 0o600, 0)
"""


@POLICIES
def test_files_that_were_not_shared(policy: str, within: Any, outside: Any, tmp_path: Path) -> None:
    for name in ("secret", "other", "tool"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "tool").chmod(0o700)
    (tmp_path / "empty").mkdir()
    code = f"PLACE = {str(tmp_path)!r}\n{FILES}"
    before = {p.name: p.stat() for p in tmp_path.iterdir()}
    out = within(code, policy=policy)
    exec_status = out.pop("exec")
    assert exec_status is None or exec_status in (127, -errno.EACCES)
    assert {p.name for p in tmp_path.iterdir()} == set(before)
    for name, stat in before.items():
        now = (tmp_path / name).stat()
        assert (now.st_mode, now.st_mtime_ns, now.st_size, now.st_nlink) == (
            stat.st_mode, stat.st_mtime_ns, stat.st_size, stat.st_nlink)  # fmt: skip
    assert set(out.values()) <= {-errno.EACCES, -errno.EPERM, -errno.ENOSYS, -errno.EXDEV}, out
    done = {name for name, value in outside(code).items() if value in (None, 0)}
    assert done >= {"read", "list", "write", "truncate", "create", "rename", "unlink", "chmod", "utime", "rmdir"}


PROCESSES = """
import ctypes
out["environ"] = tried(lambda: text(f"/proc/{PID}/environ") and None)
out["mem"] = tried(lambda: os.close(os.open(f"/proc/{PID}/mem", os.O_RDONLY)))
out["fd"] = tried(lambda: os.readlink(f"/proc/{PID}/fd/0") and None)
out["cwd"] = tried(lambda: os.listdir(f"/proc/{PID}/cwd") and None)
out["oom"] = tried(lambda: os.close(os.open(f"/proc/{PID}/oom_score_adj", os.O_WRONLY)))
out["ptrace"] = call("ptrace", 16, PID, 0, 0)
buffer = ctypes.create_string_buffer(16)
out["prlimit"] = call("prlimit64", PID, 0, 0, buffer)
out["affinity"] = tried(lambda: os.sched_setaffinity(PID, [0]))
out["priority"] = tried(lambda: os.setpriority(os.PRIO_PROCESS, PID, 1))
out["of the uid"] = tried(lambda: os.setpriority(os.PRIO_USER, 0, 0))
out["pidfd_getfd"] = call("pidfd_getfd", os.pidfd_open(PID), 0, 0)
out["kill"] = tried(lambda: os.kill(PID, 18))
"""


@POLICIES
def test_processes_of_the_caller(policy: str, within: Any, outside: Any) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as victim:
        code = f"PID = {victim.pid}\n{PROCESSES}"
        out, done = within(code, policy=policy), outside(code)
    if ABI < 6:
        assert out.pop("kill") is None  # as the notes of the result say
    assert set(out.values()) <= {-errno.EPERM, -errno.EACCES, -errno.ENOSYS}, out
    assert {n for n, v in done.items() if v is None or v >= 0} >= {"environ", "oom", "prlimit", "affinity", "kill"}


SOCKETS = """
import socket
def connect(family, kind, address):
    def attempt():
        with socket.socket(family, kind) as one:
            one.connect(address)
    return tried(attempt)
out["unix"] = connect(socket.AF_UNIX, socket.SOCK_STREAM, PATH)
out["datagram"] = connect(socket.AF_UNIX, socket.SOCK_DGRAM, PATH + ".d")
out["abstract"] = connect(socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + NAME)
out["tcp"] = connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", PORT))
out["udp"] = connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", PORT))
out["netlink"] = tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close())
def pair(kind, address, alone=False):
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    if alone:
        other.close()
    one.connect(address)
for alone in (False, True):
    out[f"stream pair {alone}"] = tried(lambda: pair(socket.SOCK_STREAM, PATH, alone))
    out[f"packet pair {alone}"] = tried(lambda: pair(socket.SOCK_SEQPACKET, PATH + ".p", alone))
out["datagram pair"] = tried(lambda: pair(socket.SOCK_DGRAM, PATH + ".d"))
out["raw pair"] = tried(lambda: pair(socket.SOCK_RAW, PATH + ".d"))
one, other = socket.socketpair()
one.sendall(b"x")
out["talk"] = other.recv(1) == b"x"
"""


@pytest.mark.parametrize("net", ["none", "host"])
@POLICIES
def test_sockets_of_the_host(policy: str, net: str, within: Any, outside: Any, tmp_path: Path) -> None:
    """Whoever listens on a socket in the file system takes the program for the caller: the user's systemd, for one."""
    path, name = str(tmp_path / "socket"), f"pysandbox-{os.urandom(4).hex()}"
    with (
        socket.socket(socket.AF_UNIX) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        for one, address in ((stream, path), (packets, path + ".p"), (abstract, "\0" + name)):
            one.bind(address)
            one.listen()
        datagram.bind(path + ".d")
        code = f"PATH, NAME, PORT = {path!r}, {name!r}, {tcp.getsockname()[1]}\n{SOCKETS}"
        out = within(code, net=net, policy=policy)
        assert out.pop("talk")
        assert {out.pop(f"{kind} pair {alone}") for kind in ("stream", "packet") for alone in (False, True)} == {
            -errno.EISCONN}  # fmt: skip
        by_name = {out.pop(kind) for kind in ("tcp", "udp", "netlink")}
        assert by_name == ({-errno.EACCES} if net == "none" else {None})
        assert set(out.values()) == {-errno.EACCES}, out
        assert outside(code)["datagram pair"] is None and outside(code)["unix"] is None


@POLICIES
def test_what_goes_by_the_uid(policy: str, within: Any) -> None:
    code = """
out["shm"] = call("shmget", 0x5053, 4096, 0o1600)
out["sem"] = call("semget", 0x5053, 1, 0o1600)
out["msg"] = call("msgget", 0x5053, 0o1600)
out["mq"] = call("mq_open", "pysandbox", 0o102, 0o600, 0)
out["key"] = call("add_key", "user", "a", "b", 1, -4)
out["ring"] = call("io_uring_setup", 1, 0)
"""
    assert set(within(code, policy=policy).values()) <= {-errno.ENOSYS, -errno.EPERM}


@POLICIES
def test_a_read_only_share(policy: str, within: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("as it was")
    mode = (tmp_path / "file").stat().st_mode
    code = f"""
fd = os.open({str(tmp_path / "file")!r}, os.O_RDONLY)
out["write"] = tried(lambda: os.close(os.open(f"/proc/self/fd/{{fd}}", os.O_WRONLY)))
out["truncate"] = tried(lambda: os.close(os.open({str(tmp_path / "file")!r}, os.O_RDONLY | os.O_TRUNC)))
out["chmod"] = tried(lambda: os.fchmod(fd, 0o4777))
import fcntl
out["flags"] = tried(lambda: fcntl.ioctl(fd, 0x40086602, b"\\x80" + bytes(7)))
out["attributes"] = tried(lambda: fcntl.ioctl(fd, 0x401c5820, bytes(28)))
out["verity"] = tried(lambda: fcntl.ioctl(fd, 0x40806685, bytes(128)))
out["lease"] = tried(lambda: fcntl.fcntl(fd, 1024, fcntl.F_RDLCK))
out["file_setattr"] = call(469, -100, {str(tmp_path / "file")!r}, 0, 0, 0)
out["link"] = tried(lambda: os.link({str(tmp_path / "file")!r}, "here"))
out["create"] = tried(lambda: os.mkdir({str(tmp_path / "new")!r}))
"""
    out = within(code, volumes=[f"{tmp_path}:{tmp_path}"], policy=policy)
    not_named = out.pop("file_setattr")
    assert not_named == -errno.EPERM or (policy == "default" and not_named == -errno.ENOSYS)  # the policy's own
    assert set(out.values()) <= {-errno.EACCES, -errno.EPERM, -errno.EXDEV}, out
    assert (tmp_path / "file").read_text() == "as it was" and (tmp_path / "file").stat().st_mode == mode


def test_another_run_cannot_be_reached(alone: Sandbox, within: Any, command: Callable[[str], list[str]]) -> None:
    """Same uid, same directory around both: each has its own domain."""
    stdin, hold = os.pipe()
    ready, stdout = os.pipe()
    code = "open('mark', 'w').write('left')\n"
    code += "print(json.dumps([os.getcwd(), os.getpid()]), flush=True)\nsys.stdin.read()"
    with alone.start(command(code), stdin=stdin, stdout=stdout) as running, os.fdopen(ready) as lines:
        import threading

        waiter = threading.Thread(target=running.wait)
        waiter.start()
        place, pid = json.loads(lines.readline())
        out = within(
            f"out['read'] = tried(lambda: text({place + '/mark'!r}))\n"
            f"out['list'] = tried(lambda: os.listdir({place!r}))\n"
            f"out['trace'] = call('ptrace', 16, {pid}, 0, 0)\n"
            f"out['environ'] = tried(lambda: text('/proc/{pid}/environ'))"
        )
        for fd in (stdin, hold, stdout):
            os.close(fd)
        waiter.join()
    assert out == {"read": -errno.EACCES, "list": -errno.EACCES, "trace": -errno.EPERM, "environ": -errno.EACCES}
    assert not os.path.exists(place)


def test_the_init_and_the_spawner(within: Any) -> None:
    code = """
parent = os.getppid()
out["trace"] = call("ptrace", 16, parent, 0, 0)
out["mem"] = tried(lambda: os.close(os.open(f"/proc/{parent}/mem", os.O_RDWR)))
out["exe"] = tried(lambda: os.close(os.open(f"/proc/{parent}/exe", os.O_RDONLY)))
"""
    assert set(within(code, policy="none").values()) <= {-errno.EPERM, -errno.EACCES}
