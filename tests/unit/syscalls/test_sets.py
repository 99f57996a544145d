"""policies/sets.toml: every call that a policy can name is in exactly one set, with a word on what the set is."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from sandbox import policy, syscalls

TREE = Path(__file__).resolve().parents[3]
SETS = tomllib.loads((TREE / "policies/sets.toml").read_text())["sets"]


def test_every_call_is_in_exactly_one_set() -> None:
    count = Counter(call for each in SETS.values() for call in each["calls"])
    assert [call for call, times in count.items() if times > 1] == []
    known = {*syscalls.names("x86_64"), *syscalls.names("aarch64")}
    assert set(count) == known


def test_each_set_says_what_it_is() -> None:
    for name, each in SETS.items():
        assert set(each) == {"description", "calls"} and each["description"] and each["calls"], name


def test_default_fits_into_the_sets() -> None:
    """A set is allowed, or refused, or unnamed as a whole by the default policy, but for what is listed here."""
    action = {call: "refused" if group.action != "allow" else "allowed"
              for group in policy.load("default").groups for call in group.calls}  # fmt: skip
    # Asked for by name in a policy that takes the set: clone3's flags are in memory; personality, sockets have rules.
    apart = {"clone3", "file_getattr", "file_setattr", "listns", "memfd_secret", "modify_ldt", "uprobe", "uretprobe"}
    for name, each in SETS.items():
        kinds = {action.get(call, "unnamed") for call in each["calls"] if call not in apart}
        assert len(kinds) == 1, (name, kinds)
