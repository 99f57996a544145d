"""The default output validator: as the format has it, and on whatever a program may print."""

from __future__ import annotations

import math
import os
import tracemalloc
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.check import builtin, windows
from judge.facts import ACCEPT, FAULT, PRESENTATION, REJECT
from judge.problem.model import Checker
from tests.judge.check import reference
from tests.judge.check.conftest import compared, memfd

TOLERANT = ("float_tolerance 1e-6",)


@pytest.mark.parametrize(
    ("got", "want", "flags", "expected"),
    [
        (b"1 2 3", b"1 2 3\n", (), ACCEPT),
        (b"\n\n 1\t2\r\n3 \v\f", b"1 2 3\n", (), ACCEPT),
        (b"", b"", (), ACCEPT),
        (b" \n", b"", (), ACCEPT),
        (b"1 2", b"1 2 3", (), REJECT),
        (b"1 2 3 4", b"1 2 3", (), REJECT),
        (b"1 2 3 \0", b"1 2 3", (), REJECT),
        (b"1\0x 2", b"1\0y 2", (), REJECT),  # strcmp would stop at the NUL
        (b"YES", b"yes", (), ACCEPT),
        (b"YES", b"yes", ("case_sensitive",), REJECT),
        (b"\xc4", b"\xe4", (), REJECT),  # case is that of A to Z
        (b"@", b"`", (), REJECT),
        (b"12", b"1 2", (), REJECT),
        (b"a\xa0b", b"a b", (), REJECT),  # no white space in the C locale
        (b"1 2", b"1  2", ("space_change_sensitive",), REJECT),
        (b"1 2\n", b"1 2", ("space_change_sensitive",), REJECT),
        (b" 1 2", b"1 2", ("space_change_sensitive",), REJECT),
        (b"A 2\n", b"a 2\n", ("space_change_sensitive",), ACCEPT),
        (b"A 2\n", b"a 2\n", ("space_change_sensitive case_sensitive",), REJECT),
    ],
)
def test_text(got: bytes, want: bytes, flags: tuple[str, ...], expected: str) -> None:
    assert compared("tokens", got, want, flags).outcome == expected


@pytest.mark.parametrize(
    ("got", "want", "flags", "expected"),
    [
        (b"1.0000001", b"1", TOLERANT, ACCEPT),
        (b"1.00001", b"1", TOLERANT, REJECT),
        (b"1000000.5", b"1000000", TOLERANT, ACCEPT),  # relative
        (b"0.0000005", b"0", TOLERANT, ACCEPT),  # absolute
        (b"1000000.5", b"1000000", ("float_absolute_tolerance 1e-6",), REJECT),
        (b"0.0000005", b"0", ("float_relative_tolerance", "1e-6"), REJECT),
        (b"0", b"0", ("float_relative_tolerance", "1e-6"), ACCEPT),
        (b"5", b"4", ("float_absolute_tolerance 1",), ACCEPT),  # integers are numbers too
        (b"3", b"4", (), REJECT),
        (b"1.50", b"1.5", (), REJECT),  # without a tolerance numbers are text
        (b"1.50", b"1.5", ("float_absolute_tolerance", "0"), ACCEPT),
        (b"+1", b"1", TOLERANT, ACCEPT),
        (b".5", b"5e-1", TOLERANT, ACCEPT),
        (b"5.", b"5", TOLERANT, ACCEPT),
        (b".", b"0", TOLERANT, REJECT),
        (b"e5", b"0", TOLERANT, REJECT),
        (b"1e", b"1", TOLERANT, REJECT),
        (b"0x1", b"1", TOLERANT, REJECT),
        (b"1,0", b"1", TOLERANT, REJECT),
        (b"1.0x", b"1", TOLERANT, REJECT),
        (b"nan", b"1", TOLERANT, REJECT),
        (b"inf", b"1e308", TOLERANT, REJECT),
        (b"NaN", b"nan", TOLERANT, ACCEPT),  # no number in the answer: text
        (b"Inf", b"inf", TOLERANT, ACCEPT),
        (b"1e999", b"1", TOLERANT, REJECT),
        (b"1e999", b"1E999", TOLERANT, ACCEPT),
        (b"10e998", b"1e999", TOLERANT, REJECT),
        (b"-0.0", b"0", TOLERANT, ACCEPT),
        (b"abc", b"ABC", TOLERANT, ACCEPT),
        (b"0." + b"3" * 1022, b"0.333333333", TOLERANT, ACCEPT),
        (b"0." + b"3" * 1023, b"0.333333333", TOLERANT, REJECT),  # longer than a number may be
        (b"12345678901234567890123456789.5", b"12345678901234567890123456789.25", TOLERANT, ACCEPT),
    ],
)
def test_numbers(got: bytes, want: bytes, flags: tuple[str, ...], expected: str) -> None:
    assert compared("tokens", got, want, flags).outcome == expected


