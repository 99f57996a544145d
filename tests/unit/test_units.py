"""Text to numbers and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import RequestError, units

EXAMPLES = settings(max_examples=300, database=None, derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1K", 1024),
        ("1k", 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("1.5M", 3 << 19),
        ("256M", 256 << 20),
        ("2G", 2 << 30),
        ("1T", 1 << 40),
        (" 1 M ", 1 << 20),
        (".5K", 512),
        ("1.K", 1024),
        ("7B", 7),
        (4096, 4096),
        ("007", 7),
        ("0.0001K", 0),
        ("4194304T", 1 << 62),
    ],
)
def test_sizes(text: Any, size: int) -> None:
    assert units.parse_size("mem", text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "M",
        "1X",
        "1MM",
        "-1",
        "+1",
        "1e3",
        "0x10",
        "1_000",
        "1,5M",
        "1..5",
        "1.5.5",
        "nan",
        "inf",
        "4194305T",
        "9" * 41,
        "1 0",
        "١",
        "²",
        "1\0",
        "ｋ",
        "1K iB x",
        -1,
        1 << 63,
        True,
        None,
        1.5,
        b"1",
        [1],
    ],
)
def test_no_sizes(text: Any) -> None:
    with pytest.raises(RequestError, match="^mem: "):
        units.parse_size("mem", text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1", 10**9),
        ("1s", 10**9),
        ("1.5", 1_500_000_000),
        ("0.1s", 10**8),
        ("250ms", 250_000_000),
        ("10us", 10_000),
        ("7ns", 7),
        ("2m", 120 * 10**9),
        ("1h", 3600 * 10**9),
        (2, 2 * 10**9),
        (0.25, 250_000_000),
        ("0.000000001", 1),
    ],
)
def test_durations(text: Any, ns: int) -> None:
    assert units.parse_duration("time", text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0s",
        "0.0000000001",
        "-1",
        "1d",
        "1 s s",
        "s",
        "1e9",
        "nan",
        "1:30",
        0,
        -1,
        0.0,
        -0.5,
        float("nan"),
        float("inf"),
        -float("inf"),
        1e300,
        10**400,
        True,
        None,
        b"1",
        "146y",
    ],
)
def test_no_durations(text: Any) -> None:
    with pytest.raises(RequestError, match="^time: "):
        units.parse_duration("time", text)


@pytest.mark.parametrize(("value", "number"), [("0", 0), (" 12 ", 12), (7, 7), ("2147483648", 1 << 31)])
def test_counts(value: Any, number: int) -> None:
    assert units.parse_count("pids", value) == number


@pytest.mark.parametrize("value", ["", "-1", "1.0", "1k", "²", "1" * 21, -1, (1 << 31) + 1, True, None, 1.0])
def test_no_counts(value: Any) -> None:
    with pytest.raises(RequestError, match="^pids: "):
        units.parse_count("pids", value)


@pytest.mark.parametrize(
    ("value", "milli"), [("1", 1000), ("1.5", 1500), ("0.01", 10), (2, 2000), (0.5, 500), ("1000", 10**6)]
)
def test_cpus(value: Any, milli: int) -> None:
    assert units.parse_cpus("cpus", value) == milli


@pytest.mark.parametrize(
    "value", ["", "0", "0.009", "1001", "1c", "-1", 0, -1, float("nan"), float("inf"), 10**400, True, None]
)
def test_no_cpus(value: Any) -> None:
    with pytest.raises(RequestError, match="^cpus: "):
        units.parse_cpus("cpus", value)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("10M", (10 << 20, None)),
        (4096, (4096, None)),
        ("500iops", (None, 500)),
        ("500 IOPS", (None, 500)),
        ("10M,500iops", (10 << 20, 500)),
        (" 1iops , 4K ", (4096, 1)),
        ("4294967294iops", (None, 4294967294)),
        ("1.5G", (3 << 29, None)),
    ],
)
def test_rates(value: Any, rate: tuple[int | None, int | None]) -> None:
    parsed = units.parse_rate("io_read", value)
    assert (parsed.bytes_per_s, parsed.ops_per_s) == rate


@pytest.mark.parametrize(
    "value",
    ["", ",", "10M,", "1M,2M", "1iops,2iops", "1M,2iops,3M", "4095", "0", "0iops", "-1iops", "1.5iops", "1kiops",
     "4294967295iops", "iops", "10M/s", "unlimited", 4095, 0, -1, True, None, 1e6, b"1M", [1]],
)  # fmt: skip
def test_no_rates(value: Any) -> None:
    with pytest.raises(RequestError, match="^io_read: "):
        units.parse_rate("io_read", value)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("1,0,2-3", "0-3"),
        ("0-1, 4", "0-1,4"),
        ("5,5,5", "5"),
        ("7-7", "7"),
        ("3,1", "1,3"),
        ("0-8191", "0-8191"),
    ],
)
def test_cpusets(text: str, canonical: str) -> None:
    assert units.parse_cpuset("cpuset", text) == canonical


@pytest.mark.parametrize("text", ["", ",", "1,", "3-1", "-1", "1-", "8192", "a", "0-1-2", "1" * 5000, None, 1, "0;1"])
def test_no_cpusets(text: Any) -> None:
    with pytest.raises(RequestError, match="^cpuset: "):
        units.parse_cpuset("cpuset", text)


@EXAMPLES
@given(st.sets(st.integers(0, 8191), min_size=1, max_size=200))
def test_cpusets_both_ways(cpus: set[int]) -> None:
    text = units.parse_cpuset("cpuset", ",".join(map(str, cpus)))
    assert units.cpus_of(text) == tuple(sorted(cpus))
    assert units.parse_cpuset("cpuset", text) == text


@EXAMPLES
@given(st.integers(0, units.MAX_BYTES))
def test_sizes_both_ways(size: int) -> None:
    assert units.parse_size("mem", units.format_size(size)) == size


def test_formats() -> None:
    assert units.format_size(units.UNLIMITED) == "unlimited"
    assert units.format_size(0) == "0" and units.format_size(1023) == "1023" and units.format_size(3 << 19) == "1536K"
    assert units.format_duration(1_500_000_000) == "1.5s" and units.format_duration(250_000) == "0.25ms"


PARSERS: list[Callable[[str, Any], object]] = [
    units.parse_size, units.parse_duration, units.parse_count, units.parse_cpus, units.parse_cpuset,
    units.parse_rate,
]  # fmt: skip
ANYTHING = st.one_of(
    st.text(max_size=60),
    st.integers(),
    st.floats(),
    st.binary(max_size=8),
    st.none(),
    st.booleans(),
    st.lists(st.integers()),
    st.from_regex(r"[0-9.]{0,8} ?[a-zA-Z]{0,3}", fullmatch=True),
)


@pytest.mark.parametrize("parse", PARSERS)
def test_nothing_else_is_raised(parse: Callable[[str, Any], object]) -> None:
    @EXAMPLES
    @given(ANYTHING)
    def fuzz(value: Any) -> None:
        try:
            assert parse("field", value) is not None
        except RequestError as error:
            assert error.field == "field"

    fuzz()
