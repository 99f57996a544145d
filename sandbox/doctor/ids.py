"""Subordinate ids: is there a range for this user, whose is it else, and which one would be free."""

from __future__ import annotations

import os

from ..subid import RANGE_IDS, caller_name, ranges_of
from .check import Check, as_root, limited, missing, ok

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .trials import Trials

FILES = ("/etc/subuid", "/etc/subgid")
# Where useradd(8) begins (SUB_UID_MIN of login.defs).
_FIRST_FREE = 100_000


def check(name: str, trials: Trials) -> Check:
    """The range in the files, and a run that uses it."""
    uid = os.geteuid()
    owner, count = caller_name(uid), RANGE_IDS
    uids, gids = ranges_of(owner, uid, count)
    if not (uids and gids):
        lacking = " and ".join(file for file, first in zip(FILES, (uids, gids), strict=True) if not first)
        return missing(name, f"{owner} has no {count} ids in {lacking}, for --ids range",
                     give(owner, uid, count))  # fmt: skip
    result = trials.run(["id", "-u"], ids="range")
    if result.stdout.strip() != b"1000":
        return trials.refused(name, result)
    detail = f"uids {uids} to {uids + count - 1} of {owner}"
    first = {"uid": uids, "gid": gids}
    shared = [login for login in _logins() if first[login[1]] <= login[0] < first[login[1]] + count]
    if shared:
        number, what, who = shared[0]
        return limited(name, f"{detail}, but {what} {number} in it is that of {who}",
                     f"remove it from {FILES[0]} and {FILES[1]}, then {give(owner, uid, count)}")  # fmt: skip
    return ok(name, detail)


def give(owner: str, uid: int, count: int) -> str:
    """The command that gives a free range to a user."""
    first = free(count)
    if owner == str(uid):  # usermod(8) knows names only, the files know numbers too
        return f"echo {uid}:{first}:{count} | {as_root('tee -a ' + ' '.join(FILES))}"
    block = f"{first}-{first + count - 1}"
    return as_root(f"usermod --add-subuids {block} --add-subgids {block} {owner}")


def free(count: int) -> int:
    """The start of ``count`` ids that nobody has, as a subordinate or as his own."""
    taken = [(number, number + 1) for number, _what, _who in _logins()]
    for file in FILES:
        taken += _ranges(file)
    first = _FIRST_FREE
    while clash := [end for start, end in taken if start < first + count and first < end]:
        first = max(clash)
    return first


def _ranges(file: str) -> list[tuple[int, int]]:
    """Of lines that can be read; subid.parse() complains about the others."""
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            parts = [line.strip().split(":") for line in lines]
    except OSError:
        return []
    numbers = [p for p in parts if len(p) == 3 and p[1].isdigit() and p[2].isdigit()]
    return [(int(first), int(first) + int(count)) for _owner, first, count in numbers]


def _logins() -> list[tuple[int, str, str]]:
    import grp
    import pwd

    users = [(entry.pw_uid, "uid", entry.pw_name) for entry in pwd.getpwall()]
    return users + [(entry.gr_gid, "gid", entry.gr_name) for entry in grp.getgrall()]
