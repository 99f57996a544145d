"""What is read-only inside stays so: the system, /etc, shares, /proc, the kernel's knobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

POLICIES = pytest.mark.parametrize("policy", ["default", "none"])
REFUSED = {-1, -13, -30, -2, -20, -21}


@POLICIES
@pytest.mark.parametrize("ids", ["single", "range"])
def test_the_system(policy: str, ids: str, inside: Any) -> None:
    out = inside(
        """
flags = os.O_WRONLY | os.O_CREAT
for path in ("/x", "/usr/x", "/bin/x", "/lib/x", "/etc/x", "/app/x", "/dev/x", "/dev/pts/x", "/proc/x", "/home/x",
             "/root/x",
             "/run/x", "/opt/x"):
    out["create " + path] = tried(lambda: os.open(path, flags))
for path in ("/etc/passwd", "/etc/hosts", "/etc/resolv.conf", "/usr/bin/env", "/etc/ld.so.cache"):
    out["write " + path] = tried(lambda: os.open(path, os.O_WRONLY))
    out["chmod " + path] = tried(lambda: os.chmod(path, 0o777))
    out["unlink " + path] = tried(lambda: os.unlink(path))
    out["rename " + path] = tried(lambda: os.rename(path, path + "2"))
    out["touch " + path] = tried(lambda: os.utime(path, (0, 0)))
    out["xattr " + path] = tried(lambda: os.setxattr(path, "user.x", b"x"))
out["mkdir"] = tried(lambda: os.mkdir("/new"))
out["rmdir"] = tried(lambda: os.rmdir("/tmp"))
out["mknod"] = tried(lambda: os.mknod("/tmp/null", 0o20666, os.makedev(1, 3)))
out["mknod block"] = tried(lambda: os.mknod("/tmp/sda", 0o60666, os.makedev(8, 0)))
""",
        policy=policy,
        ids=ids,
    )
    others = (-95, -16, -18)  # no xattrs there; busy; across devices
    assert {name: n for name, n in out.items() if n is None or n not in {*REFUSED, *others}} == {}


@POLICIES
def test_proc_and_the_kernel(policy: str, inside: Any) -> None:
    out = inside(
        """
for path in ("sys/kernel/core_pattern", "sys/kernel/hostname", "sys/kernel/modprobe", "sys/kernel/hotplug",
             "sys/vm/drop_caches", "sys/net/ipv4/ip_forward", "sys/fs/binfmt_misc/register",
             "sys/user/max_pid_namespaces",
             "sys/kernel/ns_last_pid", "sys/kernel/msgmax", "sysrq-trigger", "kcore", "kmsg", "1/oom_score_adj",
             "1/uid_map",
             "self/uid_map", "self/setgroups", "self/gid_map", "self/timens_offsets", "1/attr/current", "irq", "bus"):
    out[path] = tried(lambda: os.write(os.open("/proc/" + path, os.O_WRONLY), b"1"))
