"""Profiles of OCI runtimes and Docker: what is read means what libseccomp makes of it, what is written means the same.

The referee is libseccomp itself, fed as runc does (libcontainer/seccomp/seccomp_linux.go, matchCall), whose program
is run by an interpreter; ``literal`` says in ten lines what a profile means that has no conflicts.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import policy, syscalls
from sandbox.errors import PolicyError
from sandbox.policy import cubes, oci
from sandbox.policy.answer import OWN, answer
from sandbox.policy.constants import INT_ARGS
from sandbox.policy.partition import by_action, named, partition
from tests.unit.test_seccomp import run_bpf, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

ARCHES = ("x86_64", "aarch64")
ALL = (1 << 64) - 1
INT = (1 << 32) - 1


def take(profile: dict[str, Any] | str, arch: str = "x86_64", kernel: tuple[int, int] = (6, 1),
         caps: Sequence[str] = ()) -> tuple[policy.Policy, list[str]]:  # fmt: skip
    text = profile if isinstance(profile, str) else json.dumps(profile)
    return oci.read(text.encode(), arch=arch, kernel=kernel, caps=frozenset(caps), path="/p.json")


def entry(names: str, action: str = "ALLOW", *args: tuple[int, str, int] | tuple[int, str, int, int],
          **more: Any) -> dict[str, Any]:  # fmt: skip
    conditions = [{"index": a[0], "op": f"SCMP_CMP_{a[1]}", "value": a[2], **({"valueTwo": a[3]} if len(a) > 3 else {})}
                  for a in args]  # fmt: skip
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", "args": conditions, **more}


def profile(*entries: dict[str, Any], default: str = "ERRNO", **more: Any) -> dict[str, Any]:
    return {"defaultAction": f"SCMP_ACT_{default}", "syscalls": list(entries), **more}


# ---- referees


def action_of(name: str, number: int | None) -> int:
    plain = {"ALLOW": "allow", "KILL_PROCESS": "kill", "LOG": "log", "TRAP": "trap", "NOTIFY": "notify"}
    word = name.removeprefix("SCMP_ACT_")
    return 0x00050000 | (1 if number is None else number) if word == "ERRNO" else value(plain[word])


def compiled(data: dict[str, Any], arch: str = "x86_64") -> bytes:
    """The program that runc loads, of a profile without includes and excludes."""
    seccomp = pytest.importorskip("seccomp")
    token = {"x86_64": seccomp.Arch.X86_64, "aarch64": seccomp.Arch.AARCH64}[arch]

    def act(table: dict[str, Any], key: str, number: str) -> int:
        raw = action_of(table[key], table.get(number))
        return raw - (1 << 32) if raw >> 31 else raw

    default = act(data, "defaultAction", "defaultErrnoRet")
    maker = seccomp.SyscallFilter(default)
    if seccomp.system_arch() & INT != token & INT:
        maker.add_arch(token)
        maker.remove_arch(seccomp.Arch.NATIVE)
    ops = {op: getattr(seccomp, op) for op in ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ")}
    for each in data["syscalls"]:
        action = act(each, "action", "errnoRet")
        for name in each["names"]:
            here = seccomp.resolve_syscall(token, name)
            if action == default or here == -1:  # runc skips both
                continue
            args = [seccomp.Arg(a["index"], ops[a["op"].removeprefix("SCMP_CMP_")], a["value"],
                                *([a.get("valueTwo", 0)] if a["op"].endswith("MASKED_EQ") else []))
                    for a in each.get("args") or []]  # fmt: skip
            indexes = [a["index"] for a in each.get("args") or []]
            number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
            for rule in [args] if len(set(indexes)) == len(indexes) else [[a] for a in args]:
                maker.add_rule(action, number, *rule)
    with os.fdopen(os.memfd_create("oci"), "w+b", buffering=0) as file:
        maker.export_bpf(file)
        return os.pread(file.fileno(), 1 << 20, 0)


def literal(data: dict[str, Any], call: str, args: Sequence[int]) -> set[int]:
    """Every action whose entry holds, else the default: 64 bits, no order."""

    def holds(a: dict[str, Any]) -> bool:
        x, v = args[a["index"]], a["value"]
        return {"EQ": x == v, "NE": x != v, "LT": x < v, "LE": x <= v, "GT": x > v, "GE": x >= v,
                "MASKED_EQ": x & v == a.get("valueTwo", 0)}[a["op"].removeprefix("SCMP_CMP_")]  # fmt: skip

    met = {action_of(e["action"], e.get("errnoRet")) for e in data["syscalls"]
           if call in e["names"] and all(holds(a) for a in e.get("args") or [])}  # fmt: skip
    return met or {action_of(data["defaultAction"], data.get("defaultErrnoRet"))}


def as_read(call: str, args: Sequence[int]) -> tuple[int, ...]:
    """Arguments as the kernel has them."""
    return tuple(a & INT if i in INT_ARGS.get(call, ()) else a for i, a in enumerate(args))


def boundaries(numbers: set[tuple[int, int]], call: str) -> Iterator[tuple[int, ...]]:
    """Arguments around the numbers (index, number) of some conditions: one off, single bits, garbage above 32 bits."""
    by_index: dict[int, set[int]] = {}
    for index, n in numbers:
        near = {0, 1, n, n - 1, n + 1, n ^ 1 << 31, n | 0xDEAD << 32, n | INT << 32, ~n, ALL, INT, n & -n, n >> 1}
        by_index.setdefault(index, set()).update(x & ALL for x in near)
    indexes = sorted(by_index)
    if len(indexes) > 2:
        by_index = {i: set(sorted(values)[:12]) for i, values in by_index.items()}
    for values in itertools.product(*(sorted(by_index[i]) for i in indexes)):
        args = [0] * 6
        for i, v in zip(indexes, values, strict=True):
            args[i] = v
        yield tuple(args)


def numbers_of(data: dict[str, Any], call: str) -> set[tuple[int, int]]:
    return {(a["index"], a[key]) for e in data["syscalls"] if call in e["names"]
            for a in e.get("args") or [] for key in ("value", "valueTwo") if key in a}  # fmt: skip


def numbers_in(p: policy.Policy, call: str) -> set[tuple[int, int]]:
    return {(a.index, n) for level in p.levels() for r in level.rules if r.call == call
            for a in r.args for n in (a.value, a.mask)}  # fmt: skip


# ---- reading


SIMPLE = [
    profile(entry("read write openat")),
    profile(entry("read"), entry("socket", "ALLOW", (0, "EQ", 1)), entry("socket", "ALLOW", (0, "EQ", 2))),
    profile(entry("clone", "ALLOW", (0, "MASKED_EQ", 0x7E020000))),
    profile(entry("clone", "ALLOW", (0, "MASKED_EQ", 0xF0, 0xFF))),
    profile(entry("lseek", "ALLOW", (1, "LT", 4096), (2, "LE", 2)), entry("lseek", "ALLOW", (1, "GE", 1 << 40))),
    profile(entry("socket", "ALLOW", (0, "LT", 12)), entry("socket", "ALLOW", (0, "EQ", 16))),
    profile(entry("socket", "ALLOW", (0, "GT", 2), (0, "LT", 9)), entry("socket", "ALLOW", (1, "NE", 3))),
    profile(entry("socket", "ALLOW", (0, "NE", 40))),
    profile(entry("ioctl", "ERRNO", (1, "EQ", 0x5412), errnoRet=13), default="ALLOW"),
    profile(entry("ioctl", "ERRNO", (1, "GE", 0x5412), errnoRet=13), default="ALLOW"),
    profile(entry("ioctl", "KILL_PROCESS", (1, "GT", 0x5412)), entry("ioctl", "TRAP", (1, "EQ", 7)), default="ALLOW"),
    profile(entry("lseek", "KILL_PROCESS", (1, "LT", 5)), entry("lseek", "TRAP", (1, "GE", 5)), default="ALLOW"),
    profile(entry("socket", "ERRNO", (0, "EQ", 16), (2, "EQ", 9), errnoRet=22), entry("socket", "ALLOW", (2, "NE", 9)),
            entry("socket", "ALLOW", (0, "NE", 16), (2, "EQ", 9)), defaultErrnoRet=38),
    profile(entry("read", "ERRNO"), entry("read", "ALLOW"), entry("read", "ALLOW", (0, "EQ", 1)), defaultErrnoRet=38),
    profile(entry("read", "ALLOW", (0, "EQ", 1)), entry("read", "ERRNO"), entry("read", "ALLOW"), defaultErrnoRet=38),
    profile(entry("read", "ALLOW", (0, "EQ", 1)), entry("read", "ERRNO", errnoRet=1), defaultErrnoRet=1),
    profile(entry("madvise", "LOG"), entry("prctl", "NOTIFY", (0, "EQ", 1)), default="KILL_PROCESS"),
    profile(entry("mmap", "ALLOW", (2, "MASKED_EQ", 0), (3, "LE", ALL))),
    profile(entry("futex", "ERRNO", (3, "EQ", 0x100000000), errnoRet=0), entry("close", "ALLOW"), default="LOG"),
]  # fmt: skip


# libseccomp 2.5.4 takes what it has loaded of one argument for another's after a comparison by size: of this profile
# it lets lseek(0, 0x80000002) pass.
MISCOMPILED = SIMPLE[4]


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("data", SIMPLE, ids=range(len(SIMPLE)))
def test_it_means_what_libseccomp_makes_of_it(data: dict[str, Any], arch: str) -> None:
    """For plain arguments the very same; where the kernel reads an int, that of the int which it reads."""
    got, _notes = take(data, arch)
    program = compiled(data, arch)
    audit = syscalls.audit_arch(arch)
    checked = 0
    for call in {name for each in data["syscalls"] for name in each["names"]} | {"getpid"}:
        number = syscalls.number(arch, call)
        if number is None:
            continue
        merged = _as_merged(data["syscalls"], call, data)
        for args in boundaries(numbers_of(data, call) | {(0, 0)}, call):
            said = value(answer(got, call, args).action)
            read = as_read(call, args)
            assert literal(merged, call, read) == {said}, (call, args)
            assert data is MISCOMPILED or run_bpf(program, audit, number, read) == said, (call, args)
            checked += 1
    assert checked > 5


def test_a_refusal_is_not_passed_by_garbage_above_32_bits() -> None:
    """CVE-2019-10063: the kernel looks at the low 32 bits of an ioctl request, a profile at all 64."""
    data = profile(entry("ioctl", "ERRNO", (1, "EQ", 0x5412)), default="ALLOW")
    args = (0, 0x5412 | 1 << 32, 0, 0, 0, 0)
    assert run_bpf(compiled(data), syscalls.audit_arch("x86_64"), 16, args) == value("allow")  # the hole of runtimes
    assert answer(take(data)[0], "ioctl", args).action == "errno:EPERM"
    data = profile(entry("socket", "ALLOW", (0, "NE", 40)))
    assert literal(data, "socket", (40 | 1 << 32, 0, 0)) == {value("allow")}
    assert answer(take(data)[0], "socket", (40 | 1 << 32,)).action == "errno:EPERM"


def test_a_negative_int_and_numbers_that_no_int_has() -> None:
    got, notes = take(profile(entry("personality", "ALLOW", (0, "EQ", ALL))))
    assert answer(got, "personality", (INT,)).action == "allow" and "0xffffffff" in "".join(notes)
    got, notes = take(profile(entry("personality", "ALLOW", (0, "EQ", 1 << 40)), entry("read")))
    assert answer(got, "personality", (0,)).action == "errno:EPERM" and "can never hold" in "".join(notes)
    got, _notes = take(profile(entry("personality", "ALLOW", (0, "LT", 1 << 33))))
    assert answer(got, "personality", (INT,)).action == "allow"


def test_refusing_wins_where_libseccomp_has_no_order() -> None:
    data = profile(entry("socket", "ALLOW", (0, "EQ", 1)), entry("socket", "ERRNO", (1, "EQ", 2), errnoRet=13),
                   defaultErrnoRet=38)  # fmt: skip
    got, notes = take(data)
    assert answer(got, "socket", (1, 2)).action == "errno:EACCES"
    assert answer(got, "socket", (1, 3)).action == "allow" and answer(got, "socket", (0, 3)).action == "errno:ENOSYS"
    assert len(notes) == 1 and "syscalls[1] and syscalls[0] can both hold for socket" in notes[0]


ERRORS = [
    ("", 1, "", "not JSON"),
    ("[]", 0, "", "expected an object"),
    ('{"a": 1, "a": 2}', 0, "a", "twice"),
    ("{}", 0, "defaultAction", "missing"),
    ('{"defaultAction": "SCMP_ACT_TRACE"}', 0, "defaultAction", "a tracer"),
    ('{"defaultAction": "SCMP_ACT_ALOW"}', 0, "defaultAction", "did you mean SCMP_ACT_ALLOW"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "sycalls": []}', 0, "sycalls", "did you mean syscalls"),
    ('{"ociVersion": "1.0", "linux": {}}', 0, "linux.seccomp", "no seccomp profile"),
    (profile(entry("read", "TRACE")), 0, "syscalls[0].action", "a tracer"),
    (profile(entry("read"), entry("a", "ALLOW", (0, "EQUAL", 1))), 0, "syscalls[1].args[0].op", "unknown comparison"),
    (profile(entry("read", "ALLOW", (6, "EQ", 1))), 0, "syscalls[0].args[0].index", "0 to 5"),
    (profile(entry("read", "ALLOW", (1, "EQ", -1))), 0, "syscalls[0].args[0].value", "expected 0 to"),
    (profile(entry("read", "ERRNO", errnoRet=5000)), 0, "syscalls[0].errnoRet", "4095"),
    (profile(entry("read", arg=[])), 0, "syscalls[0].arg", "did you mean args"),
    (profile(entry("read", name="write")), 0, "syscalls[0].name", "both name and names"),
    (profile(entry("read", "ERRNO", errno="EPREM")), 0, "syscalls[0].errno", "did you mean EPERM"),
    (profile(entry("read", "ERRNO", errno="EPERM", errnoRet=2)), 0, "syscalls[0].errno", "EPERM is 1"),
    (profile(entry("read", includes={"minKernel": "5"})), 0, "syscalls[0].includes.minKernel", "such as 4.8"),
    (profile(entry("read", includes={"cap": []})), 0, "syscalls[0].includes.cap", "did you mean caps"),
    (profile(architectures=["SCMP_ARCH_AMD64"]), 0, "architectures[0]", "did you mean"),
    (profile(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_X86_64"}]), 0, "archMap", "both"),
    (profile(entry("socket", "ERRNO", (0, "EQ", 1)), entry("socket", "TRAP", (1, "EQ", 2)), default="ALLOW"),
     0, "syscalls[1]", "make one exclude the other"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "line", "key", "words"), ERRORS, ids=range(len(ERRORS)))
def test_refused_with_its_json_path(data: dict[str, Any] | str, line: int, key: str, words: str) -> None:
    with pytest.raises(PolicyError) as error:
        take(data)
    assert (error.value.file, error.value.line, error.value.key) == ("/p.json", line, key) and words in error.value.hint


def test_inside_a_config_json_the_path_is_whole() -> None:
    data = {"ociVersion": "1.0.2", "linux": {"seccomp": profile(entry("read"), entry("write", "TRACE"))}}
    with pytest.raises(PolicyError) as error:
        take(data)
    assert error.value.key == "linux.seccomp.syscalls[1].action"
    data["linux"]["seccomp"] = profile(entry("read"))  # type: ignore[index]
    assert answer(take(data)[0], "read").action == "allow"


def test_includes_and_excludes() -> None:
    data = profile(entry("ptrace", includes={"minKernel": "4.8"}), entry("mount", includes={"caps": ["CAP_SYS_ADMIN"]}),
                   entry("clone3", "ERRNO", errnoRet=38, excludes={"caps": ["CAP_SYS_ADMIN"]}),
                   entry("arch_prctl", includes={"arches": ["amd64", "x32"]}),
                   entry("sync", excludes={"arches": ["arm64"], "minKernel": "6.0"}),
                   entry("reboot", includes={"caps": ["CAP_SYS_BOOT", "CAP_SYS_ADMIN"]}))  # fmt: skip

    def allowed(**how: Any) -> set[str]:
        got, _notes = take(data, **how)
        return {call for call in ("ptrace", "mount", "arch_prctl", "sync", "reboot")
                if answer(got, call).action == "allow"}  # fmt: skip

    assert allowed() == {"ptrace", "arch_prctl"}
    assert allowed(kernel=(4, 7)) == {"arch_prctl", "sync"}
    assert allowed(kernel=(5, 10), arch="aarch64") == {"ptrace"}
    assert allowed(caps=["SYS_ADMIN"]) == {"ptrace", "arch_prctl", "mount"}
    assert allowed(caps=["CAP_SYS_ADMIN", "sys_boot"]) == {"ptrace", "arch_prctl", "mount", "reboot"}
    assert answer(take(data)[0], "clone3").action == "errno:ENOSYS"
    assert answer(take(data, caps=["SYS_ADMIN"])[0], "clone3").action == "errno:EPERM"


def test_notes() -> None:
    data = profile(entry("read opnat _llseek"), entry("close", "KILL"), flags=["SECCOMP_FILTER_FLAG_LOG"],
                   archMap=[{"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": None},
                            {"architecture": "SCMP_ARCH_X86_64",
                             "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}])  # fmt: skip
    got, notes = take(data)
    text = "\n".join(notes)
    assert "opnat: no such call, skipped; did you mean openat" in text and "skipped: _llseek" in text
    assert "SCMP_ACT_KILL ends one thread" in text and answer(got, "close").action == "kill"
    assert "SCMP_ARCH_X86, SCMP_ARCH_X32: not let through" in text and got.foreign_abi == "kill"
    assert "flags: not taken over" in text and len(notes) == 5
    assert take(data, "aarch64")[1] != notes and "SCMP_ARCH_X86" not in "".join(take(data, "aarch64")[1])


def test_errnos_by_name_as_podman_has_them() -> None:
    got, _notes = take(profile(entry("read", "ERRNO", errno="EACCES", errnoRet=None), defaultErrno="ENOSYS"))
    assert (got.default, answer(got, "read").action) == ("errno:ENOSYS", "errno:EACCES")
    got, _notes = take(profile(entry("read", "ERRNO", errnoRet=0), defaultErrnoRet=524))
    assert (got.default, answer(got, "read").action) == ("errno:524", "errno:0")


# ---- writing


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", policy.names())
def test_a_shipped_policy_there_and_back(name: str, arch: str) -> None:
    p = policy.load(name)
    if p.asks or (p.architectures and arch not in p.architectures):
        pytest.skip(f"{name} cannot be a profile of {arch}")
    data, _notes = oci.write(p, arch)
    back, _notes = take(data, arch)
    assert (back.default, back.foreign_abi) == (p.default, "kill" if p.filters else "allow")
    for call in syscalls.names(arch):
        one, other = by_action(p, call), by_action(back, call)
        assert one.keys() == other.keys(), call
        assert all(cubes.same(one[action], other[action]) for action in one), call


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("name", policy.names())
def test_an_export_as_libseccomp_compiles_it(name: str, arch: str) -> None:
    p = policy.load(name)
    if p.asks or not p.filters:
        pytest.skip(f"{name} has no program of its own")
    data, _notes = oci.write(p, arch)
    program = compiled(data, arch)
    assert len(program) // 8 <= 4096
    seccomp = pytest.importorskip("seccomp")
    token = {"x86_64": seccomp.Arch.X86_64, "aarch64": seccomp.Arch.AARCH64}[arch]
    for call in syscalls.names(arch):
        if seccomp.resolve_syscall(token, call) < 0:
            continue  # newer than this libseccomp, which skips it
        number = syscalls.number(arch, call)
        assert number is not None
        for args in itertools.islice(boundaries(numbers_in(p, call) | {(0, 0)}, call), 3000):
            found = answer(p, call, args)
            if found.rule is OWN:
                continue  # about our init, which another runtime does not have
            assert run_bpf(program, syscalls.audit_arch(arch), number, args) == value(found.action), (call, args)


def test_no_entry_has_two_conditions_on_one_argument_and_no_two_can_both_hold() -> None:
    """The first would be alternatives for runc, the second would leave the answer to libseccomp's sorting."""
    for name in policy.names():
        p = policy.load(name)
        data, _notes = oci.write(p, "x86_64")
        seen: dict[str, list[tuple[str, list[cubes.Cube]]]] = {}
        for each in data["syscalls"]:
            indexes = [a["index"] for a in each.get("args", [])]
            assert len(indexes) == len(set(indexes))
            said = f"{each['action']} {each.get('errnoRet')}"
            args = [policy.Arg(index=a["index"], op="==", mask=a["value"], value=a["valueTwo"])
                    if a["op"].endswith("MASKED_EQ") else
                    policy.Arg(index=a["index"], op={"EQ": "==", "NE": "!="}[a["op"][9:]], value=a["value"])
                    for a in each.get("args", [])]  # fmt: skip
            for call in each["names"]:
                for other, there in seen.get(call, []):
                    assert other == said or not cubes.common(there, cubes.of_args(args)), (name, call)
                seen.setdefault(call, []).append((said, cubes.of_args(args)))


