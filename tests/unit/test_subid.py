"""Subordinate ids: which range, and which ranges are refused."""

from __future__ import annotations

import pytest

from sandbox import HostError, subid


def first(text: str, name: str = "alice", uid: int = 1000, count: int = 65536) -> int:
    return subid.first_of("/etc/subuid", subid.parse("/etc/subuid", text), (name, str(uid)), count, uid)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", 0),
        ("alice:100000:65536\n", 100000),
        ("1000:200000:65536\n", 200000),  # by number, as subuid(5) allows
        ("# a comment\n\nbob:100000:65536\nalice:165536:65536\n", 165536),
        ("alice:100000:1000\nalice:200000:65536\n", 200000),  # too small, then large enough
        ("alice:100000:1000\n", 0),
        ("alicex:100000:65536\n", 0),
        ("alice:100000:65536\nbob:165536:65536\n", 100000),  # side by side
        ("alice:100000:65536\nalice:100000:65536\n", 100000),  # twice the same is no other user
        ("alice:100000:200000\nbob:200000:65536\n", 100000),  # only what is used must be free
        (" alice:100000:65536\n", 0),
    ],
)
def test_ranges(text: str, start: int) -> None:
    assert first(text) == start


@pytest.mark.parametrize(
    "text",
    [
        "alice:100000:65536\nbob:100000:65536\n",
        "alice:100000:65536\nbob:165535:65536\n",
        "bob:50000:65536\nalice:100000:65536\n",
        "alice:100000:65536\nbob:120000:1\n",
        "alice:0:65536\n",  # root of the host
        "alice:999:65536\n",  # and the system's users
        "bob:1:4294967294\nalice:100000:65536\n",
    ],
)
def test_overlaps_are_refused(text: str) -> None:
    """CVE-2024-56433."""
    with pytest.raises(HostError, match="overlap"):
        first(text)


def test_a_range_around_the_owner_is_refused() -> None:
    with pytest.raises(HostError, match="overlap"):
        first("alice:100000:65536\n", uid=120000)
    assert first("alice:100000:65536\n", uid=99999) == 100000


@pytest.mark.parametrize(
    "line", ["alice", "alice:1", "alice:1:", ":1:2", "alice:a:2", "alice:1:-2", "alice:1:2:3", "alice:0x1:2"]
)
def test_broken_lines_are_named(line: str) -> None:
    with pytest.raises(HostError, match=r"/etc/subuid:2: not NAME:FIRST:COUNT"):
        first(f"# first\n{line}\n")


def test_a_user_without_a_name() -> None:
    assert subid.caller_name(4_000_000_000) == "4000000000"
    assert subid.caller_name(0) == "root"
