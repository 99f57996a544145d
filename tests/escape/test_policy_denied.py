"""What a policy refuses is refused on every way to the kernel: libc's wrapper, syscall(2), int 0x80, x32 numbers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import Result, Sandbox, policy, syscalls
from sandbox.policy import Policy
from sandbox.policy.answer import Answer, answer, answer_number

MACHINE = os.uname().machine
SOURCE = Path(__file__).with_name("denied.c")
FILTERS = [name for name in policy.names() if policy.load(name).filters]
# The kernel asks no filter about these: tests/runs/test_policy_proof.py.
UNASKED = {"uprobe", "uretprobe"}
HIGH = 0xDEADBEEF << 32
NAMESPACES = (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
# Conditions, where zeros are not what is refused.
WITH_ARGUMENTS: list[tuple[str, tuple[int, ...]]] = [
    *(("clone", (flag | 17 | high, 0, 0, 0, 0)) for flag in NAMESPACES for high in (0, HIGH)),
    *(("ioctl", (0, request | high, 0)) for request in (0x5412, 0x541C, 0x5423, 0x5414) for high in (0, HIGH)),
    *(("socket", (family | high, kind, 0)) for family in (*range(49), 64, 300) for kind in (1, 3, 10)
      for high in (0, HIGH)),
    *(("socket", (16, 3, protocol)) for protocol in range(23)),
    *(("socketpair", (family, kind, 0, 0)) for family in (0, 1, 2, 16, 40) for kind in (1, 2, 5)),
    *(("personality", (value | high,)) for value in (0x400000, 0x40000, 0x100000, 8 | 1) for high in (0, HIGH)),
    *(("fcntl", (1, command | high, 0)) for command in (6, 7, 36, 37, 38, 1024, 1026) for high in (0, HIGH)),
    ("setrlimit", (4, 0)),
    ("prlimit64", (0, 4, 1, 0)),
    ("prlimit64", (0, 4 | HIGH, 1, 0)),
    *(("open", (0, flags)) for flags in (1, 2, 0o100, 0o1000)),
    *(("openat", (0, 0, flags)) for flags in (1, 2, 0o100, 0o1000)),
]
WRAPPERS = {"prlimit64": "prlimit"}  # glibc makes setrlimit(3) of it too, so that setrlimit(2) has no wrapper


@pytest.fixture(scope="session")
def denied(compiled: Callable[..., Path]) -> Path:
    return compiled("denied", SOURCE.read_text(), "-Wall", "-Wextra")


@pytest.fixture(scope="session")
def wrapped() -> set[str]:
    """The calls that denied.c knows a wrapper for."""
    listed = SOURCE.read_text().partition("#define EACH(X)")[2].partition("#define DECLARE")[0]
    found = {word.partition(")")[0] for word in listed.split("X(")[1:]}
    assert "mount" in found and len(found) > 40
    return found


def refused(loaded: Policy, call: str, args: tuple[int, ...]) -> bool:
    return policy.parse_action(answer(loaded, call, args).action)[0] not in ("allow", "log", "notify")


def attempts(loaded: Policy) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from ((call, ()) for call in syscalls.names(MACHINE) if call not in UNASKED and refused(loaded, call, ()))
    for call, args in WITH_ARGUMENTS:
        if syscalls.number(MACHINE, call) is not None and refused(loaded, call, args):
            yield call, args


def can_fork(loaded: Policy) -> bool:
    return answer(loaded, "clone", (17,)).action == "allow"


def words(claimed: Answer, *, heard: bool = False) -> str:
    """heard: a listener is told of refusals, and kills by SIGKILL, since a SIGSYS that it sends could be caught."""
    kind, number = policy.parse_action(claimed.action)
    if kind == "kill":
        return f"signal {signal.SIGKILL if heard and claimed.report else signal.SIGSYS:d}"
    return f"returned {number}"


def tried(box: Sandbox, program: Path, name: str, texts: list[str], *, denials: str = "off") -> tuple[list[str], bool]:
    result: Result = box.run([str(program), *texts], policy=name, output="1M", denials=denials)
    assert result.ok, (result, result.stderr)
    lines = result.stdout.decode().splitlines()
    assert len(lines) == len(texts)
    assert denials != "off" or not result.denials_known
    return lines, result.denials_known


@pytest.mark.parametrize("denials", ["off", "auto"])
@pytest.mark.parametrize("name", FILTERS)
def test_refused(name: str, denials: str, denied: Path, wrapped: set[str], box: Sandbox) -> None:
    """Each call that the policy refuses, by its number and by libc: what ``answer`` says is what the program gets, from
    the filter itself and from the listener that is told of refusals."""
    loaded = policy.load(name)
    texts, claims = [], []
    for call, args in attempts(loaded):
        claimed = answer(loaded, call, args)
        start = "fork:" if claimed.action == "kill" else ""
        values = ",".join(map(str, args))
        ways = [f"raw:{syscalls.number(MACHINE, call)}"]
        wrapper = WRAPPERS.get(call, call)
        # In libc an argument that is an int loses its upper half, and glibc's ptrace and sockets do no more than that.
        if wrapper in wrapped and not any(value >> 32 for value in args):
            ways.append(f"libc:{wrapper}")
        for way in ways:
            texts.append(f"{start}{way}:{values}")
            claims.append((call, args, claimed))
    assert len(texts) > 150
    assert not any(text.startswith("fork:") for text in texts) or can_fork(loaded)
    found, heard = tried(box, denied, name, texts, denials=denials)
    wrong = []
    for text, (call, args, claimed), got in zip(texts, claims, found, strict=True):
        if got != words(claimed, heard=heard):
            wrong.append((text, call, args, claimed.action, got))
    assert wrong == []


@pytest.mark.parametrize("name", FILTERS)
def test_groups_that_refuse_are_all_tried(name: str) -> None:
    """No group or rule of the page is there for nothing, and none escapes the test above."""
    loaded = policy.load(name)
    met = [answer(loaded, call, args) for call, args in attempts(loaded)]
    for level in loaded.levels():
        for group in level.groups:
            here = any(syscalls.number(MACHINE, call) is not None for call in group.calls)
            if here and policy.parse_action(group.action)[0] != "allow" and level is loaded:
                assert any(found.group is group for found in met), group.name
        for rule in level.rules:
            if rule.action != "allow" and syscalls.number(MACHINE, rule.call) is not None:
                # A rule of the parent is not met where the child refuses the whole call.
                hidden = level is not loaded and any(rule.call in group.calls for group in loaded.groups)
                assert hidden or any(found.rule is rule for found in met), rule


def works(box: Sandbox, program: Path, text: str) -> bool:
    return box.run([str(program), text], policy="none").ok


@pytest.mark.skipif(MACHINE != "x86_64", reason="int 0x80 and x32 numbers exist on x86_64 only")
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("way", ["int80", "x32"])
def test_foreign_numbers(way: str, name: str, denied: Path, box: Sandbox) -> None:
    """The same calls in tables that the policy does not speak of, and harmless ones too."""
    loaded = policy.load(name)
    abi = "i386" if way == "int80" else "x32"
    if way == "int80" and not works(box, denied, "int80:20:"):
        pytest.skip("int 0x80 is a fault here: this kernel has no CONFIG_IA32_EMULATION")
    calls = {call for call, _ in attempts(loaded)} | {"read", "write", "getpid", "exit_group"}
    numbers = sorted({n for n in (syscalls.number(abi, call) for call in calls) if n is not None})
    assert len(numbers) > 60
    expected = {number: words(answer_number(loaded, abi, number)) for number in numbers}
    if can_fork(loaded):
        found, _ = tried(box, denied, name, [f"fork:{way}:{number}:" for number in numbers])
        assert dict(zip(numbers, found, strict=True)) == expected
        return
    for number in numbers[:: len(numbers) // 5]:
        result = box.run([str(denied), f"{way}:{number}:"], policy=name)
        assert expected[number] == f"signal {result.signal}", (number, result)
        assert result.outcome == "syscall"


def test_a_death_has_a_name(denied: Path, box: Sandbox) -> None:
    """What no runtime calls by itself is told from a crash, under judge."""
    for call in ("unshare", "keyctl", "bpf", "process_vm_readv"):
        result = box.run([str(denied), f"raw:{syscalls.number(MACHINE, call)}:"], policy="judge")
        assert (result.outcome, result.signal, result.exit_status) == ("syscall", signal.SIGSYS, 128 + signal.SIGSYS)


def test_core_files_stay_as_they_are(denied: Path, box: Sandbox) -> None:
    """Told yes and keeps 1, under every policy that has limits to set: see the end of default.toml."""
    code = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); print(r.getrlimit(r.RLIMIT_CORE))"
    for name in FILTERS:
        result = box.run(["/usr/bin/python3", "-IS", "-c", code], policy=name)
        assert result.stdout == b"(1, 1)\n", (name, result, result.stderr)