def test_levels_and_actions_and_what_a_profile_cannot_say(tmp_path: Path) -> None:
    (tmp_path / "parent.toml").write_text(
        'version = 1\ndefault = "errno:ENOSYS"\nforeign_abi = "errno:ENOSYS"\ncapabilities = ["CHOWN"]\n'
        '[groups.a]\naction = "allow"\nreport = false\ncalls = ["ioctl", "read", "write", "futex_wake"]\n'
        '[[rules]]\ncall = "ioctl"\naction = "trap"\nargs = [{index = 1, mask = "INT", value = 5}]\n')  # fmt: skip
    child = tmp_path / "child.toml"
    child.write_text(
        'version = 1\nextends = "./parent.toml"\n[groups.b]\naction = "log"\ncalls = ["write"]\n'
        '[[rules]]\ncall = "ioctl"\naction = "allow"\nargs = [{index = 1, mask = 0xff, value = 5}]\n'
        '[[rules]]\ncall = "read"\naction = "notify"\nargs = [{index = 2, op = ">", value = 5}]\n')  # fmt: skip
    p = policy.load(str(child))
    data, notes = oci.write(p, "x86_64")
    assert "foreign_abi" in notes[0] and "CHOWN" in notes[1] and "listenerPath" in notes[2] and len(notes) == 4
    by_name = {name: each for each in data["syscalls"] for name in each["names"] if not each.get("args")}
    assert by_name["write"]["action"] == "SCMP_ACT_LOG" and "futex_wake" in by_name
    assert data["defaultErrnoRet"] == 38 and data["architectures"] == ["SCMP_ARCH_X86_64"]
    back, _notes = take(data)
    for request, action in ((5, "allow"), (0x105, "allow"), (5 | 1 << 32, "allow"), (6, "allow")):
        assert answer(back, "ioctl", (0, request)).action == answer(p, "ioctl", (0, request)).action == action
    assert [answer(back, "read", (0, 0, n)).action for n in (5, 6)] == ["allow", "notify"]
    with pytest.raises(PolicyError, match="named calls only"):
        oci.write(p.replace(default="notify"), "x86_64")


