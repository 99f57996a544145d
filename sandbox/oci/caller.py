"""Who starts the runtime: an ordinary user, or root of a user namespace that its engine has made (podman)."""

from __future__ import annotations

import os

from ..errors import HostError
from ..subid import RANGE_IDS, acts_as_root, caller_name, ranges_of
from .container import Caller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def caller() -> Caller:
    """The facts. Raises HostError for root of the host, whom a rootless runtime does not serve."""
    uid, gid = os.geteuid(), os.getegid()
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        score = int(file.read())
    if uid == 0 and acts_as_root():
        uids, gids = _ranges("uid_map"), _ranges("gid_map")
        # In the first user namespace, and in one that maps it whole, 0 outside is 0 inside.
        if any(outside == 0 for _first, outside, _count in (*uids, *gids)):
            raise HostError("pysandbox oci is a runtime for engines without root, and this is root",
                            "start the engine as an ordinary user")  # fmt: skip
        return Caller(uid=uid, gid=gid, inside=True, uids=tuple((f, c) for f, _o, c in uids),
                      gids=tuple((f, c) for f, _o, c in gids), oom_score_adj=score)  # fmt: skip
    subuid, subgid = ranges_of(caller_name(uid), uid, RANGE_IDS) if uid else (0, 0)
    return Caller(uid=uid, gid=gid, subuid=subuid, subgid=subgid, oom_score_adj=score)


def maps(found: Caller) -> Callable[[int], None]:
    """For a Spawner: its user namespace maps each id of ours to itself."""
    from ..userns import write_map

    def write(pid: int) -> None:
        for name, ranges in (("uid_map", found.uids), ("gid_map", found.gids)):
            text = "".join(f"{first} {first} {count}\n" for first, count in ranges)
            write_map(pid, name, text, "see `podman unshare cat /proc/self/uid_map`")

    return write


def _ranges(name: str) -> list[tuple[int, int, int]]:
    with open(f"/proc/self/{name}", encoding="ascii") as table:
        return [(int(a), int(b), int(c)) for a, b, c in (line.split() for line in table)]
