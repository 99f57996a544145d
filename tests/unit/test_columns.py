"""Columns and sizes that commands print."""

from __future__ import annotations

import pytest

from sandbox.cli.columns import columns, human


def test_columns() -> None:
    lines = columns([("a", 1, ""), ("longer", 1000, "x")], ("NAME", "SIZE", "NOTE"), right=("SIZE",))
    assert lines == ["NAME    SIZE  NOTE", "a          1", "longer  1000  x"]
    assert columns([], ("A", "B")) == ["A  B"]


def test_control_characters_are_not_for_the_terminal() -> None:
    assert columns([("\x1b[2J\n",)], ("A",))[1] == r"\x1b[2J\n"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1.0K"), (2 << 20, "2.0M"), (1024 * 1000, "1.0M"), (3 << 60, "3072.0P")],
)
def test_sizes_for_the_eye(size: int, text: str) -> None:
    assert human(size) == text