def test_entries_of_ordered_rules_stay_few() -> None:
    data, _notes = oci.write(policy.load("default"), "x86_64")
    assert sum("prlimit64" in each["names"] for each in data["syscalls"]) < 130


# ---- random ones


ARGS = st.builds(lambda i, op, v, m: (i, op, v, m) if op == "MASKED_EQ" else (i, op, v), st.integers(0, 2),
                 st.sampled_from(("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ")),
                 st.sampled_from((0, 1, 2, 3, 7, 8, 0x5412, INT, 1 << 32, ALL, 1 << 63)),
                 st.sampled_from((0, 1, 2, 7, 0xFF)))  # fmt: skip
ENTRIES = st.lists(st.builds(lambda call, action, args: entry(call, action, *args), st.sampled_from(("lseek", "ioctl")),
                             st.sampled_from(("ALLOW", "ALLOW", "ERRNO")), st.lists(ARGS, max_size=3)),
                   min_size=1, max_size=5)  # fmt: skip
WORDS = st.sampled_from((0, 1, 2, 3, 6, 7, 8, 9, 0x5411, 0x5412, 0x5413, INT, 1 << 32, (1 << 32) + 7, 1 << 63, ALL))


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(ENTRIES, st.sampled_from(("ERRNO", "ALLOW", "KILL_PROCESS")),
       st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=9))  # fmt: skip