def test_options_of_the_package_are_flags_too() -> None:
    assert compared("tokens", b"A", b"a", case_sensitive=True).outcome == REJECT
    assert compared("tokens", b"1.0001", b"1", float_absolute=1e-3).outcome == ACCEPT
    assert compared("tokens", b"1.0001", b"1", TOLERANT, float_absolute=1e-3).outcome == REJECT, "flags win"


def test_gaps_with_and_without_a_line_end() -> None:
    def outcome(got: bytes, want: bytes) -> str:
        return compared("tokens", got, want, line_sensitive=True).outcome

    assert outcome(b"1 2\n3", b"1  2\r\n\n3\n") == ACCEPT
    assert outcome(b"\n\n1 2\n3", b"1 2\n3") == ACCEPT
    assert outcome(b"1\n2\n3", b"1 2\n3") == REJECT
    assert outcome(b"1 2 3", b"1 2\n3") == REJECT


def test_presentation_is_said_only_where_it_was_asked_for() -> None:
    def outcome(got: bytes, want: bytes, **options: object) -> str:
        return compared("tokens", got, want, space_change_sensitive=True, **options).outcome

    assert outcome(b"1 2", b"1  2") == REJECT
    assert outcome(b"1 2", b"1  2", presentation=True) == PRESENTATION
    assert outcome(b"1 2 3", b"1  2 4", presentation=True) == REJECT
    assert outcome(b"1  2", b"1  2", presentation=True) == ACCEPT


@pytest.mark.parametrize(
    "flags",
    [("float_tolerance",), ("float_tolerance", "x"), ("float_tolerance", "-1"), ("float_tolerance", "nan"),
     ("float_tolerance 1 float_tolerance 1",), ("float_absolute_tolerance 1 float_tolerance 1",), ("nonsense",)],
)  # fmt: skip
def test_flags_that_mean_nothing_are_a_fault_of_the_package(flags: tuple[str, ...]) -> None:
    facts = compared("tokens", b"1", b"1", flags)
    assert facts.outcome == FAULT and facts.message


def test_no_answer_is_a_fault_of_the_package(tmp_path: Path) -> None:
    fd = memfd(b"1")
    os.mkfifo(tmp_path / "fifo")
    for answer in (None, tmp_path / "missing", tmp_path, tmp_path / "fifo"):
        assert builtin.compare(Checker(), fd, answer).outcome == FAULT
    os.close(fd)


@pytest.mark.parametrize(
    ("got", "where", "message"),
    [
        (b"1 2\n3 5", "line 2, token 2", 'expected "4", got "5"'),
        (b"1 2\n3", "line 2, token 2", 'the output ends, expected "4"'),
        (b"1 2\n3 4\n\n5", "line 4, token 1", 'nothing more was expected, got "5"'),
        (b"1 2\n3 \x1b[2J\xff", "line 2, token 2", r'expected "4", got "\x1b[2J\xff"'),
    ],
)
def test_a_rejection_says_where(got: bytes, where: str, message: str) -> None:
    facts = compared("tokens", got, b"1 2\n3 4\n")
    assert (facts.where, facts.message) == (where, message)


