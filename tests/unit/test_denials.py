"""Refused calls in words: which line, what would allow it, and what a person reads."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from sandbox import Result, policy, seccomp, syscalls
from sandbox.cli.report import lines as report_lines
from sandbox.denials import MOST_LINES, Denial, action_text, explain, lines
from sandbox.errors import HostError
from sandbox.policy import load, parse
from sandbox.policy.answer import answer, answer_number
from sandbox.policy.naming import named
from sandbox.policy.permit import permit, text

TREE = Path(__file__).resolve().parents[2]
MACHINE = os.uname().machine
DEFAULT = TREE / "policies/default.toml"


def value(action: str) -> int:
    kind, number = policy.parse_action(action)
    return {"errno:": 0x00050000 | number, "kill": 0x80000000, "allow": 0x7FFF0000, "trap": 0x00030000}[kind]


def raw(call: str | int, *args: int, of: str = "default", abi: str = MACHINE, **more: Any) -> Any:
    """What the run reports of a call that the policy ``of`` refuses."""
    number = syscalls.number(abi, call) if isinstance(call, str) else call
    assert number is not None
    args = (*args, 0, 0, 0, 0, 0, 0)[:6]
    action = value(answer_number(load(of), abi, number, args).action)
    data = struct.pack("<iIQ6Q", number, syscalls.audit_arch(abi), 0, *args)
    return SimpleNamespace(**{"data": data, "action": action, "memory": (b"",) * 6, "count": 1, **more})


def one(*args: Any, of: str = "default", **more: Any) -> Denial:
    (denial,) = explain([raw(*args, of=of, **more)], of)
    return denial


def line_of(what: str, path: Path = DEFAULT) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(what))


def test_refused_by_a_group() -> None:
    denial = one("unshare", 0x10020000, count=3)
    assert (denial.call, denial.abi, denial.action, denial.count) == ("unshare", MACHINE, "errno:EPERM", 3)
    assert denial.number == syscalls.number(MACHINE, "unshare")
    assert denial.text == "unshare(CLONE_NEWUSER|CLONE_NEWNS)"
    assert denial.arguments == (("flags", "CLONE_NEWUSER|CLONE_NEWNS"),)
    assert (denial.policy, denial.file, denial.rule) == ("default", str(DEFAULT), "group no_namespaces")
    assert denial.line == line_of("[groups.no_namespaces]")
    assert 'extends = "default"' in denial.allow and 'calls = ["unshare"]' in denial.allow
    assert lines([denial]) == [
        "refused 3 x: unshare(CLONE_NEWUSER|CLONE_NEWNS) -> EPERM by group no_namespaces "
        f"(default.toml:{denial.line}, policy default)",
        'to allow it: --policy FILE with version = 1, extends = "default" and '
        '[groups.allowed] action = "allow", calls = ["unshare"]',
    ]


def test_refused_by_a_rule() -> None:
    denial = one("ioctl", 0, 0x5412, 0x1000)
    assert denial.rule.startswith("a rule: typing into a terminal")
    assert denial.line > 0 and "[[rules]]" in denial.allow and "[groups" not in denial.allow
    assert lines([denial])[1].endswith(
        '[[rules]] call = "ioctl", action = "allow", '
        'args = [{ index = 1, mask = "INT", op = "==", value = "TIOCSTI" }]'
    )


def test_refused_by_the_default() -> None:
    denial = one("memfd_secret", 0)
    assert (denial.rule, denial.action, denial.line) == ("the default", "errno:ENOSYS", line_of("default ="))


def test_a_level_that_is_extended_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('version = 1\nextends = "default"\n[groups.none]\naction = "errno:EIO"\ncalls = ["fsync"]\n')
    mine, theirs = one("fsync", 3, of=str(path)), one("unshare", 0, of=str(path))
    assert (mine.policy, mine.file, mine.line, mine.action) == ("mine", str(path), 3, "errno:EIO")
    assert (theirs.policy, theirs.file) == ("default", str(DEFAULT))
    assert f'extends = "{path}"' in theirs.allow  # what it takes to allow it extends the policy of the run


def test_killed(tmp_path: Path) -> None:
    path = tmp_path / "deadly.toml"
    path.write_text('version = 1\ndefault = "allow"\n[groups.parents]\naction = "kill"\ncalls = ["getppid"]\n')
    denial = one("getppid", of=str(path))
    assert denial.action == "kill"
    assert lines([denial])[0] == "refused 1 x: getppid() -> killed by group parents (deadly.toml:3, policy deadly)"


@pytest.mark.skipif(MACHINE != "x86_64", reason="has no other ABIs here")
@pytest.mark.parametrize("abi", ["i386", "x32"])
def test_foreign_abi(abi: str) -> None:
    denial = one("open", 0x1000, 0, abi=abi, memory=(b"/etc/passwd\0", *[b""] * 5))
    assert (denial.abi, denial.rule, denial.action) == (abi, "foreign_abi", "kill")
    assert denial.text == f'[{abi}] open("/etc/passwd", O_RDONLY)'
    assert denial.line == line_of("foreign_abi =")
    assert denial.permit is None and denial.allow.startswith("no policy can allow calls by a foreign ABI")
    assert lines([denial])[1] == denial.allow


def test_a_number_that_no_table_has() -> None:
    denial = one(999, 1)
    assert (denial.call, denial.text) == ("", "syscall 999(0x1, 0, 0, 0, 0, 0)")
    assert denial.permit is None and "999" in denial.allow


def test_a_policy_that_has_gone_or_changed(tmp_path: Path) -> None:
    """The result is worth more than the line; a wrong line would be worse than none."""
    path = tmp_path / "mine.toml"
    path.write_text('version = 1\ndefault = "allow"\n[groups.a]\naction = "errno:EIO"\ncalls = ["fsync"]\n')
    refused = raw("fsync", 3, of=str(path))
    path.write_text('version = 1\ndefault = "allow"\n')
    (changed,) = explain([refused], str(path))
    path.unlink()
    (gone,) = explain([refused], str(path))
    for denial in (changed, gone):
        assert (denial.text, denial.action, denial.file, denial.rule) == ("fsync(3)", "errno:EIO", "", "")
    assert lines([changed]) == ["refused 1 x: fsync(3) -> EIO (policy mine)"]


def test_nothing_refused() -> None:
    assert explain([], "no such policy") == () and lines([]) == []


def test_hostile_memory_is_no_escape_sequence() -> None:
    denial = one("chroot", 0x1000, memory=(b"\x1b]0;owned\x07\n\0", *[b""] * 5))
    assert denial.text == 'chroot("\\x1b]0;owned\\x07\\n")'
    assert all(c.isprintable() for line in lines([denial]) for c in line)


def test_several_are_allowed_by_one_file() -> None:
    denials = explain([raw("unshare", 0x10000000), raw("keyctl", 0), raw("unshare", 0x20000),
                       raw("socket", 40, 1, 0), raw("socket", 40, 2, 0)], "default")  # fmt: skip
    said = lines(denials)
    assert said[-3:] == [
        'to allow them: --policy FILE with version = 1, extends = "default" and',
        '  [groups.allowed] action = "allow", calls = ["unshare", "keyctl"]',
        '  [[rules]] call = "socket", action = "allow", '
        'args = [{ index = 0, mask = "INT", op = "==", value = "AF_VSOCK" }]',
    ]
    joined = text(load("default"), [d.permit for d in denials if d.permit])
    allowed = parse("all", "/all.toml", joined.encode())
    assert answer(allowed, "keyctl").action == answer(allowed, "socket", (40, 2, 0)).action == "allow"
    assert answer(allowed, "socket", (38, 2, 0)).action == "errno:EAFNOSUPPORT"


def test_a_program_that_tries_everything_gets_no_screen() -> None:
    numbers = range(1000, 1000 + MOST_LINES + 2)
    said = lines(explain([raw(number) for number in numbers], "default"))
    assert sum(line.startswith("refused 1 x:") for line in said) == MOST_LINES
    assert "refused: 2 more kinds of calls; --json has them all" in said


ARGUMENTS = [(), (0x10000011,), (40, 1, 0), (16, 3, 15), (2, 10, 0), (0, 0x5412, 1), (0, 0x541C), (0, 4, 0x7FFF0000, 0),
             (0x40000,), (4, 1), (0xFFFFFF9C, 1, 0o1101), (1, 0o1101), ((1 << 64) - 1,) * 6]  # fmt: skip


@pytest.mark.parametrize("name", [n for n in policy.names() if n != "none"])
def test_what_would_allow_it_does(name: str) -> None:
    """Every call of the machine, refused in every way: the text is a policy, and by it the call passes."""
    loaded, tried = load(name), 0
    for call in syscalls.names(MACHINE):
        for args in ARGUMENTS:
            said = answer(loaded, call, args)
            if said.action in ("allow", "log"):
                continue
            written = text(loaded, [permit(said, loaded, call, args, "why")])
            allowed = parse("allowed", "/allowed.toml", written.encode())
            assert answer(allowed, call, args).action == "allow", (call, args, written)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(("call", "args", "others"), [
    ("socket", (40, 1, 0), [(38, 1, 0), (16, 3, 15), (2, 10, 0)]),
    ("socket", (16, 3, 15), [(16, 3, 9), (40, 1, 0)]),
    ("socket", (2, 10, 0), [(40, 1, 0)]),
    ("ioctl", (0, 0x5412), [(0, 0x541C), (0, 0x5423)]),
    ("clone", (0x10000011,), [(0x20000011,), (0x30000011,)]),
    ("personality", (0x40000,), [(0x400000,), (0x440000,)]),
])  # fmt: skip
def test_no_more_than_that(call: str, args: tuple[int, ...], others: list[tuple[int, ...]]) -> None:
    loaded = load("default")
    allowed = parse("a", "/a.toml", text(loaded, [permit(answer(loaded, call, args), loaded, call, args)]).encode())
    assert answer(allowed, call, args).action == "allow"
    for other in others:
        assert answer(allowed, call, other).action == answer(loaded, call, other).action != "allow", other


def test_it_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loaded = load("default")
    refused: dict[str, tuple[int, ...]]
    refused = {"clone": (0x10000011,), "socket": (16, 3, 15), "mount": (), "prlimit64": (0, 4, 9)}
    parts = [permit(answer(loaded, call, args), loaded, call, args) for call, args in refused.items()]
    (tmp_path / "p.toml").write_text(text(loaded, parts))
    try:
        assert seccomp.filter_for(f"{tmp_path}/p.toml")
    except HostError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("call", "index", "value", "name"), [
    ("socket", 0, 40, "AF_VSOCK"), ("clone", 0, 0x10020000, "CLONE_NEWNS|CLONE_NEWUSER"),
    ("ioctl", 1, 0x5412, "TIOCSTI"), ("personality", 0, 0x40000, "PER_LINUX|ADDR_NO_RANDOMIZE"),
    ("socket", 0, 45, ""), ("clone", 0, 0x10000001, ""), ("read", 0, 1, ""), ("read", 5, 1, ""), ("nothing", 0, 1, ""),
])  # fmt: skip
def test_numbers_are_named_where_the_language_has_all_of_it(call: str, index: int, value: int, name: str) -> None:
    assert named(call, index, value) == name


@pytest.mark.parametrize(("ret", "words"), [
    (0x00050001, "errno:EPERM"), (0x00050000, "errno:0"), (0x00050FA0, "errno:4000"), (0x80000000, "kill"),
    (0, "kill"), (0x00030000, "trap"), (0x12340000, "0x12340000"),
])  # fmt: skip
def test_actions(ret: int, words: str) -> None:
    assert action_text(ret) == words


def result(outcome: str, *denials: Denial, **more: Any) -> Result:
    return Result(outcome=outcome, denials=denials, **more)


def test_what_the_command_line_says() -> None:
    denial = one("unshare", 0x10000000)
    for outcome in ("exited", "signaled", "syscall"):
        assert any(line.startswith("refused 1 x: unshare(") for line in report_lines(result(outcome, denial)))
    assert report_lines(result("ok", denial)) == []  # a program that got over it is nobody's business
    assert report_lines(result("exited", exit_code=1)) == []


def test_in_json_and_pickle() -> None:
    full = result("syscall", one("unshare", 0x10000000), one(999), signal=31)
    data = json.loads(json.dumps(full.to_json()))
    schema = json.loads((TREE / "docs/result.schema.json").read_text())
    jsonschema.validate(data, schema)
    assert data["denials"][0]["arguments"] == [{"name": "flags", "text": "CLONE_NEWUSER"}]
    assert set(schema["properties"]["denials"]["items"]["properties"]) == set(data["denials"][0])
    assert pickle.loads(pickle.dumps(full)) == full
