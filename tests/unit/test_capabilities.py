"""Names of capabilities, and what is kept of a policy's, the added and the dropped ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox import RequestError, capabilities
from sandbox.plan import build
from sandbox.request import Request
from sandbox.spec import Spec
from sandbox.steps import DropBounding, DropCaps, SetIds, SwitchRoot
from sandbox.validate import validate
from tests.unit.test_plan import HOST


def spec(**options: object) -> Spec:
    return validate(Request(argv=["/usr/bin/true"], **options))


def names(**options: object) -> set[str]:
    return set(capabilities.names(spec(**options).kept))


def test_numbers_are_those_of_the_kernel() -> None:
    text = Path("/usr/include/linux/capability.h").read_text()
    header = {name: int(number) for name, number in re.findall(r"^#define CAP_(\w+)\s+(\d+)\s*$", text, re.MULTILINE)}
    assert header == capabilities.NUMBERS


def test_none_by_default() -> None:
    assert spec().kept == 0 and names(cap_drop=["ALL"]) == set() and names(cap_drop=["CHOWN"]) == set()


WAYS = [["chown", "KILL"], ["CAP_CHOWN,cap_kill"], ["Cap_Chown, kill"], ["KILL", "KILL,CHOWN"]]


@pytest.mark.parametrize("words", WAYS)
def test_ways_to_write_them(words: list[str]) -> None:
    assert names(cap_add=words) == {"CHOWN", "KILL"}


def test_all_is_what_means_something_and_is_never_a_way_out() -> None:
    everything = names(cap_add=["all"])
    assert everything == set(capabilities.EFFECTIVE)
    assert not everything & set(capabilities.NEVER)
    assert names(cap_add=["ALL,SYSLOG"]) == everything | {"SYSLOG"}
    assert names(cap_add=["ALL"], cap_drop=["KILL", "CHOWN"]) == everything - {"KILL", "CHOWN"}
    assert names(cap_add=["KILL"], cap_drop=["ALL"]) == {"KILL"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cap_add": ["CHWON"]}, "did you mean CHOWN?"),
        ({"cap_drop": ["NET_ADMN"]}, "did you mean NET_ADMIN?"),
        ({"cap_add": [""]}, "no such capability"),
        ({"cap_add": ["CHOWN,"]}, "no such capability"),
        ({"cap_add": ["x" * 40]}, "no such capability"),
        ({"cap_add": [7]}, "expected names"),
        ({"cap_drop": [None]}, "expected names"),
        ({"cap_add": "CHOWN"}, "expected a list"),
        ({"cap_add": ["SYS_ADMIN"]}, "never kept: it could make read-only volumes writable"),
        ({"cap_add": ["ALL,cap_sys_boot"]}, "never kept: reboot(2)"),
        ({"cap_add": ["KILL"], "cap_drop": ["kill"]}, "added by cap_add as well"),
        ({"cap_add": ["ALL"], "cap_drop": ["ALL"]}, "added by cap_add as well"),
        ({"cap_add": ["KILL"], "without": ["user", "pid", "mount", "net", "ipc", "uts", "cgroup"]}, "user namespace"),
    ],
)
def test_what_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=re.escape(said)) as caught:
        spec(**options)
    assert caught.value.field in options


def test_kept() -> None:
    kept, every = capabilities.kept, capabilities.EVERY
    assert kept(0b011, 0b100, 0) == 0b111
    assert kept(0b011, 0b100, 0b001) == 0b110
    assert kept(0b011, 0b100, every) == 0b100
    assert kept(0b011, 0, every) == 0


def test_a_policys_capabilities_come_in_with_the_decision() -> None:
    with_drop = spec(cap_drop=["KILL"], cap_add=["SETUID"]).with_capabilities(1 << 5 | 1 << 0)
    assert set(capabilities.names(with_drop.kept)) == {"CHOWN", "SETUID"}
    with pytest.raises(RequestError, match="never kept"):
        spec().with_capabilities(capabilities.NEVER_MASK)
    with pytest.raises(RequestError, match="user namespace"):
        spec(without=["user", "pid", "mount", "net", "ipc", "uts", "cgroup"]).with_capabilities(1)


def test_the_plan_says_it_twice() -> None:
    one = spec(cap_add=["CHOWN", "SYS_CHROOT"])
    built = build(one, HOST, seccomp=None)
    steps = {type(step): step for step in (*built.setup, *built.program)}
    assert steps[DropBounding].kept == steps[DropCaps].kept == one.kept != 0
    assert steps[SetIds].keep_capabilities and steps[DropCaps].bounding_checked
    assert not steps[SwitchRoot].or_chroot  # chroot(2) would lead out of a root that chroot(2) made
    assert any("keep CHOWN,SYS_CHROOT" in line for line in built.describe())
    assert build(spec(cap_add=["CHOWN"]), HOST, seccomp=None).setup[-1].or_chroot


def test_rights_over_the_network_need_a_network_of_the_runs_own() -> None:
    assert build(spec(), HOST, seccomp=None).fresh_net
    for name in ("NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "NET_BROADCAST"):
        assert capabilities.NET_MASK >> capabilities.NUMBERS[name] & 1
        built = build(spec(cap_add=[name]), HOST, seccomp=None)
        assert not built.fresh_net and built.clone_flags & 0x40000000
    assert build(spec(cap_add=["CHOWN"]), HOST, seccomp=None).fresh_net