def test_never_laxer_than_the_profile(
    entries: list[dict[str, Any]], default: str, points: list[tuple[int, int, int]]
) -> None:  # fmt: skip
    """Whatever libseccomp does with an order of its own: what the policy lets through, the profile lets through."""
    data = profile(*entries, default=default, defaultErrnoRet=38)
    try:
        got, _notes = take(data)
    except PolicyError as error:
        assert "exclude the other" in error.hint or "too many" in error.hint or "already allows" not in error.hint
        return
    again = policy.parse("again", "/again.toml", got.text)
    for point in points:
        for call in ("lseek", "ioctl"):
            args = (*point, 0, 0, 0)
            said = answer(got, call, args).action
            assert answer(again, call, args).action == said
            ordered = _as_merged(entries, call, data)
            wanted = literal(ordered, call, as_read(call, args))
            if len(wanted) == 1:
                assert {value(said)} == wanted, (call, args)
            else:
                assert said != "allow", (call, args)


def _as_merged(entries: list[dict[str, Any]], call: str, data: dict[str, Any]) -> dict[str, Any]:
    """What libseccomp keeps of the entries of a call, conditions on one argument split as runc does."""
    kept: list[dict[str, Any]] = []
    default = action_of(data["defaultAction"], data.get("defaultErrnoRet"))
    for each in entries:
        if call not in each["names"] or action_of(each["action"], None) == default:
            continue
        indexes = [a["index"] for a in each["args"]]
        for args in [each["args"]] if len(set(indexes)) == len(indexes) else [[a] for a in each["args"]]:
            args = [{**a, "valueTwo": a["valueTwo"] & a["value"]} if "valueTwo" in a else a for a in args]
            args = [{**a, "value": a["value"] & INT} if _is_negative(call, a) else a for a in args]
            if kept and not kept[0]["args"]:
                continue
            kept = [*(kept if args else []), {**each, "args": args}]
    return {**data, "syscalls": kept}


