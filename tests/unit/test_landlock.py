"""The Landlock room on hand-written hosts: which rights, for whom, and what is said where there are fewer."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from sandbox import HostError, landlock, steps
from sandbox.request import Request
from sandbox.spec import Spec
from sandbox.validate import validate
from tests.unit.test_plan import HOST


def spec(**options: Any) -> Spec:
    return validate(Request(argv=["/bin/true"], **options))


def on(abi: int) -> Any:
    return HOST.replace(landlock=abi)


def ruleset(one: Spec, abi: int) -> steps.LandlockRuleset:
    first = landlock.setup(one, on(abi))[0]
    assert isinstance(first, steps.LandlockRuleset)
    return first


def test_the_bits_are_those_of_the_kernels_header() -> None:
    """As far as this header goes; it may be older than we are."""
    listed = subprocess.run(["cc", "-dM", "-E", "-include", "linux/landlock.h", "-x", "c", "/dev/null"],
                            capture_output=True, text=True, check=True).stdout  # fmt: skip
    found = dict(re.findall(r"#define LANDLOCK_ACCESS_FS_(\w+) \(1ULL << (\d+)\)", listed))
    assert len(found) >= 13
    for name, bit in found.items():
        if name.lower() in steps.LANDLOCK_FILES:
            assert landlock.rights(name.lower()) == 1 << int(bit)
    tcp = dict(re.findall(r"#define LANDLOCK_ACCESS_NET_(\w+) \(1ULL << (\d+)\)", listed))
    assert all(list(landlock.NETWORK)[int(bit)] == name.lower() for name, bit in tcp.items())
    scopes = dict(re.findall(r"#define LANDLOCK_SCOPE_(\w+) \(1ULL << (\d+)\)", listed))
    assert all(list(landlock.SCOPES)[int(bit)] == name.lower() for name, bit in scopes.items())


@pytest.mark.parametrize(
    ("abi", "files", "scopes"), [(2, 14, 0), (3, 15, 0), (4, 15, 0), (5, 16, 0), (6, 16, 2), (9, 16, 2)]
)
def test_all_that_an_abi_knows_is_handled(abi: int, files: int, scopes: int) -> None:
    found = ruleset(spec(), abi)
    assert (found.filesystem, found.scoped, found.network) == ((1 << files) - 1, (1 << scopes) - 1, 0)


@pytest.mark.parametrize("abi", [-95, 0, 1])
def test_where_there_is_too_little(abi: int) -> None:
    assert landlock.setup(spec(), on(abi)) == () == landlock.program(spec(), on(abi))
    found = landlock.report(spec(), on(abi))
    assert found.abi == 0 and found.why and not found.filesystem
    with pytest.raises(HostError):
        landlock.require(spec(landlock="on"), on(abi))
    landlock.require(spec(), on(abi))


@pytest.mark.parametrize(("options", "abi"), [({}, 2), ({"net": "host"}, 6), ({"without": ["pid"]}, 6)])
def test_by_name_it_must_do_what_the_request_needs(options: dict[str, Any], abi: int) -> None:
    landlock.require(spec(landlock="on", **options), on(abi))
    with pytest.raises(HostError, match="--landlock on"):
        landlock.require(spec(landlock="on", **options), on(abi - 1))
    landlock.require(spec(**options), on(abi - 1))


def test_ports_are_a_lock_of_their_own_only_without_a_namespace() -> None:
    for options, ports in (({}, 0), ({"net": "host"}, 0), ({"isolation": "landlock"}, 3),
                           ({"isolation": "landlock", "net": "host"}, 0)):  # fmt: skip
        assert ruleset(spec(**options), 7).network == ports
        assert bool(landlock.report(spec(**options), on(7)).network) == bool(ports)
    alone = spec(isolation="landlock")
    assert ruleset(alone, 3).network == 0 and {"bind_tcp", "connect_tcp"} <= set(landlock.report(alone, on(3)).missing)


def places(one: Spec, abi: int = 7) -> dict[str, int]:
    return {s.path: s.rights for s in landlock.setup(one, on(abi)) if isinstance(s, steps.LandlockPath)}


def test_who_may_write_where() -> None:
    write = landlock.rights("write_file")
    found = places(spec(tmpfs=["/mnt"], volumes=["/usr:/ro", "/tmp:/rw:rw"]))
    assert {path for path, rights in found.items() if rights & write} == {
        "/dev", "/proc", "/tmp", "/dev/shm", "/work", "/mnt", "/rw"}  # fmt: skip
    assert not any(rights & landlock.rights("make_char", "make_block") for rights in found.values())
    assert "/work" not in places(spec(volumes=["/usr:/work"]))
    alone = places(spec(isolation="landlock"))
    assert {path for path, rights in alone.items() if rights & write} == {f"/dev/{n}" for n in landlock.DEVICES}
    assert "/" not in alone and "/dev" not in alone


def test_the_run_enters_it_and_the_filter_comes_along() -> None:
    assert [type(s).__name__ for s in landlock.program(spec(), on(7))] == ["Restrict"]
    assert [type(s).__name__ for s in landlock.program(spec(isolation="landlock"), on(7))] == ["Restrict", "Confine"]
    assert landlock.program(spec(landlock="off"), on(7)) == ()


def test_what_is_not_isolated_is_said_in_one_note() -> None:
    assert landlock.notes(spec(), on(2), False) == ()
    (note,) = landlock.notes(spec(isolation="landlock"), on(3), False)
    assert "signals" in note and "any number of processes" in note and "\n" not in note
    (note,) = landlock.notes(spec(isolation="landlock"), on(7), True)
    assert "signals" not in note and "any number" not in note
