"""Ways out of the root: "..", working directories, open fds, the magic links of /proc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.v2

POLICIES = pytest.mark.parametrize("policy", ["default", "none"])


@POLICIES
def test_above_the_root_is_the_root(policy: str, inside: Any) -> None:
    """CVE-2024-21626 (runc): a working directory or an fd outside of the new root is a way back."""
    out = inside(
        """
here = os.stat("/")
def same(what):
    return (what.st_dev, what.st_ino) == (here.st_dev, here.st_ino)
out["dots"] = [same(os.stat("/" + "../" * n)) for n in (1, 2, 50)]
out["cwd"] = os.getcwd()
out["proc cwd"] = os.readlink("/proc/self/cwd")
os.chdir("../" * 60)
out["up"] = os.getcwd()
fd = os.open("/", os.O_PATH | os.O_DIRECTORY)
for _ in range(60):
    fd = os.open("..", os.O_PATH | os.O_DIRECTORY, dir_fd=fd)
out["by fd"] = same(os.fstat(fd))
os.chdir("/proc/self/cwd/..")
out["through proc"] = os.getcwd()
""",
        policy=policy,
    )
    assert out["dots"] == [True] * 3 and out["by fd"]
    assert out["cwd"] == out["proc cwd"] == "/work"
    assert out["up"] == out["through proc"] == "/"


@POLICIES
def test_a_removed_working_directory_leads_nowhere(policy: str, inside: Any) -> None:
    out = inside(
        """
os.mkdir("/tmp/a"); os.mkdir("/tmp/a/b")
os.chdir("/tmp/a/b")
os.rename("/tmp/a/b", "/tmp/b")
out["moved"] = [os.path.realpath(".."), tried(lambda: os.listdir("../.."))]
os.rmdir("/tmp/b")
out["gone"] = tried(lambda: os.listdir(".."))
out["chroot"] = call("chroot", "/tmp")
os.chdir("/")
""",
        policy=policy,
    )
    assert out["moved"][0] == "/tmp" and "usr" in out["moved"][1]
    assert out["gone"] == ["a"]  # it still knows its parent, which is ours
    assert out["chroot"] == -1


@POLICIES
def test_magic_links_of_every_process(policy: str, inside: Any) -> None:
    """/proc/self/root is "/"; those of the init, which knew the host, are closed (CVE-2016-9962)."""
    out = inside(
        """
here = os.stat("/")
root = os.stat("/proc/self/root/")
out["self"] = (root.st_dev, root.st_ino) == (here.st_dev, here.st_ino)
out["up"] = sorted(os.listdir("/proc/self/root/../..")) == sorted(os.listdir("/"))
out["pids"] = [int(p) for p in os.listdir("/proc") if p.isdigit()]
out["init"] = [tried(lambda: os.listdir("/proc/1/" + n)) for n in ("root", "cwd", "fd", "task/1/root", "task/1/fd")]
""",
        policy=policy,
    )
    assert out["self"] and out["up"]
    assert out["pids"] == [1, 2]
    assert set(out["init"]) <= {-1, -13}


@POLICIES
def test_no_open_fd_leads_out(policy: str, inside: Any) -> None:
    """CVE-2024-21626, CVE-2016-9962: every fd that is open, and every one that can be opened from it."""
    out = inside(
        """
import fcntl
def is_open(n):
    return tried(lambda: fcntl.fcntl(n, fcntl.F_GETFD)) >= 0
out["open"] = [n for n in range(70000) if is_open(n)]
out["links"] = [os.readlink(f"/proc/self/fd/{n}").partition(":")[0] for n in out["open"]]
out["below"] = [tried(lambda: os.open("..", os.O_PATH, dir_fd=n)) for n in out["open"]]
""",
        policy=policy,
    )
    assert out["open"] == [0, 1, 2]
    assert out["links"] == ["/dev/null", "pipe", "pipe"]
    assert out["below"] == [-20, -20, -20]


@POLICIES
def test_files_of_the_caller_are_not_there(policy: str, inside: Any, secret: tuple[Path, str]) -> None:
    """No path, and no device of the list of mounts, leads to a file that was not shared."""
    path, word = secret
    out = inside(
        f"""
out["exists"] = os.path.exists({str(path)!r})
out["ways"] = [tried(lambda: text(way + {str(path)!r})) for way in
               ("/proc/self/root", "/proc/1/root", "/proc/self/cwd/../..", "/..", "/proc/thread-self/root")]
out["mounts"] = text("/proc/self/mountinfo")
""",
        policy=policy,
    )
    assert not out["exists"]
    assert all(isinstance(found, int) for found in out["ways"]), out["ways"]
    assert str(path.parent) not in out["mounts"] and word not in out["mounts"]


def test_the_old_root_is_gone(inside: Any) -> None:
    """Every mount point of the list can be reached from "/", and there is nothing mounted upon "/"."""
    lines = inside('out = text("/proc/self/mountinfo").splitlines()')
    points = [line.split()[4] for line in lines]
    assert points.count("/") == 1
    assert all(
        point.startswith(("/usr", "/bin", "/sbin", "/lib", "/etc/", "/proc", "/dev", "/tmp", "/work", "/nix", "/gnu"))
        or point == "/"
        for point in points
    ), points


@POLICIES
def test_handles_do_not_pass_directories(policy: str, inside: Any, tmp_path: Path) -> None:
    """CVE-2014-3519 and "shocker": open_by_handle_at needs a capability over the whole file system."""
    out = inside(
        """
handle = ctypes.create_string_buffer(8 + 128)
ctypes.c_uint.from_buffer(handle).value = 128
mount = ctypes.c_int()
out["name"] = call("name_to_handle_at", -100, "/usr", handle, ctypes.byref(mount), 0)
fd = os.open("/usr", os.O_RDONLY)
out["open"] = call("open_by_handle_at", fd, handle, 0)
""",
        policy=policy,
    )
    assert out["open"] == -1
    if policy == "default":
        assert out["name"] == -1
