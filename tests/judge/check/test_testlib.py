"""Programs that end as those written with testlib.h, and DMOJ's bridged ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from judge.check import bridged
from judge.check.options import OptionError
from judge.facts import ACCEPT, FAULT, PARTIAL, PRESENTATION, REJECT
from judge.problem.model import Checker, Test
from tests.judge.check.conftest import Checked


def test_call(checked: Checked, test_of: Test) -> None:
    text = 'printf "%s|" "$@" >&2; cat "$1" "$2" "$3" "$2" >&2; echo x 2>/dev/null >>"$2" && exit 3; exit 0'
    test = replace(test_of, checker_args=("more",))
    facts = checked("testlib", text, b"the output\n", test=test).facts
    assert facts.outcome == ACCEPT
    assert facts.message == "/data/input|/data/output|/data/answer|more|the input\nthe output\n42\nthe output"
    for number in range(5):
        message = checked("testlib", text, b"output %d\n" % number, test=test).facts.message
        assert message.endswith(f"output {number}"), "not an older copy"


def test_a_large_output_is_copied_as_a_whole(checked: Checked) -> None:
    text = 'test "$(wc -c <"$2")" = 5000000 && tail -c 3 "$2" | grep -q end'
    assert checked("testlib", text, b"x" * 4_999_997 + b"end").facts.outcome == ACCEPT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exit 0", (ACCEPT, None, None)),
        ("exit 1", (REJECT, None, None)),
        ("exit 2", (PRESENTATION, None, None)),
        ("exit 3", (FAULT, None, None)),
        ("exit 4", (PRESENTATION, None, None)),
        ("exit 8", (PRESENTATION, None, None)),
        ("exit 5", (FAULT, None, None)),
        ("exit 42", (FAULT, None, None)),
        ("kill -ABRT $$", (FAULT, None, None)),
        ("echo 'points 7.5 nearly' >&2; exit 7", (PARTIAL, None, 7.5)),
        ("echo 'points 10' >&2; exit 7", (ACCEPT, None, 10.0)),
        ("echo 'points 11' >&2; exit 7", (FAULT, None, None)),
        ("echo 'points -1' >&2; exit 7", (FAULT, None, None)),
        ("echo 'points nan' >&2; exit 7", (FAULT, None, None)),
        ("echo 'nothing' >&2; exit 7", (FAULT, None, None)),
        ("echo 'partially correct (60) ok' >&2; exit 60", (PARTIAL, 0.6, None)),
        ("echo 'partially correct (60) ok' >&2; exit 110", (PARTIAL, 0.6, None)),
        ("echo 'partially correct (60) ok' >&2; exit 76", (PARTIAL, 0.6, None)),
        ("echo 'partially correct (1) ok' >&2; exit 1", (PARTIAL, 0.01, None)),
        ("echo 'partially correct (0) ok' >&2; exit 0", (PARTIAL, 0.0, None)),
        ("echo 'partially correct (100) ok' >&2; exit 100", (ACCEPT, 1.0, None)),
        ("echo 'partially correct (101) ok' >&2; exit 101", (FAULT, None, None)),
        ("echo 'partially correct (60) ok' >&2; exit 61", (FAULT, None, None)),
        ("echo 'wrong answer partially correct (60)' >&2; exit 1", (REJECT, None, None)),
    ],
)
def test_testlib(checked: Checked, test_of: Test, text: str, expected: tuple[str, float | None, float | None]) -> None:
    facts = checked("testlib", text, test=replace(test_of, points=10.0)).facts
    assert (facts.outcome, facts.multiplier, facts.score) == expected, facts


def test_points_can_be_per_cent(checked: Checked, test_of: Test) -> None:
    def said(text: str) -> tuple[str, float | None, float | None]:
        facts = checked("testlib", f"echo 'points {text}' >&2; exit 7", test=replace(test_of, points=10.0),
                        percent=True).facts  # fmt: skip
        return facts.outcome, facts.multiplier, facts.score

    assert said("40") == (PARTIAL, 0.4, None)
    assert said("100") == (ACCEPT, 1.0, None)
    assert said("101") == said("-1") == (FAULT, None, None)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("default", "exit 0", (ACCEPT, None, None)),
        ("default", "exit 1", (REJECT, None, None)),
        ("default", "exit 2", (FAULT, None, None)),
        ("testlib", "exit 2", (PRESENTATION, None, None)),
        ("testlib", "echo 'points 4' >&2; exit 7", (PARTIAL, None, 4.0)),
        ("coci", "exit 1", (REJECT, None, None)),
        ("coci", "echo 'partial 1/4' >&2; exit 7", (PARTIAL, 0.25, None)),
        ("coci", "echo 'partial 4/4' >&2; exit 7", (ACCEPT, 1.0, None)),
        ("coci", "echo 'partial 5/4' >&2; exit 7", (FAULT, None, None)),
        ("coci", "echo 'partial 1/0' >&2; exit 7", (FAULT, None, None)),
        ("coci", "echo 'points 4' >&2; exit 7", (FAULT, None, None)),
        ("peg", "exit 0", (ACCEPT, None, None)),
        ("peg", "exit 1", (REJECT, None, None)),
        ("peg", "echo 3; echo 4; exit 1", (PARTIAL, 0.75, None)),
        ("peg", "echo 0; echo 4; exit 1", (REJECT, None, None)),
        ("peg", "exit 7", (FAULT, None, None)),
        ("nonsense", "exit 0", (FAULT, None, None)),
    ],
)
def test_bridged(
    checked: Checked, test_of: Test, kind: str, text: str, expected: tuple[str, float | None, float | None]
) -> None:
    facts = checked("bridged", text, test=replace(test_of, points=10.0), type=kind).facts
    assert (facts.outcome, facts.multiplier, facts.score) == expected, facts


def test_the_command_line_follows_the_pattern(checked: Checked) -> None:
    text = 'printf "%s|" "$@"'
    pattern = "--answer '{answer}' \"{output}\" {input} {input.__class__}"
    facts = checked("bridged", text, args=pattern).facts
    assert facts.message == "--answer|/data/answer|/data/output|/data/input|{input.__class__}|"
    assert checked("bridged", text, type="peg").facts.message == "/data/output|/data/answer|/data/input|"
    assert checked("bridged", text, args="'").facts.outcome == FAULT


def test_what_it_prints_goes_to_the_team_unless_told_otherwise(checked: Checked) -> None:
    assert checked("bridged", "echo look; exit 1").facts.team_message == "look"
    assert checked("bridged", "echo look; exit 1", feedback=False).facts.team_message == ""
    assert checked("bridged", "echo secret; exit 9").facts.team_message == "", "not of a fault"


def test_interactors_are_called_otherwise(test_of: Test) -> None:
    places = {"input": "I", "output": "O", "answer": "A"}

    def words(kind: str) -> list[str]:
        return bridged.arguments(Checker("bridged", {"type": kind}), test_of, places, interactive=True)

    assert words("default") == ["I", "A"]
    assert words("testlib") == ["I", "O", "A"]
    with pytest.raises(OptionError, match="type"):
        words("nonsense")
