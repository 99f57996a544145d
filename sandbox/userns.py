"""Start a spawner with the right ids: who is 0 in its user namespace.

Unprivileged: the caller, by a map that the spawner writes itself; with ``ids="range"`` also the
caller's subordinate ids, through newuidmap(1) and newgidmap(1), once for all runs of the spawner.
Root: never itself. An allocated subordinate range of root if there is one, else nobody.
"""

from __future__ import annotations

import os

from .errors import HostError
from .native.spawn import Spawner
from .subid import NOBODY, RANGE_IDS, acts_as_root, caller_name, ranges_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .keeper.client import Keeper
    from .request import NetworkPlace


def start_spawner(
    *, ids: str, user: bool, net: bool, keeper: Keeper | None = None, place: NetworkPlace | None = None
) -> Spawner:  # fmt: skip
    """Start one for the caller's effective ids; ``wait_ready()`` before its first use.

    ``keeper`` starts it where a backend's leaves can be entered only from there. Raises HostError that
    says what keeps it from its ids. With a ``place`` it has those of its user namespace, which must be mapped as here.
    """
    if place is not None:
        return Spawner(keeper=keeper, place=place)
    uid, gid = os.geteuid(), os.getegid()
    root = uid == 0 and acts_as_root()
    if not user:
        if root:
            raise HostError("without a user namespace root's sandbox would run as root",
                            "keep the user namespace, or start as another user")  # fmt: skip
        return Spawner(user=False, net=False, keeper=keeper)
    if root:
        return Spawner(write_maps=_root_maps(ids), net=net, keeper=keeper)
    if ids == "range":
        return Spawner(write_maps=_helper_maps(uid, gid), net=net, keeper=keeper)
    return Spawner(uid_map=f"0 {uid} 1", gid_map=f"0 {gid} 1", net=net, keeper=keeper)


def map_writer(ids: str) -> Callable[[int], None]:
    """What gives a user namespace that a process of ours has just made the maps of a spawner's: takes its pid.

    For namespaces that are entered by spawners later (networks/holder.py). Raises HostError, as does what it returns.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and acts_as_root():
        return _root_maps(ids)
    if ids == "range":
        return _helper_maps(uid, gid)

    def write(pid: int) -> None:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            write_map(pid, name, text, "pysandbox doctor says what keeps this user from them")

    return write


def write_map(pid: int, name: str, text: str, fix: str) -> None:
    """Write a file of user_namespaces(7): ``uid_map``, ``gid_map`` or ``setgroups``. Raises HostError with ``fix``."""
    try:
        with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        why = (error.strerror or "").lower()
        raise HostError(f"a user namespace cannot be given the {name} {text!r}: {why}", fix) from error


def outer_ids() -> tuple[int, int] | None:
    """Who root's namespaces belong to on the host: uid and gid that are 0 in them; None for other callers."""
    if os.geteuid() != 0 or not acts_as_root():
        return None
    uid, gid = ranges_of("root", 0, RANGE_IDS)
    return uid or NOBODY, gid or NOBODY


def check_place(pid: int, ids: str) -> None:
    """Raises HostError if the user namespace of this process, which others made, has not what the run needs, or host
    uid 0."""
    with open(f"/proc/{pid}/uid_map", "rb") as file:
        ranges = [tuple(map(int, line.split()[1:])) for line in file]
    if acts_as_root() and any(first == 0 for first, _count in ranges):
        raise HostError("root is mapped into the network's user namespace", "map an unprivileged id there")
    total = sum(count for _first, count in ranges)
    if ids == "range" and total < RANGE_IDS:
        has = f"{total} id{'s' * (total != 1)}"
        raise HostError(f"the network's user namespace has {has}, and ids=range needs {RANGE_IDS}",
                        "make the network with a range of ids, or use ids=single")  # fmt: skip


def _root_maps(ids: str) -> Callable[[int], None]:
    uids, gids = ranges_of("root", 0, RANGE_IDS)
    if ids == "range" and not (uids and gids):
        fix = "usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST root, a range that nobody has"
        raise HostError(f"root has no {RANGE_IDS} subordinate ids in /etc/subuid and /etc/subgid", fix)

    def write(pid: int) -> None:
        for name, first in (("uid_map", uids), ("gid_map", gids)):
            text = f"0 {first} {RANGE_IDS}" if first else f"0 {NOBODY} 1"
            if ids == "single":
                text = f"0 {first or NOBODY} 1"
            write_map(pid, name, text, "map these ids into this container, or start as another user")

    return write


def _helper_maps(uid: int, gid: int) -> Callable[[int], None]:
    from .diagnose import no_new_privs
    name = caller_name(uid)
    uids, gids = ranges_of(name, uid, RANGE_IDS)
    if not (uids and gids):
        raise HostError(
            f"user {name} has no {RANGE_IDS} subordinate ids in /etc/subuid and /etc/subgid",
            f"an administrator: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST {name}, a free range",
        )
    if no_new_privs():
        raise HostError("no_new_privs is set for this process, so newuidmap(1) has no rights",
                        "start it without no_new_privs, or use --ids single")  # fmt: skip

    def write(pid: int) -> None:
        _helper("newuidmap", pid, uid, uids)
        _helper("newgidmap", pid, gid, gids)

    return write


def _helper(program: str, pid: int, own: int, first: int) -> None:
    import subprocess

    command = [program, str(pid), "0", str(own), "1", "1", str(first), str(RANGE_IDS)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise HostError(f"{program} is not installed", "install the package uidmap, or shadow") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = said[-1] if said else "no reason given"
        raise HostError(f"{program} refused: {reason}", "check /etc/subuid and /etc/subgid, and that it is setuid root")
