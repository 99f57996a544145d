"""When a run has a listener, by which number it leaves, and the prologue, instruction by instruction."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

from sandbox import HostError
from sandbox.host import HostFacts
from sandbox.listening import ALLOW, USER_NOTIF, Listening, decide, filter_of, number, prologue
from sandbox.request import Request
from sandbox.spec import Spec
from sandbox.validate import validate

HOST = HostFacts(uid=1234, gid=1234, groups=(), cpus=2, machine="x86_64", system=(), etc=(), proc_masked=(),
                 proc_readonly=())  # fmt: skip
POLICY = struct.pack("=HBBI", 0x20, 0, 0, 4) + struct.pack("=HBBI", 6, 0, 0, 0x50001)
ASKS = POLICY[:8] + struct.pack("=HBBI", 6, 0, 0, USER_NOTIF)
MACHINES = {"x86_64": (0xC000003E, 46, 99), "aarch64": (0xC00000B7, 211, 179)}


def spec(**options: Any) -> Spec:
    return validate(Request(argv=["/usr/bin/true"], **options))


def answer(program: bytes, arch: int, nr: int, fd: int) -> int | None:
    """Follow a program of loads, JEQ and RET; None if it comes to the policy."""
    words = list(struct.iter_unpack("=HBBI", program))
    data = struct.pack("=iIQ6Q", nr, arch, 0, fd, *[0] * 5)
    at = a = 0
    while at < len(words):
        code, yes, no, k = words[at]
        at += 1
        if code == 0x20:
            (a,) = struct.unpack_from("=I", data, k)
        elif code == 0x15:
            at += yes if a == k else no
        else:
            assert code == 0x06
            return k
    return None


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("sysinfo", [False, True])
def test_the_prologue(machine: str, sysinfo: bool) -> None:
    arch, sendmsg, told = MACHINES[machine]
    made = prologue(1536, sysinfo, machine)
    assert answer(made, arch, sendmsg, 1536) == ALLOW
    assert answer(made, arch, sendmsg, 1 << 32 | 1536) == ALLOW  # the kernel reads an unsigned int
    for fd in (0, 3, 1535, 1537, 1536 << 32, 2**32 - 1):
        assert answer(made, arch, sendmsg, fd) is None
    assert answer(made, arch, told, 0) == (USER_NOTIF if sysinfo else None)
    for nr in set(range(600)) - {sendmsg, told}:
        assert answer(made, arch, nr, 1536) is None
    for foreign in (0x40000003, 0xC000003E, 0xC00000B7, 0x40000028, 0):
        if foreign != arch:
            assert {answer(made, foreign, nr, 1536) for nr in range(600)} == {None}
    assert answer(made, arch, sendmsg | 1 << 30, 1536) is None  # x32


def test_what_is_loaded() -> None:
    def body(program: bytes, asking: bytes, **what: Any) -> bytes:
        listening = Listening(number=1536, **what)
        made = filter_of(program, asking, listening, "x86_64")
        head = prologue(1536, listening.sysinfo, "x86_64")
        assert made.startswith(head)
        return made[len(head) :]

    allow = struct.pack("=HBBI", 6, 0, 0, ALLOW)
    assert body(POLICY, ASKS, denials=True) == ASKS
    assert body(POLICY, ASKS, denials=True, sysinfo=True) == ASKS
    assert body(POLICY, ASKS, sysinfo=True) == POLICY
    assert body(b"", b"", sysinfo=True) == allow
    assert body(POLICY, ASKS, notify=True) == POLICY
    assert body(b"", b"", notify=True) == allow


@pytest.mark.parametrize(("hard", "nofile", "expected"), [
    (1 << 20, None, 1536), (1 << 20, 5000, 5000), (1 << 20, 16, 1536), (1024, None, -1), (1024, 1024, -1),
    (1024, 1023, 1023), (1024, 64, 1023), (1025, None, 1024), (512, None, -1), (64, 2000, -1),
    (2**63 - 1, 3, -1), (2**63 - 1, 4, 1536),
])  # fmt: skip
def test_the_number(hard: int, nofile: int | None, expected: int) -> None:
    """Ours to have, being below our hard limit, and not the program's, being at or above its own."""
    assert number(spec(nofile=nofile), HOST.replace(nofile=hard)) == expected


@pytest.mark.parametrize(("options", "limited", "reports", "expected"), [
    ({}, False, True, (False, True, False)),
    ({}, True, True, (True, True, False)),
    ({}, True, False, (True, False, False)),
    ({}, False, False, None),
    ({"denials": "off"}, False, True, None),
    ({"denials": "off"}, True, True, (True, False, False)),
    ({"denials": "on"}, False, True, (False, True, True)),
    ({"denials": "on"}, False, False, None),
    ({"denials": "on"}, True, True, (True, True, True)),
    ({"sysinfo": "on"}, False, True, (True, True, True)),
    ({"sysinfo": "off"}, True, True, (False, True, False)),
    ({"sysinfo": "off", "denials": "off"}, True, True, None),
])  # fmt: skip
def test_what_it_is_for(
    options: dict[str, Any], limited: bool, reports: bool, expected: tuple[bool, bool, bool] | None
) -> None:
    found, notes = decide(spec(**options), HOST, limited=limited, reports=reports)
    assert not notes and (found and (found.sysinfo, found.denials, found.required)) == expected


def test_a_handler_excludes_the_others() -> None:
    found, notes = decide(spec(notify=print), HOST, limited=True, reports=True)
    assert found == Listening(number=1536, notify=True, required=True) and not notes


@pytest.mark.parametrize(("facts", "options", "words", "noted"), [
    ({"listener_errno": errno.EINVAL}, {}, "WAIT_KILLABLE_RECV", False),
    ({"listener_errno": errno.ENOSYS}, {}, "Linux 5.19", False),
    ({"nofile": 1024}, {}, "--nofile 1023", True),
    ({"nofile": 256}, {"nofile": 256}, "ulimit -Hn", True),
    ({}, {"nofile": 3}, "ask for one more", True),
    ({}, {"nofile": 5, "pass_fds": [3, 4]}, "ask for one more", True),
])  # fmt: skip
def test_obstacles(facts: dict[str, int], options: dict[str, Any], words: str, noted: bool) -> None:
    host = HOST.replace(**facts)
    found, notes = decide(spec(**options), host, limited=True, reports=True)
    assert found is None and len(notes) == noted
    assert decide(spec(denials="off", sysinfo="off", **options), host, limited=True, reports=True) == (None, ())
    for field in ("denials", "sysinfo"):
        with pytest.raises(HostError, match=words):
            decide(spec(**options, **{field: "on"}), host, limited=False, reports=True)
    with pytest.raises(HostError, match=words):
        decide(spec(notify=print, **options), host, limited=False, reports=True)


def test_yama_is_no_obstacle_to_denials() -> None:
    """Only the memory of callers is closed then."""
    found, _notes = decide(spec(), HOST.replace(ptrace_scope=3), limited=True, reports=True)
    assert found and found.denials and not found.sysinfo
