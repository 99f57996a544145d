"""Mounts and namespaces from inside: rule 8 by the filter, and by max_user_namespaces where there is none."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.v2

EPERM, ENOENT, EINVAL, ENOSPC, ENOSYS, EROFS, EACCES = -1, -2, -22, -28, -38, -30, -13

POLICIES = pytest.mark.parametrize("policy", ["default", "none"])
FLAGS = {"user": 0x10000000, "pid": 0x20000000, "mnt": 0x00020000, "net": 0x40000000, "ipc": 0x08000000,
         "uts": 0x04000000, "cgroup": 0x02000000, "time": 0x00000080}  # fmt: skip

MOUNTS = """
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18
os.mkdir("/tmp/new"); os.mkdir("/tmp/old")
for kind in ("tmpfs", "proc", "sysfs", "cgroup", "cgroup2", "overlay", "fuse", "bpf", "debugfs", "mqueue", "devpts"):
    out["mount " + kind] = call("mount", kind, "/tmp/new", kind, 0, 0)
out["bind"] = call("mount", "/usr", "/tmp/new", 0, MS_BIND, 0)
for path in ("/", "/usr", "/etc/passwd", "/proc/sys", "/dev"):
    out["remount " + path] = call("mount", 0, path, 0, MS_REMOUNT | MS_BIND, 0)
out["move"] = call("mount", "/proc", "/tmp/new", 0, MS_MOVE, 0)
out["propagation"] = call("mount", 0, "/", 0, MS_REC | MS_PRIVATE, 0)
for path in ("/proc", "/proc/sys", "/usr", "/tmp", "/dev/shm", "/"):
    out["umount " + path] = call("umount2", path, 2)
out["pivot"] = call("pivot_root", "/tmp/new", "/tmp/old")
out["chroot"] = call("chroot", "/tmp/new")
out["open_tree"] = call("open_tree", -100, "/usr", 1)
out["fsopen"] = call("fsopen", "tmpfs", 0)
out["fspick"] = call("fspick", -100, "/usr", 0)
attributes = (ctypes.c_uint64 * 4)(0, 1, 0, 0)
for path in ("/", "/usr", "/proc/sys"):
    out["setattr " + path] = call("mount_setattr", -100, path, 0x8000, attributes, 32)
out["sethostname"] = call("sethostname", "other", 5)
out["setdomainname"] = call("setdomainname", "other", 5)
"""


@POLICIES
def test_mounts(policy: str, inside: Any) -> None:
    out = inside(MOUNTS, policy=policy)
    assert {name: number for name, number in out.items() if number != EPERM} == {}


@POLICIES
@pytest.mark.parametrize("name", FLAGS)
def test_unshare_and_clone(name: str, policy: str, inside: Any) -> None:
    """clone3 is ENOSYS under a filter, which cannot read its flags; without one the kernel has the last word."""
    out = inside(
        f"""
flag = {FLAGS[name]}
out["unshare"] = call("unshare", flag)
out["unshare with user"] = call("unshare", flag | {FLAGS["user"]})
def cloned(number):
    if number == 0:
        os._exit(0)
    return number
if flag != 0x80:  # a part of the exit signal in clone(2)
    out["clone"] = cloned(call("clone", flag | 17, 0, 0, 0, 0))
    out["clone with user"] = cloned(call("clone", flag | {FLAGS["user"]} | 17, 0, 0, 0, 0))
arguments = (ctypes.c_uint64 * 11)(flag, 0, 0, 0, 17)
out["clone3"] = cloned(call("clone3", arguments, 88))
arguments[0] |= {FLAGS["user"]}
out["clone3 with user"] = cloned(call("clone3", arguments, 88))
""",
        policy=policy,
    )
    for way, number in out.items():
        if policy == "default":
            assert number == (ENOSYS if way.startswith("clone3") else EPERM), (way, number)
        else:  # ENOSPC: /proc/sys/user/max_user_namespaces is 0 inside
            assert number == (ENOSPC if name == "user" or "user" in way else EPERM), (way, number)


@POLICIES
def test_setns(policy: str, inside: Any) -> None:
    """Into one's own and into the init's; by /proc and by pidfd."""
    out = inside(
        f"""
for name, flag in {FLAGS!r}.items():
    fd = tried(lambda: os.open("/proc/self/ns/" + name, os.O_RDONLY))
    out["own " + name] = call("setns", fd, flag)
    out["open init's " + name] = tried(lambda: os.open("/proc/1/ns/" + name, os.O_RDONLY))
pidfd = os.pidfd_open(1)
for name, flag in {FLAGS!r}.items():
    out["init " + name] = call("setns", pidfd, flag)
""",
        policy=policy,
    )
    for way, number in out.items():
        if way.startswith("open init's"):
            assert number in (EACCES, EPERM), (way, number)
        elif way == "own user" and policy == "none":
            assert number in (EINVAL, EPERM), (way, number)
        else:
            assert number == EPERM, (way, number)


def test_no_user_namespace_without_a_filter(inside: Any) -> None:
    """The second lock of rule 8 holds alone, cannot be opened from inside, and counts for a range of ids too."""
    for options in ({}, {"ids": "range"}):
        out = inside(
            """
path = "/proc/sys/user/max_user_namespaces"
out["limit"] = text(path).strip()
out["write"] = tried(lambda: os.open(path, os.O_WRONLY))
out["chmod"] = tried(lambda: os.chmod(path, 0o666))
out["unshare"] = call("unshare", 0x10000000)
""",
            policy="none",
            **options,
        )
        assert out["limit"] == "0" and out["unshare"] == ENOSPC
        assert out["write"] in (EROFS, EACCES) and out["chmod"] in (EROFS, EPERM)
