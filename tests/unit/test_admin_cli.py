"""docs/cli.md holds every command, flag, outcome and exit code; the helpers behind doctor and setup."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sandbox import result
from sandbox.cli import completion, setup
from sandbox.cli import help as texts
from sandbox.cli.flags import FLAGS, mixed, parse
from sandbox.cli.main import COMMANDS
from sandbox.cli.options import Option
from sandbox.doctor import ids, limits
from sandbox.doctor.check import Check, attempt
from sandbox.errors import HostError, RequestError, SetupError

PAGES = ("cli", "images", "containers", "networks", "build", "ci", "oci")
FOLDER = Path(__file__).resolve().parent.parent.parent / "docs"
DOCS = "".join((FOLDER / f"{page}.md").read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_documented(command: str) -> None:
    assert f"\n## `pysandbox {command}" in DOCS


@pytest.mark.parametrize("flag", sorted({(o.name, o.short) for options in FLAGS.values() for o in options}))
def test_flag_is_documented(flag: tuple[str, str]) -> None:
    name, short = flag
    spelled = f"| `-{short}`, `--{name}" if short else f"| `--{name}"
    assert f"{spelled}`" in DOCS or f"{spelled} " in DOCS


@pytest.mark.parametrize("outcome", result.OUTCOMES)
def test_outcome_is_documented(outcome: str) -> None:
    assert f"| `{outcome}` |" in DOCS


CODES = sorted(value for name, value in vars(result).items() if name.startswith("EXIT_"))


@pytest.mark.parametrize("code", CODES)
def test_exit_code_is_documented(code: int) -> None:
    assert f"| {code} |" in DOCS
    assert str(code) in dict(texts.EXIT_CODES)


def test_metavars_are_explained() -> None:
    for options in FLAGS.values():
        for option in options:
            if option.metavar:
                # in a table a | is written \|
                assert option.metavar.replace("|", "\\|") in DOCS, option.name


# ---- flags


@pytest.mark.parametrize(("words", "values"), [
    ([], {}),
    (["--user", "a"], {"user": "a"}),
    (["--user=a=b"], {"user": "a=b"}),
    (["--yes", "--user", "a", "--undo"], {"yes": True, "user": "a", "undo": True}),
])  # fmt: skip
def test_parse(words: list[str], values: dict[str, object]) -> None:
    assert parse("setup", words) == values


@pytest.mark.parametrize("words", [["a"], ["--"], ["-y"], ["--user"], ["--user="], ["--yes=1"], ["--users", "a"], [""]])
def test_parse_refuses(words: list[str]) -> None:
    with pytest.raises(RequestError):
        parse("setup", words)


# ---- help


def test_filled_keeps_what_is_indented() -> None:
    assert list(texts.filled("a b c\nd\n\n    x  y\n", 4)) == ["a b", "c d", "", "    x  y"]


def test_row_with_a_long_name_gets_a_line_of_its_own() -> None:
    assert list(texts.row("long-name", "text", 4)) == ["  long-name", "      text"]


# ---- completion


def test_values_of() -> None:
    by_name = {option.name: option for option in FLAGS["run"]}
    assert completion.values_of(by_name["stdin"]) == (("null", "inherit"), True)
    assert completion.values_of(by_name["net"]) == (("none", "host", "user"), False)
    assert completion.values_of(by_name["mem"]) == ((), False)
    assert completion.values_of(by_name["volume"]) == ((), True)
    assert completion.values_of(by_name["json"]) == (("-",), True)
    assert "strict" in completion.values_of(by_name["policy"])[0]


# ---- setup


def test_sudo_command_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/nowhere/pysandbox"])
    command = setup.sudo_command(["--user", "a b"])
    assert command.startswith("sudo env PYTHONPATH=")
    assert command.endswith("-PB -m sandbox.cli setup --user 'a b'")


# ---- doctor


def test_split_takes_the_last_part_as_the_fix() -> None:
    assert limits.split("mem cannot be enforced: a; b; run it") == ("a; b", "run it")
    assert limits.split("x is not a limit") == ("", "x is not a limit")


@pytest.mark.parametrize(("error", "detail", "fix"), [
    (HostError("no x", "get x"), "no x", "get x"),
    (SetupError("Bind", 3, "share /a", 13, "open it"), "step 3 failed: share /a: permission denied", "open it"),
    (RequestError("cgroup", "x", "is bad"), "cgroup: is bad (got 'x')", "correct or unset cgroup"),
    (PermissionError(13, "Permission denied", "/x"), "/x: permission denied", None),
    (ZeroDivisionError("by zero"), "this check itself failed: ZeroDivisionError: by zero", None),
])  # fmt: skip
def test_whatever_is_raised_becomes_a_check(error: Exception, detail: str, fix: str | None) -> None:
    def ask(_name: str) -> Check:
        raise error

    check = attempt("it", ask)
    assert (check.name, check.state, check.detail) == ("it", "missing", detail)
    assert check.fix == fix if fix else check.fix


def test_interruption_passes() -> None:
    def ask(_name: str) -> Check:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt("it", ask)


def test_free_range_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = tmp_path / "subuid"
    taken.write_text("a:100000:65536\n# comment\nbroken line\nb:200000:10\n", encoding="utf-8")
    monkeypatch.setattr(ids, "FILES", (str(taken), str(tmp_path / "none")))
    monkeypatch.setattr(ids, "_logins", lambda: [(165_600, "uid", "c")])
    assert ids.free(64) == 165_536
    assert ids.free(65) == 165_601
    assert ids.free(65_536) == 200_010


def test_give_for_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "free", lambda _count: 300_000)
    assert "64321:300000:65536" in ids.give("64321", 64_321, 65_536)
    command = ids.give("alice", 1001, 65_536)
    assert "usermod --add-subuids 300000-365535 --add-subgids 300000-365535 alice" in command
    assert command.startswith("sudo ") == (os.geteuid() != 0)


def test_short_flags_together() -> None:
    options = (Option("all", "all", "flag", "", "", "", "a"), Option("force", "force", "flag", "", "", "", "f"),
               Option("to", "to", "value", "X", "", "", "t"))  # fmt: skip
    assert mixed("rm", options, ["-fa", "x", "--", "-a"], "rm") == ({"force": True, "all": True}, ["x", "-a"])
    assert mixed("rm", options, ["-fty", "x", "-t", "z", "y"], "rm") == ({"force": True, "to": "z"}, ["x", "y"])
    for wrong in (["-fx"], ["-f-"], ["-f=1"], ["--force=1"], ["-t"]):
        with pytest.raises(RequestError):
            mixed("rm", options, wrong, "rm")
