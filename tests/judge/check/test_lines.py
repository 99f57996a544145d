"""Lines in any order, and lines each for its share."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.check import lines, windows
from judge.facts import ACCEPT, FAULT, PARTIAL, REJECT
from tests.judge.check import reference
from tests.judge.check.conftest import compared


@pytest.mark.parametrize(
    ("got", "want", "expected"),
    [
        (b"b\na\n", b"a\nb\n", ACCEPT),
        (b"\n\nb\r\n  a", b"a\nb\n", ACCEPT),
        (b"a  1\n b\t2 \n", b"b 2\na 1", ACCEPT),
        (b"a\na\nb", b"a\nb\nb", REJECT),
        (b"a\nb", b"a\nb\nb", REJECT),
        (b"ab", b"a b", REJECT),
        (b"a b", b"b a", REJECT),
        (b"", b"\n", ACCEPT),
        (b" ", b"", REJECT),  # a line of white space is a line, without a word
        (b" ", b"\t", ACCEPT),
    ],
)
def test_lines(got: bytes, want: bytes, expected: str) -> None:
    assert compared("lines", got, want).outcome == expected


def test_tokens_and_characters() -> None:
    assert compared("lines", b"c a\nb", b"a b c", split_on="whitespace").outcome == ACCEPT
    assert compared("lines", b"c a b b", b"a b c", split_on="whitespace").outcome == REJECT
    assert compared("lines", b"OLLEH", b"he llo", split_on="characters").outcome == ACCEPT
    assert compared("lines", b"OLLEHO", b"he llo", split_on="characters").outcome == REJECT
    assert compared("lines", b"", b"", split_on="nothing").outcome == FAULT


def test_a_rejection_names_a_line_of_a_small_output() -> None:
    message = compared("lines", b"a\nc\n", b"a\nb\n").message
    assert 'not expected: "c"' in message and 'missing: "b"' in message
    with patch.object(lines, "SMALL", 3):
        assert '"' not in compared("lines", b"a\nc\n", b"a\nb\n").message


LINES = st.lists(
    st.sampled_from([b"a", b"b", b"a b", b" a  b", b"", b" ", b"\t", b"a" * 7, b"a" * 8, b"ab " * 700, b"x" * 3000]),
    max_size=8,
)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(LINES, st.randoms(use_true_random=False), LINES, st.booleans(), st.sampled_from([1025, 1 << 18]))
def test_like_the_reference(want: list[bytes], random: object, other: list[bytes], same: bool, window: int) -> None:
    shuffled = list(want)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    got, answer = b"\n".join(shuffled if same else other), b"\r\n".join(want)
    with patch.object(windows, "WINDOW", window):
        by_line = compared("lines", got, answer)
        by_token = compared("lines", got, answer, split_on="whitespace")
    assert (by_line.outcome == ACCEPT) == (reference.sorted_lines(got) == reference.sorted_lines(answer))
    assert (by_token.outcome == ACCEPT) == (sorted(got.split()) == sorted(answer.split()))


@pytest.mark.parametrize(
    ("got", "outcome", "share"),
    [
        (b"1\n2\n3\n4\n", ACCEPT, None),
        (b"1\n\n 2 \n3\n4", ACCEPT, None),
        (b"1\nx\n3\n4\n", PARTIAL, 0.75),
        (b"1\n", PARTIAL, 0.25),
        (b"x\n", REJECT, 0.0),
        (b"", REJECT, 0.0),
        (b"1\n2\n3\n4\n5\n", REJECT, 0.0),
    ],
)
def test_each_line_for_its_share(got: bytes, outcome: str, share: float | None) -> None:
    facts = compared("lines", got, b"1\n2\n3\n4\n", partial=True)
    assert (facts.outcome, facts.multiplier) == (outcome, share)


def test_a_distribution() -> None:
    def share(got: bytes, **options: object) -> tuple[str, float | None]:
        facts = compared("lines", got, b"a\nb\n", partial=True, distribution=[30, 70], **options)
        return facts.outcome, facts.multiplier

    assert share(b"a\nb") == (ACCEPT, None)
    assert share(b"a\nx") == (PARTIAL, 0.3)
    assert share(b"x\nb") == (PARTIAL, 0.7)
    assert share(b"a") == (REJECT, 0.0)
    assert share(b"a", filler_lines_required=False) == (PARTIAL, 0.3)
    assert compared("lines", b"", b"a\nb\n", distribution=[1]).outcome == FAULT
    assert compared("lines", b"", b"a\nb\n", distribution=[1, 1, 1]).outcome == FAULT
    assert compared("lines", b"", b"a\nb\n", distribution=[0, 0]).outcome == FAULT


def test_a_line_that_is_longer_than_a_window() -> None:
    long = b"x" * 5000
    with patch.object(windows, "WINDOW", 1025), patch.object(lines, "WINDOW", 1025):
        assert compared("lines", long + b"\na", long + b"\na", partial=True).outcome == ACCEPT
        assert compared("lines", long + b"y\na", long + b"\na", partial=True).multiplier == 0.5
