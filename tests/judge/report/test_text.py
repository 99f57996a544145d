"""Foreign text before it is shown, and numbers in words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.report.text import clean, clean_lines, limit, mib, number, seconds, why
from tests.judge.report import samples


@settings(max_examples=300, database=None, derandomize=True, deadline=None)
@given(st.text(max_size=60))
def test_clean_is_one_printable_line(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    shown.encode("utf-8")  # a lone surrogate could not be
    assert clean(shown) == shown


@pytest.mark.parametrize(("text", "shown"), [
    ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\rb", "a\\rb"), ("\u202eabc", "\\u202eabc"), ("tab\t", "tab\\t"), ("ä€", "ä€"),
    ("\u200b", "\\u200b"), ("\x9b31m", "\\x9b31m"),
])  # fmt: skip
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_lines_are_cleaned_one_by_one() -> None:
    assert clean_lines("a\tb\n\x07\r\n") == ["a   b", "\\x07\\r", ""]


def test_numbers() -> None:
    assert [seconds(v) for v in (None, 0, 1_234_567_890)] == ["-", "0.000 s", "1.235 s"]
    assert [limit(v) for v in (None, 10**9, 250_000_000, 100 * 10**9)] == ["none", "1 s", "0.25 s", "100 s"]
    assert [mib(v) for v in (None, 1 << 20, 3_670_016, 300_500_000)] == ["-", "1 MiB", "3.5 MiB", "287 MiB"]
    assert [number(v) for v in (None, 30.0, 33.333333333)] == ["-", "30", "33.3333"]


def test_why_names_the_test_to_which_the_verdict_is_due() -> None:
    assert why(samples.right()) == ""
    assert why(samples.wrong()) == "sample/1: tokens, line 3, token 2"
    assert why(samples.broken()) == "does not compile"
