"""The machine is what it claims to be; what the other tests find here hangs on that."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from tests.vm.guest.conftest import Shell

GIVEN = {"cpu", "memory", "pids"}  # by systemd, unless it is told more
# Code name of the release -> its kernel, systemd, Python, and the controllers of alice's manager.
RELEASES = {
    "bookworm": ("6.1.", "252", (3, 11), GIVEN),
    "trixie": ("6.12.", "257", (3, 13), GIVEN | {"cpuset", "io"}),
}


def release() -> str:
    pairs = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    return {name: value.strip('"') for name, _equals, value in pairs}["VERSION_CODENAME"]


def root_mount() -> list[str]:
    """Fields of the line of /sys/fs/cgroup in this mount namespace."""
    (line,) = [line for line in Path("/proc/self/mounts").read_text().splitlines() if " /sys/fs/cgroup " in line]
    return line.split()


def own_cgroup() -> Path:
    (line,) = Path("/proc/self/cgroup").read_text().splitlines()
    assert line.startswith("0::/"), "a hierarchy of v1 is there as well"
    return Path("/sys/fs/cgroup" + line.removeprefix("0::"))


def test_release() -> None:
    kernel, _systemd, python, _controllers = RELEASES[release()]
    assert platform.release().startswith(kernel)
    assert sys.version_info[:2] == python


def test_systemd(as_root: Shell) -> None:
    assert Path("/proc/1/comm").read_text() == "systemd\n"
    assert as_root("systemctl --version").stdout.split()[1] == RELEASES[release()][1]
    failed = as_root("systemctl --failed --no-legend --plain").stdout
    assert not failed


def test_cgroup_v2_alone() -> None:
    _device, _point, kind, options = root_mount()[:4]
    assert kind == "cgroup2"
    assert "nsdelegate" in options.split(","), "something mounted cgroup2 without it, as a start of lxcfs does"
    controllers = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    assert {"cpu", "cpuset", "io", "memory", "pids"} <= set(controllers)


def test_delegated_scope() -> None:
    scope = own_cgroup()
    while not scope.name.endswith(".scope"):  # a run of pysandbox may have moved us into a leaf
        scope = scope.parent
    assert f"/user@{os.getuid()}.service/" in str(scope)
    assert scope.stat().st_uid == os.getuid()
    assert set((scope / "cgroup.controllers").read_text().split()) == RELEASES[release()][3]


def test_nobody_special() -> None:
    assert os.getuid() == os.geteuid() != 0
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert os.environ["XDG_RUNTIME_DIR"] == f"/run/user/{os.getuid()}"
    assert Path("/etc/subuid").read_text() == "alice:100000:65536\n"


def test_devices() -> None:
    assert Path("/dev/fuse").stat().st_mode & 0o777 == 0o666
    assert "zram0" in Path("/proc/swaps").read_text()


def test_bob_has_no_manager(session_without_manager: Shell) -> None:
    line = "id -un; echo ${XDG_RUNTIME_DIR-none}; cat /proc/self/cgroup"
    done = session_without_manager(["sh", "-c", line], check=True)
    name, runtime, cgroup = done.stdout.splitlines()
    assert (name, runtime) == ("bob", "none")
    assert cgroup.startswith("0::/system.slice/run-")


def test_a_scope_of_its_own(systemd_scope: Shell) -> None:
    line = 'd=/sys/fs/cgroup$(cut -d : -f 3 /proc/self/cgroup); cat "$d/memory.max"'
    assert systemd_scope(["sh", "-c", line], "MemoryMax=64M", check=True).stdout == f"{64 << 20}\n"
