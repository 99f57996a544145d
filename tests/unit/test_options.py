"""The command line's words to the fields of a request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import RequestError
from sandbox.cli import options
from sandbox.cli.main import COMMANDS
from sandbox.request import Request


@pytest.mark.parametrize(
    ("line", "values", "argv"),
    [
        ("prog", {}, ["prog"]),
        ("-- prog -x", {}, ["prog", "-x"]),
        ("--mem 64M prog --mem 1", {"mem": "64M"}, ["prog", "--mem", "1"]),
        ("--mem=64M --mem 65M prog", {"mem": "65M"}, ["prog"]),
        ("-v /a:/b -v/c:/d:rw prog", {"volumes": ["/a:/b", "/c:/d:rw"]}, ["prog"]),
        ("-e A=b=c -e D= prog", {"env": {"A": "b=c", "D": ""}}, ["prog"]),
        ("-t -q --best-effort prog -t", {"tty": True, "quiet": True, "best_effort": True}, ["prog", "-t"]),
        (
            "--stdin null --stdout x --stderr stdout prog",
            {"stdin": "devnull", "stdout": "x", "stderr": "stdout"},
            ["prog"],
        ),
        ("--stdout stdout prog", {"stdout": "stdout"}, ["prog"]),
        ("--stdin ./null prog", {"stdin": "./null"}, ["prog"]),
        ("--without net --without ipc prog", {"without": ["net", "ipc"]}, ["prog"]),
        ("--mem -- prog", {"mem": "--"}, ["prog"]),
        ("- x", {}, ["-", "x"]),
        ("", {}, []),
        ("--", {}, []),
    ],
)
def test_words(line: str, values: dict[str, Any], argv: list[str]) -> None:
    assert options.parse(line.split()) == (values, argv)


@pytest.mark.parametrize(
    ("line", "field", "why"),
    [
        ("--memm 1 prog", "--memm", "did you mean --mem"),
        ("--nothing prog", "--nothing", "no such option"),
        ("-x prog", "-x", "no such option"),
        ("--mem", "--mem", "needs a value"),
        ("-v", "-v", "needs a value"),
        ("--tty=yes prog", "--tty", "takes no value"),
        ("-e A prog", "--env", "expected NAME=VALUE"),
        ("-e =b prog", "--env", "expected NAME=VALUE"),
    ],
)
def test_wrong_words(line: str, field: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        options.parse(line.split())
    assert caught.value.field == field


def test_an_empty_value_is_refused() -> None:
    with pytest.raises(RequestError, match="needs a value"):
        options.parse(["--mem", "", "prog"])
    with pytest.raises(RequestError, match="needs a value"):
        options.parse(["--mem=", "prog"])


def test_the_table() -> None:
    """Every option is a field of Request or the command line's own; names and letters are used once."""
    own = {"json", "quiet"}
    fields = {option.field for option in options.OPTIONS}
    assert fields - own <= set(Request._fields)
    # what a command line cannot say: the program is its rest, fds and callables have no names; what containers are made
    # with is said in other words (tables/run.py)
    for_containers = {"overlays", "devices", "leaf", "joinable", "gate", "network", "exact_env"}
    assert set(Request._fields) - fields == {"argv", "pass_fds", "notify", "notify_all", *for_containers}
    for names in ([o.name for o in options.OPTIONS], [o.short for o in options.OPTIONS if o.short]):
        assert len(names) == len(set(names))
    for option in options.OPTIONS:
        assert option.help and not option.help[:2].istitle() and not option.help.endswith(".")
        assert option.kind in ("value", "list", "pair", "flag") and bool(option.metavar or option.choices) == (
            option.kind != "flag"
        )


def test_errors_name_the_flag() -> None:
    for field, flag in (
        ("volume", "--volume"),
        ("volumes", "--volume"),
        ("best_effort", "--best-effort"),
        ("argv", "argv"),
    ):
        assert options.flagged(RequestError(field, "x", "why")).field == flag


def test_streams_are_passed_on() -> None:
    assert options.defaults({}) == {"stdin": "forward", "stdout": 1, "stderr": 2}
    to_json = options.defaults({"json": "-", "quiet": True, "mem": "1M"})
    assert to_json == {"stdin": "forward", "stdout": "capture", "stderr": "capture", "mem": "1M"}
    assert options.defaults({"stdout": "devnull"})["stdout"] == "devnull"


@settings(max_examples=500, database=None, derandomize=True, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=10),
            st.sampled_from([f"--{o.name}" for o in options.OPTIONS]),
            st.sampled_from(["-v", "-e", "-t", "--", "A=b"]),
            st.sampled_from([f"--{o.name}=x" for o in options.OPTIONS]),
        ),
        max_size=8,
    )
)
def test_nothing_else_is_raised(words: list[str]) -> None:
    try:
        values, argv = options.parse(words)
    except RequestError as error:
        assert "\n" not in error.why
        return
    assert argv == words[len(words) - len(argv) :]
    assert set(values) <= {option.field for option in options.OPTIONS}
    Request(argv=argv, **{k: v for k, v in values.items() if k not in ("json", "quiet")})


def test_every_command_has_a_module() -> None:
    from importlib.util import find_spec

    for name, (module, line) in COMMANDS.items():
        assert find_spec(f"sandbox.cli.{module}"), name
        assert line and not line.endswith(".")
