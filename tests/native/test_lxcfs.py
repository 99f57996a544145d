"""Requests for a private lxcfs: what is refused, and what the server does. A script that mounts a tmpfs where
lxcfs would mount itself stands in for it, so this runs where /dev/fuse is closed too."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox import HostError
from sandbox.host import probe
from sandbox.lxcfs import root_steps
from sandbox.native.lxcfs import LxcfsServer
from sandbox.native.pack import pack_lxcfs
from sandbox.native.spawn import Spawner
from sandbox.steps import Bind, Export, Mkdir, MountFs, Step, SwitchRoot
from tests.native.conftest import REQUEST
from tests.native.test_life import ended
from tests.runs.world import until

MOUNT_POINT = "/lx"
EXPORTS = tuple(Export(path=f"{MOUNT_POINT}/{name}") for name in ("first", "second"))
# The last word of the command is the mount point, as lxcfs has it.
# As lxcfs, it has its files when it has its mount.
FILES = "mount -t tmpfs t /tmp && echo one >/tmp/first && echo two >/tmp/second"
SERVES = f"{FILES} && mount --bind /tmp /lx && exec sleep 1000"


def root() -> tuple[Step, ...]:
    """lxcfs' own root without /dev/fuse and the cgroups, which the host may not have."""
    steps = [s for s in root_steps(probe()) if not (isinstance(s, Bind) and s.path == "/dev/fuse")]
    return tuple(s for s in steps if not isinstance(s, MountFs) and getattr(s, "path", "") != "/proc/1/cgroup")


def command(script: str) -> tuple[bytes, ...]:
    return (b"/bin/sh", b"-c", script.encode(), MOUNT_POINT.encode())


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    one = Spawner(uid_map=f"0 {os.getuid()} 1", gid_map=f"0 {os.getgid()} 1")
    one.wait_ready()
    yield one
    one.close()


Serve = Callable[..., LxcfsServer]


@pytest.fixture
def serve(spawner: Spawner) -> Iterator[Serve]:
    started: list[LxcfsServer] = []

    def start(script: str = SERVES, steps: tuple[Step, ...] | None = None) -> LxcfsServer:
        server = LxcfsServer(spawner, root() if steps is None else steps, EXPORTS, command(script), {}, None)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


def content(mount: int) -> bytes:
    return Path(f"/proc/self/fd/{mount}").read_bytes()


def test_fresh_mounts_for_each_run(serve: Serve) -> None:
    """Detached ones: of a mount that is attached already nobody could make another run's. Read through /proc/self/fd,
    for an O_PATH fd of a file."""
    server = serve()
    first, again, one = server.clones(3), server.clones(3), server.clones(2)
    try:
        assert [content(fd) for fd in (*first, *again, *one)] == [b"one\n", b"two\n"] * 2 + [b"two\n"]
        ids = {line for fd in (*first, *again) for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
               if line.startswith("mnt_id")}  # fmt: skip
        assert len(ids) == 4
    finally:
        for fd in (*first, *again, *one):
            os.close(fd)