# Few letters, so that outputs are alike; long runs, so that tokens and gaps cross the borders of windows.
PIECES = st.one_of(
    st.sampled_from([b" ", b"\n", b"\r\n", b"\t", b"a", b"A", b"b", b"\0", b"1", b"1.0", b"1.00001", b"2", b"-", b"e5",
                     b"nan", b"1e400"]),
    st.builds(lambda one, many: one * many, st.sampled_from([b"a", b"A", b" ", b"\n", b"1", b"0", b"ab "]),
              st.sampled_from([2, 500, 1020, 1023, 1024, 1025, 1026, 1100, 2500])),
)  # fmt: skip
DATA = st.lists(PIECES, max_size=12)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Two outputs, the second made of the first by a few changes."""
    want = draw(DATA)
    got = list(want)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(got)))
        got[at : at + draw(st.integers(0, 1))] = draw(st.lists(PIECES, max_size=1))
    return b"".join(got), b"".join(want)


@settings(max_examples=400, deadline=None, database=None, derandomize=True)
@given(
    pairs(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([None, 0.0, 1e-3]),
    st.sampled_from([None, 1e-3]), st.sampled_from([1025, 1026, 1500, 1 << 18]),
)  # fmt: skip
def test_like_the_reference(
    pair: tuple[bytes, bytes], case: bool, space: bool, line: bool, absolute: float | None, relative: float | None,
    window: int,
) -> None:  # fmt: skip
    got, want = pair
    expected = reference.tokens(got, want, case=case, space=space, line=line, absolute=absolute, relative=relative)
    with patch.object(windows, "WINDOW", window):
        facts = compared("tokens", got, want, case_sensitive=case, space_change_sensitive=space, line_sensitive=line,
                         float_absolute=absolute, float_relative=relative)  # fmt: skip
    assert facts.outcome == (ACCEPT if expected else REJECT), facts


def sparse(size: int) -> int:
    """NULs that take no memory."""
    fd = os.memfd_create("sparse", os.MFD_CLOEXEC)
    os.truncate(fd, size)
    return fd


def test_100_mb_in_one_token_do_not_fill_the_memory() -> None:
    output, answer = sparse(100 << 20), sparse(100 << 20)
    os.pwrite(output, b"x", (100 << 20) - 1)
    path = Path(f"/proc/self/fd/{answer}")
    try:
        tracemalloc.start()
        facts = builtin.compare(Checker(), output, path, ())
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (facts.outcome, facts.where) == (REJECT, "line 1, token 1")
        assert used < 2 << 20
        os.pwrite(output, b"\0", (100 << 20) - 1)
        assert builtin.compare(Checker(), output, path, TOLERANT).outcome == ACCEPT
        os.truncate(output, (100 << 20) - 1)
        assert builtin.compare(Checker(), output, path, ()).outcome == REJECT
    finally:
        os.close(output)
        os.close(answer)


def test_millions_of_tiny_tokens() -> None:
    want = b"1\n" * 4_000_000
    assert compared("tokens", b"1 " * 4_000_000, want).outcome == ACCEPT
    facts = compared("tokens", b"1 " * 3_999_999 + b"2", want)
    assert (facts.outcome, facts.where) == (REJECT, "line 1, token 4000000")


def test_a_file_that_shrinks_while_it_is_read_is_no_endless_loop() -> None:
    output, answer = memfd(b"a " * 300_000), memfd(b"a " * 300_000)
    real = windows.Window.seek

    def seek(self: windows.Window, at: int) -> None:
        real(self, at)
        os.truncate(output, 1000)

    with patch.object(windows.Window, "seek", seek):
        facts = builtin.compare(Checker(), output, Path(f"/proc/self/fd/{answer}"), ())
    assert facts.outcome in (REJECT, FAULT)
    os.close(output)
    os.close(answer)


def test_the_position_of_the_output_does_not_matter_and_stays() -> None:
    fd = memfd(b"1 2 3")
    os.lseek(fd, 2, os.SEEK_SET)
    answer = memfd(b"1 2 3")
    assert builtin.compare(Checker(), fd, Path(f"/proc/self/fd/{answer}"), ()).outcome == ACCEPT
    assert os.lseek(fd, 0, os.SEEK_CUR) == 2
    os.close(fd)
    os.close(answer)


DIGITS = st.text("0123456789", max_size=25)


@settings(max_examples=500, deadline=None, database=None, derandomize=True)
@given(st.sampled_from(["", "-", "+"]), DIGITS, st.booleans(), DIGITS, st.none() | st.integers(-330, 330))
def test_a_number_is_the_nearest_double(sign: str, whole: str, dot: bool, part: str, exponent: int | None) -> None:
    """Within a tolerance of 0 the answer is its own repr, and neither neighbour of it."""
    text = sign + whole + ("." + part if dot else "") + (f"e{exponent}" if exponent is not None else "")
    value = reference.number(text.encode())
    if value is None:
        return
    for other, expected in ((value, ACCEPT), (math.nextafter(value, math.inf), REJECT),
                            (math.nextafter(value, -math.inf), REJECT)):  # fmt: skip
        if math.isfinite(other):
            assert compared("tokens", text.encode(), repr(other).encode(), float_absolute=0).outcome == expected, text
