"""What a person sees of a wrong sample."""

from __future__ import annotations

import os

from judge.check.diff import diff
from tests.judge.check.conftest import memfd


def shown(got: bytes, want: bytes) -> list[str]:
    fds = memfd(got), memfd(want)
    try:
        return diff(*fds).splitlines()
    finally:
        for fd in fds:
            os.close(fd)


def test_the_first_line_that_differs() -> None:
    assert shown(b"1\n2\nx 4\n5\n", b"1\n2\n3 4\n5\n") == ["line 3:", "expected 3 4\\n", "got      x 4\\n"]
    assert shown(b"1\n", b"1\n") == []
    assert shown(b"", b"") == []


def test_an_end_too_early_or_too_late() -> None:
    assert shown(b"1\n", b"1\n2\n") == ["line 2:", "expected 2\\n", "got      (end of file)"]
    assert shown(b"1\n2", b"1\n") == ["line 2:", "expected (end of file)", "got      2"]
    assert shown(b"1", b"1\n") == ["line 1:", "expected 1\\n", "got      1"]


def test_control_characters_are_visible() -> None:
    assert shown(b"a\t\x1b[31m\r\n\0", b"a b\n") == ["line 1:", "expected a b\\n", "got      a\\t\\x1b[31m\\r\\n"]
    assert shown("é\u202e".encode() + b"\xff", b"e") == ["line 1:", "expected e", "got      é\\u202e\\xff"]


def test_a_long_line_is_cut_around_the_difference() -> None:
    lines = shown(b"a" * 100_000 + b"x" + b"b" * 100_000, b"a" * 100_000 + b"y" + b"b" * 100_000)
    assert lines[0] == "line 1:"
    assert lines[1] == "expected ..." + "a" * 40 + "y" + "b" * 79 + "..."
    assert lines[2] == "got      ..." + "a" * 40 + "x" + "b" * 79 + "..."


def test_a_line_far_down() -> None:
    assert shown(b"line\n" * 200_000 + b"x", b"line\n" * 200_001)[0] == "line 200001:"