def fds_of(pid: int) -> set[str]:
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def test_what_it_may_do(serve: Serve) -> None:
    """Four capabilities in the spawner's user namespace, no way to more, a network of its own, an empty root."""
    server = serve()
    status = Path(f"/proc/{server.lxcfs_pid}/status").read_text().splitlines()
    found = {line.partition(":")[0]: line.partition(":")[2].strip() for line in status}
    # CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_CHROOT, CAP_DAC_READ_SEARCH
    four = f"{1 << 21 | 1 << 19 | 1 << 18 | 1 << 2:016x}"
    assert {found[n] for n in ("CapPrm", "CapEff", "CapBnd")} == {four} and found["NoNewPrivs"] == "1"
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    server_status = Path(f"/proc/{server.pid}/status").read_text()
    assert f"CapEff:\t{1 << 21:016x}\n" in server_status and f"CapBnd:\t{1 << 21:016x}\n" in server_status
    assert os.access(f"/proc/{server.pid}/exe", os.R_OK) is False  # not dumpable
    # what its start opens and closes again may be seen in between
    assert until(lambda: fds_of(server.lxcfs_pid) == {"/dev/null", "/memfd:pysandbox-lxcfs-log (deleted)"}, 5.0)
    assert not {"home", "root", "var", "opt"} & set(os.listdir(f"/proc/{server.lxcfs_pid}/root"))
    for name in ("net", "ipc", "uts", "mnt", "user"):
        assert os.readlink(f"/proc/{server.lxcfs_pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), name


DENIED = """
import ctypes, fcntl, os, resource, signal, socket, sys
caller, libc = int(sys.argv[1]), ctypes.CDLL(None, use_errno=True)
tgkill = {"x86_64": 234, "aarch64": 131}[os.uname().machine]
one, two = socket.socketpair()

def raw(*words):
    if libc.syscall(*words) < 0:
        raise OSError(ctypes.get_errno(), "")

def refused(name, call):
    try:
        call()
    except PermissionError:
        return
    print(name, "went through", flush=True)

refused("kill", lambda: os.kill(caller, 0))
refused("tgkill", lambda: raw(tgkill, caller, caller, 0))
refused("pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(caller), 0))
refused("prlimit", lambda: resource.prlimit(caller, resource.RLIMIT_CPU))
refused("owner", lambda: fcntl.fcntl(one, fcntl.F_SETOWN, caller))
refused("signal", lambda: fcntl.fcntl(one, fcntl.F_SETSIG, 9))
refused("ioctl", lambda: fcntl.ioctl(one, 0x8901, caller.to_bytes(4, "little")))
raw(tgkill, os.getppid(), os.getppid(), 0)
fcntl.fcntl(one, fcntl.F_GETOWN)
resource.getrlimit(resource.RLIMIT_NOFILE)
print("done", flush=True)
"""


def test_it_may_not_send_signals(serve: Serve) -> None:
    """It has the caller's uid and sees the caller's processes: kill(2) would ask for no more. To itself it may; the
    parent of this script is what lxcfs would be."""
    server = serve(f"python3 -I -S -c '{DENIED}' {os.getpid()}; {SERVES}")
    said = os.pread(server._log, 65536, 0).decode()
    assert said == "done\n", said


@pytest.mark.parametrize("victim", ["lxcfs", "server"])
def test_both_go_together(victim: str, serve: Serve) -> None:
    server = serve()
    pidfd = os.pidfd_open(server.lxcfs_pid)
    try:
        os.kill(server.lxcfs_pid if victim == "lxcfs" else server.pid, signal.SIGKILL)
        assert ended(pidfd) and ended(server.pidfd) and not server.alive()
        with pytest.raises(HostError, match="the private lxcfs is lost"):
            server.clones(1)
    finally:
        os.close(pidfd)


def test_both_go_with_the_spawner(serve: Serve, spawner: Spawner) -> None:
    server = serve()
    pidfd = os.pidfd_open(server.lxcfs_pid)
    try:
        os.kill(spawner.pid, signal.SIGKILL)
        assert ended(pidfd) and ended(server.pidfd)
    finally:
        os.close(pidfd)


def test_closing_ends_both(serve: Serve) -> None:
    server = serve()
    pidfd, server_pid = os.pidfd_open(server.lxcfs_pid), server.pid
    try:
        server.close()
        assert ended(pidfd) and until(lambda: not os.path.exists(f"/proc/{server_pid}"))
    finally:
        os.close(pidfd)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo cannot mount: no luck >&2; exit 3", "ended with exit code 3 (it says: cannot mount: no luck)"),
        ("exec python3 -I -S -c 'import os; os.abort()'", "ended with signal 6"),
        ("mount -t tmpfs t /lx && exec sleep 1000", "give out /lx/first: no such file"),
    ],
    ids=["exit", "signal", "file"],
)
def test_why_it_did_not_start(script: str, words: str, serve: Serve, spawner: Spawner) -> None:
    with pytest.raises(HostError) as caught:
        serve(script)
    assert words in str(caught.value)
    assert spawner.alive() and serve().alive()


def test_a_step_that_fails_is_named(serve: Serve) -> None:
    missing = Bind(source="/no/such/file", path="/no", make="file")
    with pytest.raises(HostError, match="show /no/such/file and all below at /no .*: no such file"):
        serve(steps=(*root()[:-1], missing, SwitchRoot()))


def test_a_log_that_is_full_is_not_the_end(serve: Serve) -> None:
    """A program could make lxcfs complain for ever, into memory."""
    server = serve("yes >&2; " + SERVES)
    assert server.alive()
    assert os.fstat(server._log).st_size == 65536


def plan(**changed: Any) -> bytes:
    parts: dict[str, Any] = {"root": (Mkdir(path="/lx"),), "exports": EXPORTS, "argv": (b"/bin/true", b"/lx")}
    parts |= changed
    return pack_lxcfs(parts["root"], parts["exports"], {}, parts["argv"], ())


@pytest.mark.parametrize(
    "changed",
    [
        {"exports": ()},
        {"exports": EXPORTS * 20},
        {"exports": (Mkdir(path="/x"),)},
        {"root": EXPORTS},
        {"root": ()},
        {"argv": ()},
    ],
    ids=["no-exports", "many-exports", "step-as-export", "export-as-step", "no-root", "no-command"],
)
def test_bad_plans_are_refused(changed: dict[str, Any], wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    packed = plan(**changed)
    request = REQUEST.pack(lib.PYSB_MAGIC, lib.PYSB_REQ_LXCFS, 0, len(packed), 0, 1, 0)
    answer = one.ask(request, packed)
    assert answer.ended and answer.kinds == [lib.PYSB_FAILED] and answer.errors in ([errno.EBADMSG], [errno.EINVAL])
    assert one.alive() and lib.PYSB_ENDED in one.good(status_run).kinds


@pytest.mark.parametrize("cgroup_fd", [-1, 0, 1, 240, 2**31 - 1])
@pytest.mark.parametrize("extra", [0, 1, 240])
def test_cgroups_that_are_none(cgroup_fd: int, extra: int, wire: Callable[..., Any], status_run: Any) -> None:
    """Out of range, or files that are no cgroups: an error, and nothing is started."""
    one = wire()
    packed = plan()
    flags = lib.PYSB_REQ_LXCFS | lib.PYSB_REQ_CGROUP
    request = REQUEST.pack(lib.PYSB_MAGIC, flags, 0, len(packed), 0, 1, cgroup_fd)
    answer = one.ask(request, packed, extra_fds=min(extra, 239))
    assert answer.ended and answer.kinds == [lib.PYSB_FAILED] and answer.errors[0] in (errno.EBADMSG, errno.EBADF)
    assert one.alive() and lib.PYSB_ENDED in one.good(status_run).kinds
