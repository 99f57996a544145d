"""What a program may not do with every capability that a run ever keeps, and no filter."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import RequestError, Sandbox
from sandbox.capabilities import EFFECTIVE, NAMES, NEVER

EVERYTHING = [name for name in NAMES if name not in NEVER]
MODES = pytest.mark.parametrize(
    ("ids", "user"), [("single", None), ("single", 0), ("range", None), ("range", 0)],
    ids=["single", "single-root", "range", "range-root"],
)  # fmt: skip
NO = (-errno.EPERM, -errno.EACCES)
# Linux 5.9; the constants below are linux/fs.h, linux/ptrace.h, sched.h.
WORDS = """
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE = 1, 32, 4096, 8192
NEWNS, NEWUSER, NEWPID, NEWNET, NEWCGROUP, NEWUTS = (
    0x20000, 0x10000000, 0x20000000, 0x40000000, 0x02000000, 0x04000000)
def opened(path, flags):
    fd = tried(lambda: os.open(path, flags))
    if fd >= 0:
        os.close(fd)
    return min(fd, 0)
"""


def options(ids: str, user: object, **more: object) -> dict[str, object]:
    return {"cap_add": EVERYTHING, "policy": "none", "ids": ids, "user": user, **more}


@MODES
def test_what_is_kept_is_all_there_is(ids: str, user: object, inside: Any) -> None:
    """The sets, in the program and in what it executes and whom it becomes; and no way to have more."""
    out = inside(
        """
import subprocess
def sets():
    return {n: v.strip() for n, _, v in (l.partition(":") for l in text("/proc/self/status").splitlines())
            if n.startswith(("Cap", "NoNew"))}
out["sets"] = sets()
print_sets = "grep -E '^(Cap|NoNew)' /proc/self/status"
shell = ["sh", "-c", "sh -c \\"" + print_sets + "\\"; true"]
out["executed"] = subprocess.run(shell, capture_output=True, text=True).stdout
out["bounding"] = call("prctl", 23, 21, 0, 0, 0)
out["ambient"] = call("prctl", 47, 2, 21, 0, 0)
header = (0x20080522).to_bytes(4, "little") + bytes(4)
every = b"\\xff" * 24
out["capset"] = call("capset", header, every)
out["nnp"] = call("prctl", 38, 0, 0, 0, 0)
""",
        **options(ids, user),
    )
    mask = f"{sum(1 << NAMES.index(name) for name in EVERYTHING):016x}"
    assert out["sets"] == {**dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), mask), "NoNewPrivs": "1"}
    assert out["executed"].split() == [w for k, v in out["sets"].items() for w in (f"{k}:", v)]
    assert out["bounding"] == 0 and out["ambient"] == -1 and out["capset"] == -1 and out["nnp"] == -errno.EINVAL


@MODES
def test_mounts(ids: str, user: object, inside: Any, tmp_path: Path) -> None:
    """Without CAP_SYS_ADMIN none can be made, changed or taken off: read-only stays so, /proc stays covered."""
    tmp_path.chmod(0o777)
    (tmp_path / "file").write_text("as it was")
    (tmp_path / "file").chmod(0o666)
    out = inside(
        WORDS
        + """
out["remount"] = [call("mount", "", p, "", MS_REMOUNT | MS_BIND, 0) for p in ("/mnt/ro", "/usr", "/", "/proc/sys")]
clear_rdonly = bytes(8) + (1).to_bytes(8, "little") + bytes(16)
out["setattr"] = call("mount_setattr", 0xffffffffffffff9c, "/mnt/ro", 0, clear_rdonly, 32)
out["bind"] = call("mount", "/usr", "/tmp", "", MS_BIND, 0)
out["new"] = [call("mount", t, "/tmp", t, 0, 0)
              for t in ("proc", "sysfs", "tmpfs", "cgroup", "cgroup2", "devpts", "mqueue", "overlay", "bpf", "debugfs")]
