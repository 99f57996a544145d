"""Namespaces and id mappings of a bundle: which of the two maps that we can make is meant.

config-linux.md, "Namespaces" and "User namespace mappings". A sandbox always has a user namespace of its own. Where the
caller is root of one already (podman's), it is a copy of that one: every id inside is the same id there.
"""

from __future__ import annotations

from ..subid import RANGE_IDS
from .reader import fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .container import Caller
    from .reader import Node

# Of the specification -> ours.
_KINDS = {"pid": "pid", "network": "net", "mount": "mount", "ipc": "ipc", "uts": "uts", "user": "user",
          "cgroup": "cgroup", "time": "time"}  # fmt: skip
NAMESPACES = tuple(sorted(_KINDS))


def namespaces(linux: Node) -> dict[str, str]:
    """Our name -> path, "" for a new one. Raises RequestError for what is doubled, unknown or cannot be joined."""
    found: dict[str, str] = {}
    for node in linux.nodes("namespaces"):
        kind, path = node.text("type"), node.text("path")
        if kind not in _KINDS:
            node.fail("type", f"no such namespace; there are {', '.join(NAMESPACES)}", kind)
        if _KINDS[kind] in found:
            node.fail("type", "this namespace is there twice", kind)
        if path and not path.startswith("/"):
            node.fail("path", "expected an absolute path", path)
        if path and kind != "network":
            node.fail("path", f"a {kind} namespace of others cannot be joined, only a network namespace", path)
        found[_KINDS[kind]] = path
    if "mount" not in found:
        raise fault("linux.namespaces", 'a container needs a root of its own: add {"type": "mount"}', sorted(found))
    return found


def identity(linux: Node, caller: Caller, made: dict[str, str], user: tuple[int, int]) -> dict[str, Any]:
    """``ids`` and ``user`` of the Request. Raises RequestError for a map that cannot be had."""
    uids, gids = _mappings(linux, "uidMappings"), _mappings(linux, "gidMappings")
    if caller.inside:
        for key, maps in (("uidMappings", uids), ("gidMappings", gids)):
            if any(inside != outside for inside, outside, _count in maps):
                linux.fail(key, "a container in a user namespace of its engine's has the ids of that one: map each id "
                           "to itself (podman: no --userns)")  # fmt: skip
        _covered(linux, caller)
        ids = "range"
    else:
        if "user" not in made:
            raise fault("linux.namespaces", 'no ordinary user can make the others without {"type": "user"}; add it '
                        "with uidMappings and gidMappings, as runc spec --rootless does", sorted(made))  # fmt: skip
        if not uids and not gids:  # as crun spec writes it; the one id that is needed is the caller's
            return {"ids": "single", "user": f"{user[0]}:{user[1]}"}
        ids = _kind(linux, "uidMappings", uids, caller.uid, caller.subuid)
        if _kind(linux, "gidMappings", gids, caller.gid, caller.subgid) != ids:
            linux.fail("gidMappings", "maps a range where uidMappings maps one id, or the other way round")
        for key, maps, number in (("uidMappings", uids, user[0]), ("gidMappings", gids, user[1])):
            if not any(inside <= number < inside + count for inside, _outside, count in maps):
                linux.fail(key, f"does not map process.user's id {number}")
    if ids == "range" and max(user) >= RANGE_IDS - 1:
        raise fault("process.user", f"ids inside are 0 to {RANGE_IDS - 2}", list(user))
    return {"ids": ids, "user": f"{user[0]}:{user[1]}"}


def _mappings(linux: Node, key: str) -> list[tuple[int, int, int]]:
    found = []
    for node in linux.nodes(key):
        one = (node.number("containerID"), node.number("hostID"), node.number("size"))
        if min(one) < 0 or max(one) >= 1 << 32 or not one[2]:
            node.fail("", "expected ids of 32 bits and a size of 1 at least", dict(node.data))
        found.append(one)
    return found


def _kind(linux: Node, key: str, maps: list[tuple[int, int, int]], own: int, subordinate: int) -> str:
    """single: the caller's id alone. range: the caller is 0, its subordinate ids follow, all of them or the first."""
    if len(maps) == 1 and maps[0][1:] == (own, 1):
        return "single"
    if len(maps) == 2 and maps[0] == (0, own, 1) and subordinate and maps[1][:2] == (1, subordinate):
        if maps[1][2] in (RANGE_IDS - 1, RANGE_IDS):
            return "range"
        linux.fail(f"{key}[1].size", f"the range is {RANGE_IDS} ids", maps[1][2])
    ours = f"one id on your own ({own}), or 0 on {own} and then 1.. on your subordinate ids"
    if subordinate:
        ours += f" from {subordinate}"
    linux.fail(key, f"a rootless container maps {ours}", [list(one) for one in maps])


def _covered(linux: Node, caller: Caller) -> None:
    """The maps of a sandbox are two pieces, and each must lie in one piece of the caller's (user_namespaces(7))."""
    for kind, ranges in (("uids", caller.uids), ("gids", caller.gids)):
        for first, count in ((0, 1), (1, RANGE_IDS - 1)):
            if not any(start <= first and first + count <= start + length for start, length in ranges):
                linux.fail("namespaces", f"the engine's user namespace must have the {kind} 0 to {RANGE_IDS - 1}, from "
                           "1 on in one piece", [list(one) for one in ranges])  # fmt: skip
