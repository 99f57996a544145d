"""/proc/self/mountinfo and /proc/self/cgroup of five kinds of host, recorded, and what is read out of them."""

from __future__ import annotations

import pytest

from sandbox.cgroup.mounts import Mounts, combine, parse_mountinfo, parse_own

V1_HYBRID = """\
28 25 0:5 / /dev rw,relatime - devtmpfs devtmpfs rw,size=2015572k
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V1_HYBRID_OWN = """\
9:name=systemd:/
8:pids:/
4:memory:/agents/b884
3:cpuset:/
2:cpuacct:/
1:cpu:/
0::/
"""

# A systemd host of 2018: controllers mounted together, a link named cpu beside them (not in mountinfo).
V1_COMOUNTED = """\
26 19 0:21 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
30 26 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:13 - cgroup cgroup rw,cpu,cpuacct
31 26 0:26 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:14 - cgroup cgroup rw,memory
32 26 0:27 / /sys/fs/cgroup/net_cls,net_prio rw,relatime shared:15 - cgroup cgroup rw,net_cls,net_prio
"""
V1_COMOUNTED_OWN = """\
5:cpu,cpuacct:/user.slice/user-1000.slice
4:memory:/user.slice/user-1000.slice/session-2.scope
3:net_cls,net_prio:/
1:name=systemd:/user.slice/user-1000.slice/session-2.scope
"""

V2_PURE = """\
30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""
V2_PURE_OWN = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n"

# Docker on v2 with a private cgroup namespace: root and own cgroup both read "/".
V2_DOCKER = """\
721 720 0:66 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c,workdir=/d
730 726 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate
"""

# Docker on v1 without one: the mount shows the container's own cgroup only.
V1_DOCKER = """\
700 699 0:29 /docker/ab12 /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
"""
V1_DOCKER_OWN = "7:memory:/docker/ab12/inner\n"


def test_hybrid_takes_controllers_from_v1_and_knows_v2() -> None:
    table = combine(V1_HYBRID, V1_HYBRID_OWN)
    assert set(table.v1) == {"cpu", "cpuacct", "cpuset", "memory", "pids"}
    assert table.v2 is not None and table.v2.point == "/sys/fs/cgroup/unified"
    assert table.own_directory("memory") == "/sys/fs/cgroup/memory/agents/b884"
    assert table.own_directory("pids") == "/sys/fs/cgroup/pids"
    assert table.own_directory("") == "/sys/fs/cgroup/unified"
    assert table.own_directory("blkio") is None


def test_controllers_mounted_together_share_a_mount_point() -> None:
    table = combine(V1_COMOUNTED, V1_COMOUNTED_OWN)
    assert table.v1["cpu"] == table.v1["cpuacct"]
    assert table.own_directory("cpuacct") == "/sys/fs/cgroup/cpu,cpuacct/user.slice/user-1000.slice"
    assert table.v2 is None and "net_cls" not in table.v1


def test_pure_v2() -> None:
    table = combine(V2_PURE, V2_PURE_OWN)
    assert table.v1 == {}
    own = table.own_directory("")
    assert own == "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope"


def test_private_cgroup_namespace() -> None:
    assert combine(V2_DOCKER, "0::/\n").own_directory("") == "/sys/fs/cgroup"


def test_mount_root_of_a_container_is_taken_off() -> None:
    table = combine(V1_DOCKER, V1_DOCKER_OWN)
    assert table.own_directory("memory") == "/sys/fs/cgroup/memory/inner"


@pytest.mark.parametrize("own", ["7:memory:/docker/ab123\n", "7:memory:/\n", "7:memory:/../x\n", ""])
def test_cgroup_outside_of_the_mount_is_out_of_sight(own: str) -> None:
    assert combine(V1_DOCKER, own).own_directory("memory") is None


def test_mount_of_another_cgroup_namespace_is_out_of_sight() -> None:
    text = "35 31 0:32 /../.. /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
    assert combine(text, "0::/\n").own_directory("") is None


def test_later_mount_on_the_same_point_covers_the_earlier() -> None:
    covered = V2_PURE + "99 23 0:80 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    assert parse_mountinfo(covered) == ()


def test_of_two_mounts_the_one_that_shows_our_cgroup_is_taken() -> None:
    second = "44 1 0:29 / /mnt/all rw - cgroup cgroup rw,memory\n"
    table = combine(V1_DOCKER + second, "7:memory:/elsewhere\n")
    assert table.own_directory("memory") == "/mnt/all/elsewhere"


def test_escapes_of_mountinfo() -> None:
    (mount,) = parse_mountinfo("35 31 0:32 / /mnt/a\\040b\\134c rw - cgroup2 none rw\n")
    assert mount.point == "/mnt/a b\\c"


def test_controller_paths_with_a_colon() -> None:
    assert parse_own("4:memory:/a:b\n0::/c:d\n") == {"memory": "/a:b", "": "/c:d"}


@pytest.mark.parametrize("text", ["", "\n", "garbage\n", "1 2 3 4 5 - cgroup\n"])
def test_nothing_is_found_in_nonsense(text: str) -> None:
    assert combine(text, text) == Mounts()