out["umount"] = [call("umount2", p, 2) for p in ("/proc/sys", "/proc", "/dev/null", "/", "/mnt/ro", "/tmp")]
out["fsopen"] = [call(430, t, 0) for t in ("proc", "tmpfs", "cgroup2")]
out["open_tree"] = call(428, 0xffffffffffffff9c, "/usr", 1)
out["pivot"] = call("pivot_root", "/tmp", "/tmp")
out["unshare"] = [call("unshare", flag) for flag in (NEWNS, NEWNET, NEWPID, NEWCGROUP, NEWUTS)]
out["userns"] = call("unshare", NEWUSER)
out["write"] = [opened(p, os.O_WRONLY) for p in ("/mnt/ro/file", "/proc/sys/user/max_user_namespaces")]
out["chmod"] = tried(lambda: os.chmod("/mnt/ro/file", 0o777))
out["unlink"] = tried(lambda: os.unlink("/mnt/ro/file"))
out["chown"] = tried(lambda: os.chown("/mnt/ro/file", 0, 0))
""",
        volumes=[f"{tmp_path}:/mnt/ro"],
        **options(ids, user),
    )
    read_only = [out.pop(name) for name in ("write", "chmod", "unlink", "chown")]
    assert set(read_only[0] + read_only[1:]) <= {-errno.EROFS, -errno.EACCES, -errno.EINVAL, -errno.EPERM}, read_only
    assert out.pop("userns") == -errno.ENOSPC  # max_user_namespaces, and it cannot be written
    refused = [n for value in out.values() for n in (value if isinstance(value, list) else [value])]
    assert set(refused) <= {*NO, -errno.ENODEV}, out
    assert (tmp_path / "file").read_text() == "as it was"


@MODES
def test_what_the_kernel_shows_and_takes(ids: str, user: object, inside: Any) -> None:
    """/proc and /sys: nothing that acts on the host, and nothing that tells root's secrets."""
    out = inside(
        WORDS
        + """
out["write"] = {p: opened(p, os.O_WRONLY) for p in (
    "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches",
    "/proc/sys/kernel/hostname", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/user/max_user_namespaces", "/proc/sys/user/max_cgroup_namespaces", "/proc/sys/fs/binfmt_misc/register",
    "/proc/timer_list", "/proc/1/oom_score_adj", "/proc/1/mem", "/sys/kernel/uevent_helper")}
out["read"] = {p: opened(p, os.O_RDONLY) for p in ("/proc/kcore", "/proc/1/environ", "/proc/1/maps", "/proc/1/mem",
                                                   "/proc/kpageflags", "/proc/1/ns/user", "/dev/mem", "/dev/kmsg")}
out["empty"] = tried(lambda: text("/proc/keys")) if os.path.exists("/proc/keys") else ""
out["sys"] = os.listdir("/sys") if os.path.isdir("/sys") else []
out["syslog"] = call("syslog", 3, b"x" * 64, 64)
devices = (0o20000, os.makedev(1, 1)), (0o60000, os.makedev(8, 0)), (0o60000, os.makedev(7, 0))
out["devices"] = [tried(lambda: os.mknod(f"/tmp/{kind:o}{n}", kind | 0o666, n)) for kind, n in devices]
out["modules"] = [call("init_module", 0, 0, ""), call("finit_module", 0, "", 0), call("delete_module", "dm_mod", 0)]
out["clock"] = [call("settimeofday", bytes(16), 0), call("clock_settime", 0, bytes(16)),
                call("adjtimex", (1).to_bytes(4, "little") + bytes(252))]
out["other"] = {"swapon": call("swapon", "/tmp/x", 0), "acct": call("acct", "/tmp/x"),
                "bpf": call("bpf", 0, bytes(72), 72), "iopl": call("iopl", 3) if "iopl" in NUMBERS else -1,
                "vhangup": call("vhangup"), "kexec": call("kexec_load", 0, 0, 0, 0)}
""",
        **options(ids, user),
    )
    allowed = {*NO, -errno.ENOENT, -errno.EROFS, -errno.ENOSYS, -errno.EINVAL, -errno.ENXIO}
    assert set(out["write"].values()) <= allowed, out["write"]
    assert set(out["read"].values()) <= allowed | {0} and out["read"]["/proc/1/mem"] in NO, out["read"]
    assert out["read"]["/proc/1/environ"] in NO and out["read"]["/proc/1/ns/user"] in (*NO, -errno.ENOENT), out["read"]
    assert out["empty"] in ("", -errno.EACCES) and out["sys"] in ([], ["devices"])
    for name in ("devices", "modules", "clock"):
        assert set(out[name]) <= allowed, (name, out[name])
    assert set(out["other"].values()) <= allowed and out["syslog"] in NO, out


