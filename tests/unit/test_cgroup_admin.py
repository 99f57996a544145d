"""The plan of `pysandbox setup`, as text."""

from __future__ import annotations

import os

import pytest

from sandbox import admin
from sandbox.cgroup.mounts import Mount, Mounts
from sandbox.errors import HostError, RequestError

UID = 64_321  # no user has it

TABLE = Mounts(
    v1={
        name: Mount(point=point, root="/", version=1, controllers=(name,))
        for name, point in (("memory", "/cg/memory"), ("cpu", "/cg/cpu,cpuacct"), ("cpuacct", "/cg/cpu,cpuacct"))
    }
)


def test_plan_reads_as_commands() -> None:
    assert [action.describe() for action in admin.plan_setup(UID, TABLE)][:5] == [
        "mkdir -p /cg/memory/pysandbox",
        f"mkdir -p /cg/memory/pysandbox/uid-{UID}",
        f"chown {UID}:{UID} /cg/memory/pysandbox/uid-{UID}",
        f"chown {UID}:{UID} /cg/memory/pysandbox/uid-{UID}/cgroup.procs",
        f"chown {UID}:{UID} /cg/memory/pysandbox/uid-{UID}/tasks",
    ]


def test_controllers_mounted_together_are_set_up_once() -> None:
    made = [action.describe() for action in admin.plan_setup(UID, TABLE)]
    assert len(made) == len(set(made)) == 10


def test_cpuset_is_filled_before_it_is_given_away() -> None:
    table = Mounts(v1={"cpuset": Mount(point="/cg/cpuset", root="/", version=1, controllers=("cpuset",))})
    made = [action.describe() for action in admin.plan_setup(UID, table)]
    assert [line.rsplit("/", 1)[1] for line in made if line.startswith("echo")] == ["cpuset.cpus", "cpuset.mems"] * 2


def test_shell_is_moved_last() -> None:
    table = Mounts(v1={"memory": TABLE.v1["memory"]})
    assert admin.plan_setup(UID, table, enter=77)[-1].describe() == (
        f"echo 77 > /cg/memory/pysandbox/uid-{UID}/cgroup.procs"
    )


def test_tmpfiles_lines() -> None:
    lines = admin.tmpfiles_lines(UID, TABLE).splitlines()
    assert f"d /cg/memory/pysandbox/uid-{UID} 0755 root root -" in lines
    assert f"z /cg/memory/pysandbox/uid-{UID}/tasks 0644 {UID} {UID} -" in lines


@pytest.mark.parametrize("user", ["no-such-user-here", "", "-1", "4294967295"])
def test_unknown_user(user: str) -> None:
    with pytest.raises(RequestError, match="user"):
        admin.plan_setup(user, TABLE)


def test_nothing_mounted() -> None:
    with pytest.raises(HostError, match="no cgroup hierarchy"):
        admin.plan_setup(UID, Mounts())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_refuses_without_root_with_the_command() -> None:
    with pytest.raises(HostError, match="sudo pysandbox setup --user alice`"):
        admin.apply([], "alice")
    with pytest.raises(HostError, match="sudo pysandbox setup --user alice --undo`"):
        admin.undo("alice", Mounts())
