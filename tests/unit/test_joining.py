"""The plan of a program that joins a sandbox: which namespaces, in which order, and as confined as the first one."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import RequestError, joining, plan, steps
from sandbox.cgroup.none import NoneBackend
from sandbox.decide import Decision
from sandbox.listening import Listening
from sandbox.procview import PLAIN
from sandbox.request import Request
from sandbox.seccomp import Filter
from sandbox.spec import Spec
from tests.unit.test_plan import BASE, FILTER, HOST

HERE = HOST.replace(landlock=6)


def decided(base: Spec = BASE, **words: Any) -> Decision:
    spec = joining.spec_in(base, Request(argv=["/bin/more"], **words))
    return Decision(
        spec=spec, host=HERE, backend=NoneBackend("", ""), disks=None, enforced={}, not_enforced={},
        filter=Filter(program=FILTER, asking=FILTER, asks=False, capabilities=0), cpus=(), view=PLAIN,
        listening=Listening(number=1536, denials=True), listening_notes=(),
    )  # fmt: skip


def planned(base: Spec = BASE, **words: Any) -> plan.LaunchPlan:
    first = plan.build(base, HERE, seccomp=FILTER, clocks_ns=(5, 7))
    return joining._plan(decided(base, **words), first, ("cgroup:0",), {"memory": False})


def test_the_way_in() -> None:
    """The network first, for whoever owns it loses its rights over it inside; the pid namespace last."""
    made = planned()
    kinds = [s.kind for s in made.setup if isinstance(s, steps.Join)]
    assert kinds == ["net", "user", "mnt", "ipc", "uts", "pid", "root"]
    assert [s.kind for s in made.program if isinstance(s, steps.Join)] == ["cgroup", "time"]
    assert isinstance(made.program[0], steps.Attach)  # before the ids change
    assert made.joins and made.clone_flags == 0 and not made.fresh_net and made.time_offset_ns == 5
    assert made.describe()[0] == "clone a process that joins the sandbox"
    assert all(s.boottime_ns == 7 for s in made.enter if isinstance(s, steps.AnswerSysinfo))


def test_what_was_left_out_is_not_entered() -> None:
    made = planned(BASE.replace(absent=frozenset({"net", "ipc", "time", "cgroup"}), net="host"))
    assert [s.kind for s in made.setup if isinstance(s, steps.Join)] == ["user", "mnt", "uts", "pid", "root"]
    assert not [s for s in made.program if isinstance(s, steps.Join)]


def test_the_program_is_locked_as_the_first_one() -> None:
    first, more = plan.build(BASE, HERE, seccomp=FILTER, listening=Listening(number=1536, denials=True)), planned()
    kinds = (steps.Rlimit, steps.SetIds, steps.DropBounding, steps.DropCaps, steps.NoNewPrivs, steps.Restrict)
    for kind in kinds:
        assert [s for s in first.program if isinstance(s, kind)] == [s for s in more.program if isinstance(s, kind)]


def test_scopes_of_landlock_that_would_part_it_from_the_sandbox() -> None:
    def scoped(base: Spec) -> int:
        return next(s.scoped for s in planned(base).setup if isinstance(s, steps.LandlockRuleset))

    assert scoped(BASE) == 0
    assert scoped(BASE.replace(absent=frozenset({"net"}), net="host")) == 1  # the host's abstract sockets stay closed


def test_the_environment_is_the_sandboxs_with_more() -> None:
    base = BASE.replace(env=((b"PATH", b"/bin"), (b"HOME", b"/x"), (b"A", b"1")))
    found = dict(joining.spec_in(base, Request(argv=["a"], env={"A": "2", "B": "3"})).env)
    assert found == {b"PATH": b"/bin", b"HOME": b"/x", b"A": b"2", b"B": b"3"}
    assert joining.spec_in(base, Request(argv=["a"], env={"B": "3"}, exact_env=True)).env == ((b"B", b"3"),)


def test_every_field_is_the_programs_or_refused() -> None:
    others = {
        "mem": "1M", "swap": "1M", "time": 1, "idle": 1, "pids": 1, "cpus": 1, "cpuset": "0", "disk": "1M", "inodes": 9,
        "fsize": "1M", "stack": "1M", "nofile": 9, "core": "1M", "io_read": "1M", "io_write": "1M", "volumes": ["/a"],
        "tmpfs": ["/a"], "rootfs": "/", "overlays": [1], "devices": ["fuse"], "hostname": "a", "ids": "range",
        "net": "host", "proc": "plain", "without": ["net"], "landlock": "off", "isolation": "landlock", "cap_add": [1],
        "cap_drop": ["A"], "sysinfo": "on", "denials": "on", "notify": print, "notify_all": True, "cgroup": "none",
        "best_effort": True, "leaf": True, "joinable": True, "network": 1,
    }  # fmt: skip
    assert set(others) | set(joining.FIELDS) == set(Request._fields)
    for field, value in others.items():
        with pytest.raises(RequestError, match=field):
            joining.spec_in(BASE, Request(argv=["a"], **{field: value}))