@MODES
def test_the_init(ids: str, user: object, box: Sandbox, command: Callable[[str], list[str]]) -> None:
    """CAP_KILL, CAP_SYS_PTRACE: pid 1 is not dumpable and its memory belongs to another namespace."""
    result = box.run(
        command(
            """
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
out["kill"] = [call("kill", 1, n) for n in (9, 19, 15, 6, 11, 1, 2)] and None
out["attach"] = [call("ptrace", PTRACE_ATTACH, 1, 0, 0), call("ptrace", PTRACE_SEIZE, 1, 0, 0)]
out["links"] = [tried(lambda: os.readlink(f"/proc/1/{n}")) for n in ("exe", "root", "cwd", "ns/mnt", "ns/user")]
out["fds"] = tried(lambda: os.listdir("/proc/1/fd"))
iov = ctypes.create_string_buffer(16)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
local, far = Vector(ctypes.addressof(iov), 8), Vector(0x400000, 8)
for name in ("process_vm_readv", "process_vm_writev"):
    out[name] = call(name, 1, ctypes.byref(local), 1, ctypes.byref(far), 1, 0)
pidfd = call(434, 1, 0)
out["getfd"] = [call("pidfd_getfd", pidfd, n, 0) for n in range(12)]
out["setns"] = [call("setns", pidfd, flag) for flag in (0x10000000, 0x20000, 0x40000000)]
out["reboot"] = [call("reboot", 0xfee1dead, 0x28121969, c, 0) for c in (0x01234567, 0x4321fedc, 0xcdef0123)]
out["alive"] = os.path.exists("/proc/1")
"""
        ),
        **options(ids, user),
    )
    assert result.ok, result
    out = json.loads(result.stdout.splitlines()[-1])
    assert out.pop("kill") is None and out.pop("alive")
    refused = [n for value in out.values() for n in (value if isinstance(value, list) else [value])]
    assert set(refused) <= {*NO, -errno.EBADF, -errno.ESRCH, -errno.EINVAL}, out


@MODES
def test_limits_stay(ids: str, user: object, inside: Any) -> None:
    """Where limits are raised the kernel asks for capabilities in the host's user namespace."""
    out = inside(
        """
import resource
for name in ("NOFILE", "CORE", "MEMLOCK", "MSGQUEUE", "NICE", "RTPRIO", "FSIZE"):
    number = getattr(resource, "RLIMIT_" + name)
    soft, hard = resource.getrlimit(number)
    if hard != resource.RLIM_INFINITY:
        try:
            resource.setrlimit(number, (hard + 1, hard + 1))
            out[name] = 0
        except (ValueError, OSError):
            out[name] = -1
out["nice"] = tried(lambda: os.nice(-5))
out["realtime"] = tried(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
out["oom"] = tried(lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000"))
""",
        fsize="1M",
        **options(ids, user),
    )
    assert len(out) >= 8 and all(value in NO for value in out.values()), out


def test_processes_are_counted_whoever_they_belong_to(box: Sandbox, command: Callable[[str], list[str]]) -> None:
    """RLIMIT_NPROC is counted for each uid: a program that may change its own would have 65535 times as many."""
    code = """
import time
made = 0
for uid in range(1, 40):
    try:
        child = os.fork()
    except OSError:
        break
    if not child:
        os.setuid(uid)
        for _ in range(4):
            try:
                if not os.fork():
                    time.sleep(30)
            except OSError:
                pass
        time.sleep(30)
    made += 1
time.sleep(0.5)
out["seen"] = sum(1 for p in os.listdir("/proc") if p.isdigit())
"""
    result = box.run(command(code), cap_add=["SETUID"], ids="range", user=0, policy="none", pids=20)
    assert result.ok and json.loads(result.stdout)["seen"] <= 22, result
    assert "RLIMIT" not in result.enforced["pids"]
    with pytest.raises(Exception, match="RLIMIT_NPROC counts each by itself"):
        box.run(["true"], cap_add=["SETUID"], ids="range", cgroup="none")
    assert box.run(["true"], cap_add=["SETUID"], ids="range", cgroup="none", best_effort=True).not_enforced["pids"]


