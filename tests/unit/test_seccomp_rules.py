"""Conditional rules as instructions: any conditions, any order, against what the policy says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import policy, syscalls
from sandbox.policy import Arg, Policy, Rule
from sandbox.policy.answer import answer
from sandbox.seccomp.compile import compile_policy
from tests.unit.test_seccomp import run_bpf, value

ALL = (1 << 64) - 1
WORDS = (0, 1, 2, 7, 8, 0x5411, 0x5412, 0xFFFFFFFF, 1 << 32, (1 << 32) + 7, 0x80000002, 1 << 40, 1 << 63, ALL)
MASKS = (1, 7, 0xFF, 0xFFFFFFFF, 0xFFFFFFF8, 1 << 32, 0xFFFFFFFF << 32, 1 << 63, (1 << 63) + 1)


def condition(index: int, op: str, number: int, mask: int) -> Arg:
    if op in ("==", "!=") and mask != ALL:
        return Arg(index=index, op=op, value=number & mask, mask=mask)
    return Arg(index=index, op=op, value=number)


CONDITION = st.builds(condition, st.integers(0, 5), st.sampled_from(("==", "!=", "<", "<=", ">", ">=")),
                      st.sampled_from(WORDS), st.sampled_from((ALL, *MASKS)))  # fmt: skip
ARGS = st.lists(CONDITION, min_size=1, max_size=4, unique_by=lambda arg: arg.index).map(tuple)
RULE = st.builds(lambda call, action, args: Rule(call=call, action=action, args=args),
                 st.sampled_from(("lseek", "read", "mseal")), st.sampled_from(("allow", "errno:EACCES", "kill")),
                 ARGS)  # fmt: skip


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(st.lists(RULE, min_size=1, max_size=6), st.sampled_from(("x86_64", "aarch64")),
       st.lists(st.tuples(*[st.sampled_from(WORDS)] * 6), min_size=15, max_size=15))  # fmt: skip
def test_any_conditions(rules: list[Rule], arch: str, points: list[tuple[int, ...]]) -> None:
    p = Policy(name="t", path="/t", text=b"", default="errno:EPERM", rules=tuple(rules))
    program = compile_policy(p, arch).program
    for call in ("lseek", "read", "mseal", "close"):
        number = syscalls.number(arch, call)
        assert number is not None
        for args in points:
            wanted = value(answer(p, call, args).action)
            assert run_bpf(program, syscalls.audit_arch(arch), number, args) == wanted, (call, args)


def test_what_libseccomp_let_pass() -> None:
    """2.5.4 compared the low half of argument 2 with 256 as if it were the upper half of argument 1."""
    text = b"""version = 1
default = "errno:EPERM"
[[rules]]
call = "lseek"
action = "allow"
args = [{index = 1, op = "<", value = 4096}, {index = 2, op = "<=", value = 2}]
[[rules]]
call = "lseek"
action = "allow"
args = [{index = 1, op = ">=", value = 0x10000000000}]
"""
    program = compile_policy(policy.parse("t", "/t.toml", text), "x86_64").program
    said = [run_bpf(program, syscalls.audit_arch("x86_64"), 8, (0, 0, n, 0, 0, 0)) for n in (0, 3, 0x80000002)]
    assert said == [value("allow"), value("errno:EPERM"), value("errno:EPERM")]


@pytest.mark.parametrize("foreign_abi", ["kill", "errno:ENOSYS"])
def test_other_abis_are_told_apart_first(foreign_abi: str) -> None:
    rule = Rule(call="read", action="allow", args=(Arg(index=0, op="==", value=0),))
    p = Policy(name="t", path="/t", text=b"", default="errno:EPERM", rules=(rule,), foreign_abi=foreign_abi)
    program = compile_policy(p, "x86_64").program
    x86_64, i386 = syscalls.audit_arch("x86_64"), syscalls.audit_arch("i386")
    said = [run_bpf(program, arch, number, (0,)) for arch, number in
            ((x86_64, 0), (i386, 0), (x86_64, 1 << 30), (x86_64, 0xFFFFFFFE), (x86_64, 0xFFFFFFFF))]  # fmt: skip
    assert said == [value("allow"), *[value(foreign_abi)] * 3, value("errno:EPERM")]
