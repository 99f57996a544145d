"""The proof: what ``answer_number`` says of a call is what the kernel does, for every number, under every policy.

programs/walk.c makes the calls and runs none of them, so that reboot(2) can be walked like any other.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import policy, syscalls
from sandbox.policy import Policy
from sandbox.policy.answer import Answer, answer_number
from sandbox.seccomp import compile as compiler

MACHINE = os.uname().machine
PROGRAM = Path(__file__).parent / "programs" / "walk.c"
CASE, OUTCOME = struct.Struct("<II6Q"), struct.Struct("<IiII")
MARKER, ENOSYS = -999, -38
RETURNED, KILLED, TRAPPED, PASSED_BY = 1, 2, 3, 4
BEYOND = 1000
X32_BIT = 1 << 30

# Calls that the kernel runs without asking any filter, since a filter that is older than they are would kill every
# program that is traced by perf (uretprobe since Linux 6.14, uprobe since it exists, 6.18). Elsewhere than on the
# kernel's own trampoline they do nothing: SIGILL and ENXIO.
UNASKED = {("x86_64", 335): (PASSED_BY, -signal.SIGILL), ("x86_64", 336): (RETURNED, -6)}

CUSTOM = """
version = 1
extends = "default"
default = "errno:EPERM"
foreign_abi = "errno:ENOSYS"
[groups.trapped]
action = "trap"
calls = ["getpid", "seccomp", "exit_group", "rt_sigreturn"]
[groups.logged]
action = "log"
calls = ["getuid", "write"]
[groups.killed]
action = "kill"
calls = ["getgid", "read"]
[groups.silent]
action = "errno:EXDEV"
report = false
calls = ["@time", "mount"]
[groups.silent_death]
action = "kill"
report = false
calls = ["@ipc"]
[groups.told_yes]
action = "errno:0"
calls = ["@scheduling", "personality"]
except = ["getpriority"]
[groups.asked]
action = "notify"
calls = ["@file_metadata"]
[groups.refused_by_the_parent]
action = "allow"
calls = ["unshare", "clone"]
[[rules]]
call = "unshare"
action = "trap"
args = [{ index = 0, mask = "INT", op = "!=", value = 0 }]
[[rules]]
call = "lseek"
action = "kill"
args = [{ index = 1, op = "<", value = 0x100000010 }, { index = 2, op = ">=", value = 2 }]
[[rules]]
call = "lseek"
action = "allow"
args = [{ index = 1, op = ">", value = 0xffffffff }]
[[rules]]
call = "chmod"
action = "errno:EROFS"
report = false
args = [{ index = 1, op = "<=", value = 7 }]
[[rules]]
call = "ioctl"
action = "allow"
args = [{ index = 1, mask = "INT", op = "==", value = "TIOCSTI" }]
"""
FILTERS = [name for name in policy.names() if policy.load(name).filters]


@pytest.fixture(scope="session")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    if "Seccomp:\t0" not in Path("/proc/self/status").read_text():
        # Its refusals would come before the policy's.
        pytest.skip("a seccomp filter is on the tests themselves (a container's): walk outside of it")
    target = tmp_path_factory.mktemp("walk") / "walk"
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o", target, PROGRAM], check=True)
    return target


@pytest.fixture(params=[*FILTERS, "custom"])
def walked(request: pytest.FixtureRequest, walker: Path, tmp_path: Path) -> SimpleNamespace:
    """A policy, and ``ask(cases, asking=False)`` -> what the kernel did with each (abi, number, args)."""
    name = request.param
    loaded = policy.parse(name, "/custom.toml", CUSTOM.encode()) if name == "custom" else policy.load(name)
    made = compiler.compile_policy(loaded, MACHINE)

    def ask(cases: list[Case], *, asking: bool = False) -> list[Outcome]:
        (tmp_path / "program").write_bytes(made.asking if asking else made.program)
        packed = (CASE.pack(abi == "i386", nr, *(*args, 0, 0, 0, 0, 0, 0)[:6]) for abi, nr, args in cases)
        (tmp_path / "cases").write_bytes(b"".join(packed))
        done = subprocess.run([walker, "asking" if asking else "true", tmp_path / "program", tmp_path / "cases",
                               tmp_path / "outcomes"], capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        outcomes = list(OUTCOME.iter_unpack((tmp_path / "outcomes").read_bytes()))
        assert len(outcomes) == len(cases)
        for (abi, number, _args), (kind, value, seen, arch) in zip(cases, outcomes, strict=True):
            if kind == RETURNED and value == MARKER:  # the filter saw this very call
                assert (seen, arch) == (number, syscalls.audit_arch(abi)), (abi, number)
        return [outcome[:2] for outcome in outcomes]

    return SimpleNamespace(policy=loaded, program=made.program, ask=ask)


Case = tuple[str, int, tuple[int, ...]]
Outcome = tuple[int, int]


def expected(answer: Answer, number: int) -> Outcome:
    kind, errno_ = policy.parse_action(answer.action)
    if kind in ("allow", "log"):  # log is below USER_NOTIF; test_return_values looks at it
        return RETURNED, MARKER
    if kind == "notify":  # by a filter that has no listener
        return RETURNED, ENOSYS
    if kind == "errno:":
        return RETURNED, -errno_
    # si_syscall
    return (TRAPPED, number - (1 << 32) if number >> 31 else number) if kind == "trap" else (KILLED, 0)


def differing(loaded: Policy, cases: list[Case], outcomes: list[Outcome]) -> list[str]:
    found = []
    for (abi, number, args), outcome in zip(cases, outcomes, strict=True):
        claimed = answer_number(loaded, abi, number, args)
        wanted = expected(claimed, number)
        if outcome == UNASKED.get((abi, number)):
            continue
        if outcome != wanted:
            words = ", ".join(map(hex, args))
            found.append(f"{abi} {number} {syscalls.name(abi, number)}({words}): {claimed.action} {wanted} {outcome}")
    return found


def every_number() -> list[Case]:
    last = max(syscalls.number(MACHINE, name) or 0 for name in syscalls.names(MACHINE))
    edges = (X32_BIT - 1, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, 0xC0000000, 0xFFFFFFFE, 0xFFFFFFFF)
    return [(MACHINE, number, ()) for number in (*range(last + BEYOND + 1), *edges)]


@pytest.mark.v2
def test_every_number(walked: SimpleNamespace) -> None:
    """All that the headers know and 1000 beyond, the walker's own calls among them; -1 and other edges."""
    cases = every_number()
    assert len(cases) > 1400
    assert differing(walked.policy, cases, walked.ask(cases)) == []