@MODES
def test_files_that_were_not_shared(
    ids: str, user: object, inside: Any, secret: tuple[Path, str], tmp_path: Path
) -> None:
    """CAP_DAC_READ_SEARCH: a handle of any file of a file system, opened by a mount of it (the "shocker", 2014)."""
    path, _ = secret
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    tmp_path.chmod(0o755)
    handle = _handle(path.parent)
    root = _handle(Path("/"))
    out = inside(
        f"""
fds = [os.open(p, os.O_RDONLY | os.O_DIRECTORY) for p in ("/mnt/a", "/usr", "/", "/tmp")]
out["opened"] = [call("open_by_handle_at", fd, bytes.fromhex(h), 0o200000)
                 for fd in fds for h in ("{handle}", "{root}", "{_handle(path)}")]
out["chroot"] = tried(lambda: os.chroot("/tmp"))
out["up"] = []
for _ in range(20):
    os.chdir("..")
out["up"] = sorted(set(os.listdir(".")) & {{"home", "boot", "root", "srv", "lost+found", "var"}})
os.chroot(".")
out["secret"] = tried(lambda: os.open({str(path)!r}, os.O_RDONLY))
""",
        volumes=[f"{shared}:/mnt/a:rw"],
        **options(ids, user),
    )
    assert all(number < 0 for number in out["opened"]), out
    assert out["secret"] in (-errno.ENOENT, -errno.EACCES), out
    assert out["chroot"] in (None, 0) and not set(out["up"]) & {"boot", "srv", "lost+found"}, out


def _handle(path: Path) -> str:
    """struct file_handle of a path, as name_to_handle_at(2) makes it, in hex."""
    import ctypes

    buffer = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(132), 136)
    mount = ctypes.c_int()
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.name_to_handle_at(-100, os.fsencode(path), buffer, ctypes.byref(mount), 0)
    assert done == 0, os.strerror(ctypes.get_errno())
    size = int.from_bytes(buffer.raw[:4], "little")
    return buffer.raw[: 8 + size].hex()


@MODES
def test_the_hosts_processes(ids: str, user: object, inside: Any) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        out = inside(
            f"""
pids = ({other.pid}, {os.getpid()}, {os.getppid()})
out["kill"] = [call("kill", pid, 0) for pid in pids]
out["trace"] = [call("ptrace", 0x4206, pid, 0, 0) for pid in pids]
out["all"] = call("kill", -1, 9)
""",
            **options(ids, user),
        )
        alive = other.poll() is None
        other.kill()
    assert alive and out["kill"] == [-errno.ESRCH] * 3 and out["trace"] == [-errno.ESRCH] * 3, out


def test_limits_of_the_init(inside: Any) -> None:
    """prlimit(2) takes the same ids or CAP_SYS_RESOURCE; a limit on CPU time would kill the init."""
    out = inside("out['set'] = [call('prlimit64', 1, n, b'\\1' + bytes(7) + b'\\1' + bytes(7), 0) for n in (0, 7)]",
                 **options("range", 1000))  # fmt: skip
    assert out["set"] == [-errno.EPERM] * 2


@pytest.mark.parametrize("name", sorted(NEVER))
def test_never_kept(name: str, box: Sandbox) -> None:
    with pytest.raises(RequestError, match="never kept"):
        box.run(["true"], cap_add=[name])
    assert name not in EFFECTIVE


@MODES
def test_the_default_policy_is_not_widened(ids: str, user: object, inside: Any) -> None:
    """A capability is a right, not a system call: what the filter refuses it refuses still."""
    out = inside(
        """
out["refused"] = [call("mount", "x", "/tmp", "tmpfs", 0, 0), call("unshare", 0x10000000), call("bpf", 0, bytes(72), 72),
                  call("open_by_handle_at", 3, bytes(16), 0), call("keyctl", 0, 0), call("socket", 17, 3, 0)]
""",
        cap_add=["ALL"],
        ids=ids,
        user=user,
    )
    assert all(number < 0 for number in out["refused"]), out
