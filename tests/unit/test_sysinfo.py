"""When sysinfo(2) is answered, and why it is not, on hosts that this one is not."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from sandbox import HostError, RequestError, sysinfo
from sandbox.cgroup import files
from sandbox.host import HostFacts
from sandbox.listening import sysinfo_wanted
from sandbox.request import Request
from sandbox.spec import Spec
from sandbox.validate import validate

HOST = HostFacts(uid=1234, gid=1234, groups=(), cpus=2, machine="x86_64", system=(), etc=(), proc_masked=(),
                 proc_readonly=())  # fmt: skip
NO_USER = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup"]


def spec(**options: Any) -> Spec:
    return validate(Request(argv=["/usr/bin/true"], **options))


@pytest.mark.parametrize(("how", "limited", "answered"), [
    ("auto", True, True), ("auto", False, False), ("on", True, True), ("on", False, True),
    ("off", True, False), ("off", False, False),
])  # fmt: skip
def test_wanted(how: str, limited: bool, answered: bool) -> None:
    assert sysinfo_wanted(spec(sysinfo=how), HOST, limited) is answered


@pytest.mark.parametrize(("facts", "options", "words"), [
    ({"listener_errno": errno.EINVAL}, {}, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
    ({"listener_errno": errno.ENOSYS}, {}, "Linux 5.19"),
    ({"listener_errno": errno.EPERM}, {}, "operation not permitted"),
    ({"ptrace_scope": 3}, {}, "ptrace_scope is 3"),
    ({"ptrace_scope": 2}, {"without": NO_USER}, "ptrace_scope is 2"),
])  # fmt: skip
def test_obstacles(facts: dict[str, int], options: dict[str, Any], words: str) -> None:
    host = HOST.replace(**facts)
    assert not sysinfo_wanted(spec(**options), host, True)
    assert not sysinfo_wanted(spec(sysinfo="off", **options), host, True)
    with pytest.raises(HostError, match=words):
        sysinfo_wanted(spec(sysinfo="on", **options), host, True)


@pytest.mark.parametrize("scope", [0, 1, 2])
def test_yama_costs_a_capability_from_2_on(scope: int) -> None:
    host = HOST.replace(ptrace_scope=scope)
    assert sysinfo_wanted(spec(sysinfo="on"), host, False)
    assert sysinfo.enter(spec(sysinfo="on"), host, {}, 0)[0].ptrace is (scope == 2)


def test_a_proc_of_another_pid_namespace() -> None:
    assert not sysinfo_wanted(spec(without=["mount"]), HOST, True)
    assert sysinfo_wanted(spec(without=["mount", "pid"], sysinfo="on"), HOST, True)
    with pytest.raises(RequestError, match="pid"):
        spec(without=["mount"], sysinfo="on")


def test_a_limit_is_told_only_where_it_is_enforced() -> None:
    limited = spec(mem="64M", swap="1M")
    told, *gauges = sysinfo.enter(limited, HOST, {"memory": False, "swap": True}, 7)
    assert (told.mem_bytes, told.swap_bytes, told.boottime_ns, told.ptrace) == (64 << 20, 1 << 20, 7, False)
    assert [(g.what, g.fd, g.with_memory) for g in gauges] == [("memory", "gauge:memory", False),
                                                               ("swap", "gauge:swap", True)]  # fmt: skip
    for known in ({}, {"tasks": False}):
        told = sysinfo.enter(limited, HOST, known, 0)[0]
        assert told.mem_bytes is None and told.swap_bytes is None


def test_gauges_are_all_or_none(tmp_path: Any) -> None:
    (tmp_path / "there").write_text("1\n")
    before = os.listdir("/proc/self/fd")
    found = files.open_all({"a": (f"{tmp_path}/there", True), "b": (f"{tmp_path}/not", False)})
    assert list(found) == ["a"] and os.pread(found["a"][0], 9, 0) == b"1\n" and found["a"][1] is True
    os.close(found["a"][0])
    with pytest.raises(NotADirectoryError):
        files.open_all({"a": (f"{tmp_path}/there", True), "b": (f"{tmp_path}/there/x", False)})
    assert os.listdir("/proc/self/fd") == before