def test_the_proof_can_fail(walked: SimpleNamespace) -> None:
    """One call answered otherwise, and one condition off by one bit: both are seen."""
    groups = (policy.Group(name="x", action="errno:EXFULL", calls=("getpgid",)),)
    other = walked.policy.replace(groups=groups, rules=(), parent=walked.policy)
    assert len(differing(other, every_number(), walked.ask(every_number()))) == 1
    limit = policy.Arg(index=0, op="==", value=4 | 1 << 32)
    rules = (policy.Rule(call="prlimit64", action="errno:EXFULL", args=(limit,)),)
    other = walked.policy.replace(groups=(), rules=rules, parent=walked.policy)
    cases = list(boundaries(other))
    assert {line.partition("(")[0] for line in differing(other, cases, walked.ask(cases))} == {
        f"{MACHINE} {syscalls.number(MACHINE, 'prlimit64')} prlimit64"
    }


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 numbers exist on x86_64 only")
def test_every_x32_number(walked: SimpleNamespace) -> None:
    """The same table with bit 30, x32's own numbers from 512 on, and beyond."""
    last = max(syscalls.number("x32", name) or 0 for name in syscalls.names("x32"))
    cases: list[Case] = [("x32", number, ()) for number in range(X32_BIT, last + BEYOND + 1)]
    assert {number for _, number, _ in cases} >= {X32_BIT | own for own in range(512, 548)}
    assert differing(walked.policy, cases, walked.ask(cases)) == []


@pytest.fixture(scope="session")
def int80(walker: Path) -> None:
    """A 32-bit call from a 64-bit program: a fault where the kernel has no such entry."""
    where = "/proc/config.gz"
    source = '#include <unistd.h>\nint main(void) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L)); ' \
             'return r != getpid(); }'  # fmt: skip
    target = walker.parent / "int80"
    subprocess.run(["gcc", "-xc", "-", "-o", target], input=source, text=True, check=True)
    if subprocess.run([target], check=False).returncode:
        pytest.skip(f"int 0x80 is a fault here: this kernel has no CONFIG_IA32_EMULATION ({where})")


@pytest.mark.skipif(MACHINE != "x86_64", reason="int 0x80 exists on x86_64 only")
@pytest.mark.usefixtures("int80")
def test_every_i386_number(walked: SimpleNamespace) -> None:
    last = max(syscalls.number("i386", name) or 0 for name in syscalls.names("i386"))
    edges = (X32_BIT, X32_BIT + 11, (1 << 31) - 1, 1 << 31, 0xFFFFFFFE, 0xFFFFFFFF)
    cases: list[Case] = [("i386", number, ()) for number in (*range(last + BEYOND + 1), *edges)]
    assert differing(walked.policy, cases, walked.ask(cases)) == []