def _is_negative(call: str, a: dict[str, Any]) -> bool:
    return a["index"] in INT_ARGS.get(call, ()) and a["op"][9:] in ("EQ", "NE") and a["value"] == ALL


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.lists(ARGS, max_size=3), st.tuples(WORDS, WORDS, WORDS))
def test_cubes_are_the_conditions(given_args: list[Any], point: tuple[int, int, int]) -> None:
    ops = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
    args = [policy.Arg(index=a[0], op="==", mask=a[2], value=a[3] & a[2]) if a[1] == "MASKED_EQ" else
            policy.Arg(index=a[0], op=ops[a[1]], value=a[2]) for a in given_args]  # fmt: skip
    tests = {"==": int.__eq__, "!=": int.__ne__, "<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}
    holds = all(tests[a.op](point[a.index] & a.mask, a.value) for a in args)
    here = cubes.of_values((*point, 0, 0, 0))
    assert bool(cubes.common([here], cubes.of_args(args))) == holds
    assert bool(cubes.common([here], cubes.outside([cubes.EVERYTHING], args))) != holds
    assert all(bool(cubes.common([here], [c])) == holds for c in cubes.common(cubes.of_args(args), [here])) or not holds


@pytest.mark.parametrize("name", policy.names())
def test_a_partition_is_the_answer(name: str) -> None:
    p = policy.load(name)
    for call in named(p):
        pieces = partition(p, call)
        for piece in pieces:
            for cube in piece.cubes[:5]:
                assert answer(p, call, cubes.sample(cube)) == piece.answer, call
        every = [cube for piece in pieces for cube in piece.cubes]
        assert not cubes.without([cubes.EVERYTHING], every), call
        assert all(not cubes.common([a], [b]) for a, b in itertools.combinations(every, 2)) or len(every) > 400, call


# ---- Docker's own

# Where a package or a checkout of moby has it; its text is not ours to ship.
PROFILES = (os.environ.get("PYSANDBOX_DOCKER_PROFILE", ""),
            "/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json")  # fmt: skip

# What Docker has changed from 20.10 (Debian 12's golang-github-docker-docker-dev) to 2025: newly let through, ...
SINCE_2010 = {
    "cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "getxattrat", "listmount", "listxattrat",
    "map_shadow_stack", "mseal", "name_to_handle_at", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_vm_readv",
    "process_vm_writev", "removexattrat", "setxattrat", "statmount", "uretprobe",
}  # fmt: skip
GONE_SINCE = {"io_uring_enter", "io_uring_register", "io_uring_setup"}
FAMILIES = {*range(12), *range(13, 19), 21, 22, 24, *range(26, 34), 35, 36, 39, *range(41, 46)}  # of socket(2)

# What no policy of ours lets pass: (call, arguments) -> what becomes of it.
OURS = [("ioctl", 1, 0x5412), ("ioctl", 1, 0x541C), ("setrlimit", 0, 4), ("prlimit64", 1, 4)]

# Every call of both architectures that a container without capabilities may not make, whatever its arguments.
REFUSED = """
    _sysctl acct add_key afs_syscall bpf chroot clock_settime create_module delete_module fanotify_init
    file_getattr file_setattr finit_module fsconfig fsmount fsopen fspick get_kernel_syms get_mempolicy getpmsg
    init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl
    listns lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mbind migrate_pages mount
    mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree open_tree_attr perf_event_open
    pidfd_getfd pivot_root process_madvise putpmsg query_module quotactl quotactl_fd reboot request_key security
    set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon sysfs syslog
    tuxcall umount2 unshare uprobe uselib userfaultfd ustat vhangup vserver
""".split()


def test_docker_refuses_these_and_no_others() -> None:
    p = policy.load("docker")
    assert (p.default, p.foreign_abi, p.capabilities, p.parent) == ("errno:EPERM", "kill", (), None)
    for arch in ARCHES:
        known = syscalls.names(arch)
        refused = [call for call in known if set(by_action(p, call)) == {"errno:EPERM"}]
        assert set(refused) == {call for call in REFUSED if call in known}
        mixed = {call for call in known if len(by_action(p, call)) > 1}
        assert mixed == {"clone", "personality", "socket", "ioctl", "prlimit64", "setrlimit"} & set(known)
    assert by_action(p, "clone3").keys() == {"errno:ENOSYS"}
    assert [f for f in range(300) if answer(p, "socket", (f,)).action == "allow"] == sorted(FAMILIES)
    assert [n for n in range(1 << 18) if answer(p, "personality", (n,)).action == "allow"] == [0, 8, 0x20000, 0x20008]
    for bit in range(32):
        namespace = 1 << bit in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
        assert answer(p, "clone", (1 << bit,)).action == ("errno:EPERM" if namespace else "allow")


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("kernel", [(4, 8), (5, 10), (6, 12)])
def test_docker_is_dockers_profile(arch: str, kernel: tuple[int, int]) -> None:
    """Every call, arguments around every number of the profile and of ours: the same answer, but for what is named."""
    path = next((Path(name) for name in PROFILES if name and Path(name).exists()), None)
    if path is None:
        pytest.skip("no Docker profile: install golang-github-docker-docker-dev or set PYSANDBOX_DOCKER_PROFILE")
    theirs, _notes = take(path.read_text(), arch, kernel)
    old = any(set(by_action(theirs, call)) == {"allow"} for call in GONE_SINCE)
    ours = policy.load("docker")
    checked = 0
    for call in syscalls.names(arch):
        for args in boundaries(numbers_in(ours, call) | numbers_in(theirs, call) | {(0, 0)}, call):
            if answer(ours, call, args).rule is OWN:
                continue
            mine, other = answer(ours, call, args).action, answer(theirs, call, args).action
            read = as_read(call, args)
            if any(call == c and args[i] & INT == n for c, i, n in OURS) and (call != "prlimit64" or read[2]):
                assert (mine, other) == ("errno:0" if "rlimit" in call else "errno:EPERM", "allow")
            elif old and call in SINCE_2010:
                assert (mine, other) == ("allow", "errno:EPERM") or mine == other
            elif old and (call in GONE_SINCE or (call == "socket" and read[0] not in FAMILIES)):
                assert (mine, other) == ("errno:EPERM", "allow")
            else:
                assert mine == other, (call, args)
            checked += 1
    assert checked > 1000


@pytest.mark.parametrize("name", ["default", "docker"])
def test_a_real_runtime_takes_an_export(name: str, tmp_path: Path) -> None:
    """crun or runc, whichever is there, as far as an unprivileged container goes on this machine."""
    import shutil
    import subprocess

    runtime = shutil.which("crun") or shutil.which("runc")
    if runtime is None:
        pytest.skip("neither crun nor runc")
    data, _notes = oci.write(policy.load(name), os.uname().machine)
    (tmp_path / "rootfs").mkdir()
    subprocess.run([runtime, "spec", "--rootless"], cwd=tmp_path, check=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["process"].update(terminal=False, noNewPrivileges=True)
    config["root"]["readonly"] = True
    config["mounts"] = [m for m in config["mounts"] if m["destination"] in ("/proc", "/dev")]
    config["mounts"] += [{"destination": d, "type": "bind", "source": d, "options": ["rbind", "ro"]}
                        for d in ("/bin", "/lib", "/lib64", "/usr") if Path(d).exists()]  # fmt: skip
    probe = ("import os, ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\n"
             "print(libc.unshare(0x10000000), errno.errorcode[ctypes.get_errno()])\n"
             "print(libc.syscall(435, 0, 0), errno.errorcode[ctypes.get_errno()])")  # fmt: skip
    config["process"]["args"] = ["/usr/bin/python3", "-c", probe]
    config["linux"]["seccomp"] = data
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = subprocess.run([runtime, "--root", str(tmp_path / "state"), "run", f"pysandbox-test-{os.getpid()}"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=60)  # fmt: skip
    if done.returncode and "seccomp" not in done.stderr:
        pytest.skip(f"{runtime} starts no container here: {done.stderr.strip()[-200:]}")
    assert (done.returncode, done.stdout.split()) == (0, ["-1", "EPERM", "-1", "ENOSYS"]), done.stderr
