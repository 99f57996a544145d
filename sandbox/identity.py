"""Who the program is: id maps, groups, and the ids it ends up with.

The spawner lives in a user namespace P in which 0 is the caller, or an unprivileged id when root is
the caller; with ``ids="range"`` 1 to 65535 are the caller's subordinate ids. Each run gets a
namespace S below P:

  single   S: the program's uid -> P 0. The init and the program are the caller's uid on the host.
  range    S: 0 -> P 0, 1.. -> P 1... The init is the caller; the program is a subordinate id.
"""

from __future__ import annotations

from .steps import DropBounding, DropCaps, DropGroups, IdMap, NoNewPrivs, SetIds, Step
from .subid import RANGE_IDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import Spec


def setup(spec: Spec) -> tuple[Step, ...]:
    """Steps of the init: its id maps, then its groups (setgroups(2) needs the map first)."""
    if not spec.has("user"):
        return (DropGroups(),)
    if spec.ids == "range":
        both = f"0 0 1\n1 1 {RANGE_IDS - 1}\n"
        return (IdMap(uid_map=both, gid_map=both, by_spawner=True), DropGroups())
    return (IdMap(uid_map=f"{spec.uid} 0 1\n", gid_map=f"{spec.gid} 0 1\n"), DropGroups())


def program(spec: Spec) -> tuple[Step, ...]:
    """Steps of the program that change what it is: bounding set (while it may), then ids."""
    if not spec.has("user"):
        return ()
    return (DropBounding(kept=spec.kept), SetIds(uid=spec.uid, gid=spec.gid, keep_capabilities=spec.kept != 0))


def lock(spec: Spec) -> tuple[Step, ...]:
    """No capabilities but those asked for, no new privileges: the native core refuses a plan without these."""
    return (DropCaps(bounding_checked=spec.has("user"), kept=spec.kept), NoNewPrivs())
