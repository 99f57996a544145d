"""Byte by byte, with and without white space at the end of lines."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.check import windows
from judge.facts import ACCEPT, FAULT, PRESENTATION, REJECT
from tests.judge.check import reference
from tests.judge.check.conftest import compared
from tests.judge.check.test_tokens import pairs


@pytest.mark.parametrize(
    ("got", "want", "exact", "stripped", "presentation"),
    [
        (b"a b\n", b"a b\n", ACCEPT, ACCEPT, ACCEPT),
        (b"a b", b"a b\n", REJECT, ACCEPT, PRESENTATION),
        (b"a b  \nc\t\n\n\n", b"a b\nc", REJECT, ACCEPT, PRESENTATION),
        (b"a b\r\nc\r\n", b"a b\nc\n", REJECT, ACCEPT, PRESENTATION),
        (b"a  b\n", b"a b\n", REJECT, REJECT, PRESENTATION),
        (b" a b\n", b"a b\n", REJECT, REJECT, PRESENTATION),
        (b"\na b\n", b"a b\n", REJECT, REJECT, PRESENTATION),
        (b"a\n\nb\n", b"a\nb\n", REJECT, REJECT, PRESENTATION),
        (b"a\n \nb\n", b"a\n\nb\n", REJECT, ACCEPT, PRESENTATION),
        (b"A b\n", b"a b\n", REJECT, REJECT, REJECT),
        (b"a b c\n", b"a b\n", REJECT, REJECT, REJECT),
        (b"", b"\n\n", REJECT, ACCEPT, PRESENTATION),
        (b"", b"", ACCEPT, ACCEPT, ACCEPT),
        (b"\0", b"", REJECT, REJECT, REJECT),
    ],
)
def test_exact(got: bytes, want: bytes, exact: str, stripped: str, presentation: str) -> None:
    assert compared("exact", got, want).outcome == exact
    assert compared("exact", got, want, ignore_trailing_space=True).outcome == stripped
    assert compared("exact", got, want, presentation=True).outcome == presentation


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(pairs(), st.sampled_from([1025, 1026, 1500, 1 << 18]))
def test_like_the_reference(pair: tuple[bytes, bytes], window: int) -> None:
    got, want = pair
    with patch.object(windows, "WINDOW", window):
        exact = compared("exact", got, want)
        stripped = compared("exact", got, want, ignore_trailing_space=True)
    assert (exact.outcome == ACCEPT) == (got == want)
    assert (stripped.outcome == ACCEPT) == (reference.stripped(got) == reference.stripped(want))


def test_a_gap_that_is_longer_than_a_window_is_looked_at_again() -> None:
    gap = b" " * 5000
    with patch.object(windows, "WINDOW", 1025):
        for got, want, expected in (
            (b"a\n" + gap + b"b", b"a  \n" + gap + b"b", ACCEPT),
            (b"a" + gap + b"\nb", b"a\nb", ACCEPT),
            (b"a\n" + gap + b"b", b"a\n " + gap + b"b", REJECT),
        ):
            assert compared("exact", got, want, ignore_trailing_space=True).outcome == expected


def test_it_takes_no_flags() -> None:
    assert compared("exact", b"", b"", ("case_sensitive",)).outcome == FAULT
    assert compared("exact", b"", b"", nonsense=True).outcome == FAULT
    assert compared("exact", b"", b"", presentation="yes").outcome == FAULT
