"""Small parsers of cgroupfs, names of leaves, and what can be said of delegation without a kernel's help."""

from __future__ import annotations

import os

import pytest

from sandbox.cgroup import delegation, files, names
from sandbox.cgroup.mounts import Mount, Mounts
from sandbox.errors import HostError, RequestError
from sandbox.spec import Limits

OOM_CONTROL = b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
CPU_STAT = b"usage_usec 2211\nuser_usec 1200\nsystem_usec 1011\nnr_periods 0\n"


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        (OOM_CONTROL, b"oom_kill", 3),
        (OOM_CONTROL, b"oom", None),
        (CPU_STAT, b"usage_usec", 2211),
        (b"usage_usec 22", b"usage_usec", None),
        (b"max max\n", b"max", None),
        (b"", b"x", None),
    ],
)
def test_keyed(text: bytes, key: bytes, value: int | None) -> None:
    assert files.keyed(text, key) == value


def test_number_is_none_for_max_and_for_nothing() -> None:
    assert [files.number(t) for t in (b"42\n", b"max\n", b"", None, b"-1\n")] == [42, None, None, None, None]


@pytest.mark.parametrize(
    ("text", "cpus"), [(b"0-2,7\n", {0, 1, 2, 7}), (b"0\n", {0}), (b"\n", set()), (b"", set()), (None, set())]
)
def test_cpus(text: bytes | None, cpus: set[int]) -> None:
    assert files.cpus(text) == cpus


def test_names_differ_and_name_their_maker() -> None:
    first, second = names.new_name(7), names.new_name(7)
    assert first != second
    assert first.startswith(names.prefix_of(7)) and not first.startswith(names.prefix_of(77))
    owner = names.owner_of(first)
    assert owner is not None and owner.pid == os.getpid() and names.alive(owner)
    assert owner.namespace == names.pid_namespace()


def test_name_after_a_fork_is_the_childs() -> None:
    names.new_name(7)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, names.new_name(7).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    owner = names.owner_of(os.read(reader, 200).decode())
    os.close(reader)
    os.close(writer)
    assert owner is not None and owner.pid == pid and not names.alive(owner)


def test_pid_that_was_taken_by_another_process_is_not_alive() -> None:
    start = names.starttime(os.getpid())
    assert start is not None
    assert not names.alive(names.Owner(os.getpid(), start + 1, 1))


@pytest.mark.parametrize(
    "name",
    [
        "pysandbox-main",
        "pysandbox-1-2",
        "pysandbox-1-2-3",
        "pysandbox-1-2-3.x",
        "pysandbox-1-2-3.4",
        "pysandbox-1-²-3.1.1",
        "other-1-2-3.4.5",
        "",
    ],
)
def test_foreign_names_have_no_owner(name: str) -> None:
    assert names.owner_of(name) is None


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/a\0b"])
def test_bad_path_is_a_request_error(path: str) -> None:
    with pytest.raises(RequestError, match="cgroup"):
        delegation.find(path, Mounts())


def test_environment_names_a_subtree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(delegation.ENVIRONMENT, "nonsense")
    with pytest.raises(RequestError, match=delegation.ENVIRONMENT):
        delegation.find("auto", Mounts())
    assert delegation.find("none", Mounts()).name == "none"


def test_named_but_nothing_mounted_is_a_host_error() -> None:
    with pytest.raises(HostError, match="/mine is not usable: no cgroup hierarchy"):
        delegation.find("/mine", Mounts())


def test_named_but_absent_is_a_host_error_with_the_directory() -> None:
    table = Mounts(v1={"memory": Mount(point="/nonexistent/memory", root="/", version=1, controllers=("memory",))})
    with pytest.raises(HostError, match="there is no cgroup /nonexistent/memory/mine"):
        delegation.find("/mine", table)


def test_none_enforces_nothing_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(delegation.ENVIRONMENT, raising=False)
    backend = delegation.find("auto", Mounts())
    assert (backend.name, backend.enforces(), backend.parents()) == ("none", {}, ())
    assert backend.missing("mem") == (
        "mem cannot be enforced: no cgroup hierarchy with controllers is mounted here; mount cgroup2 on /sys/fs/cgroup"
    )
    leaf = backend.open(Limits())
    assert (leaf.attach_fds(), leaf.clone_fd(), leaf.cpu_ns(), leaf.usage(b"").cpu_ns) == ((), None, None, None)
    leaf.kill()
    leaf.close()


@pytest.mark.parametrize(
    ("directory", "unit"),
    [
        ("/cg/user.slice/user@1.service/app.slice/a.scope/inner", "/cg/user.slice/user@1.service/app.slice/a.scope"),
        ("/cg/user.slice/user@1.service/app.slice", "/cg/user.slice/user@1.service/app.slice"),
        ("/cg/pysandbox/uid-1", ""),
        ("/cg", ""),
    ],
)
def test_systemd_unit_around_a_cgroup(directory: str, unit: str) -> None:
    assert delegation.systemd_unit(directory, Mounts(v2=Mount(point="/cg", root="/", version=2))) == unit


def test_main_leaf_stands_for_the_cgroup_above_it() -> None:
    v2 = Mount(point="/cg", root="/", version=2)
    assert delegation.own_base(Mounts(v2=v2, own={"": "/a/pysandbox-main"})) == "/cg/a"
    assert delegation.own_base(Mounts(v2=v2, own={"": "/a/b"})) == "/cg/a/b"
