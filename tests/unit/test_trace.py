"""What is learned from notes, and how it gets into a file: without a sandbox."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from sandbox.notify import Kill, Refuse, Return
from sandbox.policy import Policy, load, parse
from sandbox.policy.answer import answer
from sandbox.policy.constants import CONSTANTS, INT_ARGS, INT_BITS
from sandbox.syscalls import names, number
from sandbox.trace import learn, report, write
from sandbox.trace.conditions import CONDITIONS, NAMESPACES, sample, values_of
from sandbox.trace.facts import MAX_KINDS, Facts, Kind
from sandbox.trace.tracer import reply_of

MACHINE = os.uname().machine


def facts_of(*calls: tuple[str, tuple[int, ...]], policy: Policy) -> Facts:
    """Notes of these calls under a policy."""
    facts = Facts()
    for call, args in calls:
        six = (*args, 0, 0, 0, 0, 0, 0)[:6]
        kind = Kind(abi=MACHINE, number=number(MACHINE, call) or 0, call=call, values=values_of(call, six),
                    action=answer(policy, call, six).action)  # fmt: skip
        facts.saw(kind, six, 1)
    return facts


def new_policy(*calls: tuple[str, tuple[int, ...]], base: str = "default", default: str = "errno:ENOSYS") -> Policy:
    under = load(base)
    empty = learn.empty("/x.toml", base=under, default=default, description="d")
    text = write.new(empty, learn.additions(facts_of(*calls, policy=under), empty, under))
    return parse("x", "/x.toml", text.encode())


def allows(policy: Policy, call: str, *args: int) -> bool:
    return answer(policy, call, args).action == "allow"


# ---- what is learned ----


@pytest.mark.parametrize("call", CONDITIONS)
def test_conditions_are_such_as_a_policy_can_have(call: str) -> None:
    """An argument that the kernel reads as 32 bits is compared as such; the call exists."""
    assert call in names("x86_64")
    for index, mask in CONDITIONS[call]:
        assert mask and (mask <= INT_BITS or index not in INT_ARGS.get(call, ()))
    assert values_of(call, sample(call, tuple(mask for _index, mask in CONDITIONS[call]))) == tuple(
        mask for _index, mask in CONDITIONS[call]
    )


def test_every_namespace_is_a_condition_of_clone() -> None:
    assert NAMESPACES == 0x7E020000
    assert not NAMESPACES & CONSTANTS["CLONE_NEWTIME"]


@pytest.mark.parametrize("default", ["errno:ENOSYS", "kill"])
def test_only_what_was_seen(default: str) -> None:
    policy = new_policy(("socket", (2, 1 | 0o2000000, 6)), ("openat", (0, 0, 0o2000000)), ("read", ()),
                        ("clone", (17,)), default=default)  # fmt: skip
    assert allows(policy, "socket", 2, 1, 6) and allows(policy, "socket", 2, 1 | 0o4000, 6)
    for other in ((10, 1, 6), (2, 2, 6), (2, 3, 6), (2, 1, 0), (1, 1, 0)):
        assert not allows(policy, "socket", *other)
    assert allows(policy, "openat", 0, 0, 0)
    for flags in (1, 2, 0o100, 0o1000, 0o20200000):  # the last is O_TMPFILE
        assert not allows(policy, "openat", 0, 0, flags)
    assert allows(policy, "read") and not allows(policy, "readv")
    assert allows(policy, "clone", 17)
    assert not allows(policy, "clone", 0x10000) and not allows(policy, "clone", 0x10000011)
    assert policy.default == default and policy.foreign_abi == "kill" and policy.architectures == (MACHINE,)


def test_refusals_of_the_run_stay() -> None:
    policy = new_policy(("socket", (40, 1, 0)), ("unshare", (0x10000000,)), ("clone3", ()), ("mount", ()),
                        ("ioctl", (0, 0x5412)), ("ioctl", (0, 0x5401)), default="kill")  # fmt: skip
    assert answer(policy, "socket", (40, 1, 0)).action == "errno:EAFNOSUPPORT"
    assert answer(policy, "socket", (2, 1, 0)).action == "kill"
    assert answer(policy, "unshare", (0x10000000,)).action == "errno:EPERM"
    assert answer(policy, "clone3").action == "errno:ENOSYS"
    assert answer(policy, "mount").action == "errno:EPERM"
    assert answer(policy, "ioctl", (0, 0x5412)).action == "errno:EPERM" and allows(policy, "ioctl", 0, 0x5401)


@pytest.mark.parametrize("base", ["default", "none"])
def test_rlimit_core_stays(base: str) -> None:
    policy = new_policy(("prlimit64", (0, 3, 0)), ("setrlimit", (3, 1)), base=base)
    assert allows(policy, "prlimit64", 0, 3, 1) and allows(policy, "prlimit64", 0, 4, 0)
    assert answer(policy, "prlimit64", (0, 4, 1)).action == "errno:0"
    assert answer(policy, "setrlimit", (4, 1)).action == "errno:0"


def test_what_a_libc_needs_is_there() -> None:
    """In any policy, and each group says why."""
    policy = new_policy(("execve", ()))
    for call in ("rt_sigreturn", "restart_syscall", "exit_group", "exit", "futex", "brk", "tgkill", "write"):
        assert allows(policy, call), call
    assert allows(policy, "mmap", 0, 0, 3) and not allows(policy, "mmap", 0, 0, 7)
    assert all(group.description for group in policy.groups if group.name.startswith("libc_"))
    for _name, why, calls in learn.LIBC:
        assert why and set(calls) <= set(names("x86_64"))


def test_too_many_values_make_a_call_as_a_whole() -> None:
    under = load("default")
    empty = learn.empty("/x.toml", base=under, default="kill", description="")
    facts = facts_of(*(("ioctl", (0, value)) for value in range(learn.MAX_RULES + 1)), policy=under)
    more = learn.additions(facts, empty, under)
    assert more.wide == ("ioctl",)
    policy = parse("x", "/x.toml", write.new(empty, more).encode())
    assert allows(policy, "ioctl", 0, 99999)
    # but for what the policy of the run refuses
    assert answer(policy, "ioctl", (0, 0x5412)).action == "errno:EPERM"


def test_notes_have_an_end() -> None:
    facts = Facts()
    for value in range(MAX_KINDS + 5):
        facts.saw(Kind(abi=MACHINE, number=value, call="", values=(), action="errno:ENOSYS"), (0,) * 6, 1)
    assert len(facts.counts) == MAX_KINDS and facts.kinds_left_out == 5 and facts.total == MAX_KINDS + 5
    assert "5 calls of further kinds are not listed" in list(report.lines(facts))


def test_replies() -> None:
    assert isinstance(reply_of("kill"), Kill)
    refusal, yes = reply_of("errno:EPERM"), reply_of("errno:0")
    assert isinstance(refusal, Refuse) and refusal.errno == 1
    assert isinstance(yes, Return) and yes.value == 0


# ---- the file ----

OLD = """\
# by hand
version = 1
description = "mine"
default = "kill"

