"""Subordinate ids: /etc/subuid and /etc/subgid, subuid(5)."""

from __future__ import annotations

import os

from .errors import HostError

# How many subordinate ids a sandbox maps: what useradd(8) allots.
RANGE_IDS = 65536
NOBODY = 65534


def acts_as_root() -> bool:
    """Are we root, of the host or of a container, who must become somebody else for a sandbox?

    Root of a user namespace that has no other id (unshare -r) is an ordinary user of the host; there is
    nobody else to become, and its 0 is not the host's.
    """
    if os.geteuid() != 0:
        return False
    with open("/proc/self/uid_map", encoding="ascii") as table:
        ranges = [[int(word) for word in line.split()] for line in table]
    return any(first <= NOBODY < first + count for first, _outside, count in ranges)


def caller_name(uid: int) -> str:
    """The login name of a uid, or the uid as text if it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def parse(path: str, text: str) -> list[tuple[str, int, int]]:
    """(owner, first, count) of each line. Raises HostError for a line that is not one."""
    ranges = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if not (owner and first.strip().isdigit() and count.strip().isdigit()):
            raise HostError(f"{path}:{number}: not NAME:FIRST:COUNT: {line[:60]!r}", "correct or remove the line")
        ranges.append((owner, int(first), int(count)))
    return ranges


def first_of(path: str, ranges: list[tuple[str, int, int]], owners: tuple[str, ...], count: int, uid: int) -> int:
    """The first id of a range of ``count`` that belongs to an owner and to nobody else; 0 if none is there.

    Raises HostError for a range that overlaps another's, or the owner's own login ids: two users
    would share their sandboxes' files (CVE-2024-56433).
    """
    for owner, first, size in ranges:
        if owner not in owners or size < count:
            continue
        for other, start, length in ranges:
            if other not in owners and first < start + length and start < first + count:
                raise HostError(f"{path}: the ids {first} to {first + count - 1} of {owner} overlap those of {other}",
                                "give each user a range of its own")  # fmt: skip
        if first < 1000 or (uid and first <= uid < first + count):
            raise HostError(f"{path}: the ids from {first} of {owner} overlap ids of real users",
                            "use a range above 100000")  # fmt: skip
        return first
    return 0


def ranges_of(name: str, uid: int, count: int) -> tuple[int, int]:
    """First subordinate uid and gid of a user, each 0 if the user has no range of ``count``."""
    found = []
    for path in ("/etc/subuid", "/etc/subgid"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            text = ""
        found.append(first_of(path, parse(path, text), (name, str(uid)), count, uid))
    return found[0], found[1]