def boundaries(loaded: Policy) -> Iterator[Case]:
    """For each call with conditions: each argument around each value that is compared with it, all bits turned once."""
    rules = [rule for level in loaded.levels() for rule in level.rules]
    for call in sorted({rule.call for rule in rules}):
        number = syscalls.number(MACHINE, call)
        if number is None:
            continue
        key: dict[int, set[int]] = {}
        near: dict[int, set[int]] = {}
        for arg in (arg for rule in rules if rule.call == call for arg in rule.args):
            key.setdefault(arg.index, {0}).add(arg.value)
            around = near.setdefault(arg.index, {0, 1, (1 << 64) - 1, 0xFFFFFFFF})
            around |= {arg.value, arg.value + 1, arg.value - 1, arg.mask, ~arg.mask, arg.value | ~arg.mask}
            around |= {arg.value ^ 1 << bit for bit in range(64)}
            around |= {arg.value | high << 32 for high in (1, 0xDEADBEEF, 0xFFFFFFFF)}
        indices = sorted(key)
        seen = set()
        for moved in indices:
            choices = [near[i] if i == moved else key[i] | {0xDEADBEEF << 32} for i in indices]
            for values in itertools.product(*choices):
                args = [0] * 6
                for i, value in zip(indices, values, strict=True):
                    args[i] = value & (1 << 64) - 1
                seen.add(tuple(args))
        yield from ((MACHINE, number, args) for args in sorted(seen))


def test_boundaries_of_arguments(walked: SimpleNamespace) -> None:
    cases = list(boundaries(walked.policy))
    assert len(cases) > 200
    assert differing(walked.policy, cases, walked.ask(cases)) == []


def test_asking_program(walked: SimpleNamespace) -> None:
    """A refusal becomes a question exactly where ``report`` says so; a trap never, an allowed call never."""
    cases = [*every_number(), *boundaries(walked.policy)]
    wrong = []
    for (abi, number, args), outcome in zip(cases, walked.ask(cases, asking=True), strict=True):
        if outcome == UNASKED.get((abi, number)):
            continue
        claimed = answer_number(walked.policy, abi, number, args)
        kind = policy.parse_action(claimed.action)[0]
        asked = kind == "notify" or (kind in ("errno:", "kill") and claimed.report)
        passes = kind in ("allow", "log")
        wanted = (RETURNED, MARKER if asked else ENOSYS) if asked or passes else expected(claimed, number)
        if outcome != wanted:
            wrong.append((syscalls.name(abi, number) or number, args, claimed.action, wanted, outcome))
    assert wrong == []


VALUES = {"allow": 0x7FFF0000, "log": 0x7FFC0000, "trap": 0x00030000, "kill": 0x80000000, "notify": 0x7FC00000}


def test_return_values(walked: SimpleNamespace, bpf: Callable[..., int]) -> None:
    """The value that the program returns, also where the kernel above cannot tell log from allow."""
    wrong = []
    cases = [*every_number(), *boundaries(walked.policy)]
    for abi, number, args in cases:
        claimed = answer_number(walked.policy, abi, number, args).action
        kind, errno_ = policy.parse_action(claimed)
        wanted = VALUES.get(kind, 0x00050000) | errno_
        found = bpf(walked.program, syscalls.audit_arch(abi), number, args)
        if found != wanted:
            wrong.append((syscalls.name(abi, number) or number, args, claimed, hex(found)))
    assert wrong == []


@pytest.fixture(scope="session")
def bpf() -> Callable[..., int]:
    """What a classic BPF program returns for a call (net/core/filter.c, the part that seccomp admits)."""

    def run(program: bytes, arch: int, number: int, args: tuple[int, ...]) -> int:
        data = struct.pack("<IIQ6Q", number, arch, 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
        code = list(struct.iter_unpack("<HBBI", program))
        a, at = 0, 0
        while True:
            op, yes, no, k = code[at]
            at += 1
            if op == 0x20:
                a = struct.unpack_from("<I", data, k)[0]
            elif op == 0x54:
                a &= k
            elif op == 0x05:
                at += k
            elif op in (0x15, 0x25, 0x35, 0x45):
                at += yes if {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x45: bool(a & k)}[op] else no
            elif op == 0x06:
                return int(k)
            else:
                raise AssertionError(f"instruction {op:#x} at {at - 1}")

    return run