[groups.file_read] # why
action = "allow"
calls = ["read"] # one

[groups.memory]
action = "allow"
calls = [
    "brk",  # the heap ]
    "munmap"
]

[groups.file_write]
calls = [ ]
action = "allow"

[groups.identity]
action = "errno:EPERM"
calls = ["getuid"]

[groups.odd]
action = "allow"
"calls" = ["getppid"]
"""


def merged(old: str, *calls: tuple[str, tuple[int, ...]], path: str = "/m.toml") -> tuple[str, learn.Additions]:
    policy, base = parse("m", path, old.encode()), load("default")
    more = learn.additions(facts_of(*calls, policy=base), policy, base)
    return write.added(policy, more), more


def test_additions_keep_the_text() -> None:
    text, more = merged(OLD, ("pread64", ()), ("mremap", ()), ("mlock", ()), ("unlink", ()), ("socket", (1, 1, 0)),
                        ("getuid", ()), ("getgid", ()))  # fmt: skip
    assert text.startswith(OLD.partition("calls")[0])
    assert 'calls = ["read", "pread64"] # one\n' in text
    assert '"mlock",' in text and '    "brk",  # the heap ]\n    "munmap"\n]\n' in text
    data = tomllib.loads(text)["groups"]
    assert data["file_write"]["calls"] == ["unlink"]
    assert data["identity_allowed"]["calls"] == ["getgid"]  # the group of that name refuses
    assert more.conflicts == ("getuid is refused by /m.toml:21",)
    assert "default" not in text[len(OLD) :]
    policy = parse("m", "/m.toml", text.encode())
    assert allows(policy, "socket", 1, 1, 0) and not allows(policy, "getuid") and policy.description == "mine"


def test_nothing_is_added_twice() -> None:
    text, _ = merged(OLD, ("pread64", ()), ("socket", (1, 1, 0)))
    again, more = merged(text, ("pread64", ()), ("socket", (1, 1, 0)))
    assert more.nothing and again == text
    third, _ = merged(text, ("socket", (2, 1, 0)), ("pread64", ()))
    assert third.count('call = "socket"') == 2 and third.count('"pread64"') == 1


def test_what_is_extended_is_not_said_again() -> None:
    text, more = merged('version = 1\nextends = "default"\n', ("pread64", ()), ("openat", (0, 0, 1)))
    assert more.nothing and text == 'version = 1\nextends = "default"\n'


def test_a_group_that_cannot_be_found_in_the_text(tmp_path: Path) -> None:
    """Written in a way that is not ours: the calls get a group of their own."""
    old = OLD.replace("[groups.file_read] # why", '[groups."file_read"]')
    text, _ = merged(old, ("pread64", ()))
    assert text.startswith(old.rstrip()) and tomllib.loads(text)["groups"]["file_read_2"]["calls"] == ["pread64"]
    write.store(str(tmp_path / "p.toml"), text)
    assert (tmp_path / "p.toml").read_text() == text and os.listdir(tmp_path) == ["p.toml"]