out["oom"] = tried(lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000"))
out["sysfs"] = os.path.exists("/sys/kernel") or os.path.exists("/sys/fs")
for path in ("/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/kpagecount", "/proc/timer_list", "/dev/kmsg",
             "/dev/mem",
             "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/loop0", "/dev/vsock", "/dev/vhost-net", "/dev/sda",
             "/dev/console",
             "/dev/tty1"):
    content = tried(lambda: text(path)[:1000])
    out["read " + path] = content if isinstance(content, int) else sum(map(bool, content.replace("0", "").split()))
out["addresses"] = sum(int(line.split()[0], 16) for line in text("/proc/kallsyms").splitlines()[:100]) \\
    if os.access("/proc/kallsyms", os.R_OK) else 0
out["log"] = call("syslog", 3, ctypes.create_string_buffer(4096), 4096)
out["log size"] = call("syslog", 10, 0, 0)
""",
        policy=policy,
    )
    assert out.pop("addresses") == 0  # kallsyms may be readable, with nothing but zeros for addresses
    out.pop("read /proc/kallsyms")
    assert out.pop("sysfs") is False
    assert out.pop("log") == -1 and (policy == "none" or out["log size"] == -1)
    out.pop("log size")
    assert {name: n for name, n in out.items() if n not in {*REFUSED, -22, -5, -6}} == {}


@POLICIES
def test_masked_files_are_empty(policy: str, inside: Any) -> None:
    """Rule 9: what tells of the host in /proc."""
    out = inside(
        """
for name in ("acpi", "asound", "scsi"):
    path = "/proc/" + name
    out[name] = tried(lambda: os.listdir(path))
for name in ("key-users", "keys", "latency_stats", "locks", "sched_debug", "timer_stats"):
    out[name] = tried(lambda: text("/proc/" + name))
""",
        policy=policy,
    )
    assert {name: found for name, found in out.items() if found not in ([], "", -2)} == {}


@POLICIES
def test_read_only_shares(policy: str, inside: Any, tmp_path: Path) -> None:
    """The directory, and what is in it, through every name that leads there."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("kept")
    (tmp_path / "link").symlink_to("below/file")
    out = inside(
        """
for path in ("/mnt/a/x", "/mnt/a/below/x", "/mnt/a/below/file", "/mnt/a/link", "/proc/self/root/mnt/a/below/file"):
    out["open " + path] = tried(lambda: os.open(path, os.O_WRONLY | os.O_CREAT))
fd = os.open("/mnt/a/below/file", os.O_RDONLY)
out["reopen"] = tried(lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR))
out["truncate"] = tried(lambda: os.truncate("/mnt/a/below/file", 0))
out["unlink"] = tried(lambda: os.unlink("/mnt/a/below/file"))
out["hard link"] = tried(lambda: os.link("/mnt/a/below/file", "/tmp/file"))
out["fchmod"] = tried(lambda: os.fchmod(fd, 0o777))
out["content"] = text("/mnt/a/link")
""",
        policy=policy,
        volumes=[f"{tmp_path}:/mnt/a"],
    )
    assert out.pop("content") == "kept"
    assert out.pop("hard link") == -18
    assert set(out.values()) == {-30}, out
    assert (tmp_path / "below" / "file").read_text() == "kept"


def test_a_writable_share_is_all_that_can_be_written(inside: Any, tmp_path: Path) -> None:
    """Or the tests above would pass because nothing can ever be written. No link of it leads out."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link").symlink_to(victim)
    (shared / "dots").symlink_to("../victim")
    out = inside(
        """
out["plain"] = tried(lambda: os.write(os.open("/mnt/a/x", os.O_WRONLY | os.O_CREAT), b"12"))
out["link"] = tried(lambda: os.open("/mnt/a/link", os.O_WRONLY | os.O_TRUNC))
out["dots"] = tried(lambda: os.open("/mnt/a/dots", os.O_WRONLY | os.O_TRUNC))
out["up"] = tried(lambda: os.open("/mnt/a/../victim", os.O_WRONLY | os.O_TRUNC))
""",
        volumes=[f"{shared}:/mnt/a:rw"],
    )
    assert out == {"plain": 2, "link": -2, "dots": -2, "up": -2}
    assert victim.read_text() == "kept" and (shared / "x").read_text() == "12"


@POLICIES
def test_cgroups_are_out_of_reach(policy: str, inside: Any) -> None:
    """Rule 9 and CVE-2022-0492 (release_agent): no cgroup file system inside, and none can be mounted."""
    out = inside(
        """
out["types"] = [line.split(" - ")[1].split()[0] for line in text("/proc/self/mountinfo").splitlines()]
out["paths"] = sorted({line.rstrip("\\n").split(":", 2)[2] for line in text("/proc/self/cgroup").splitlines()})
for kind, options in (("cgroup", "memory"), ("cgroup", "none,name=x"), ("cgroup2", "")):
    out["mount " + kind + options] = call("mount", "x", "/tmp", kind, 0, options)
out["sys"] = os.path.exists("/sys/fs/cgroup")
""",
        policy=policy,
    )
    assert "cgroup" not in out["types"] and "cgroup2" not in out["types"] and "sysfs" not in out["types"]
    assert out["paths"] == ["/"]
    assert not out["sys"]
    assert {number for name, number in out.items() if name.startswith("mount")} == {-1}
