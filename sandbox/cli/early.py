"""What ``pysandbox run`` looks for before it starts a spawner, and that before it imports the rest."""

from __future__ import annotations

import os

from ..errors import SandboxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..cgroup.protocol import Backend

_V2_MOUNT = "/sys/fs/cgroup/cgroup.controllers"


def backend(values: dict[str, Any], leaf: bool = False) -> Backend | None:
    """The backend of a run with limits (or ``leaf``) on v2, where it decides who starts the spawner; else None: later
    is soon enough. Also None where there is a fault, for the pipeline says all faults in its own order."""
    if not os.path.exists(_V2_MOUNT):
        return None  # and nothing more is imported before the spawner starts
    from ..request import BY_CGROUP

    where = values.get("cgroup", "auto")
    needed = leaf or values.get("isolation") == "landlock" or any(name in values for name in BY_CGROUP)
    if where == "none" or (where == "auto" and not needed):
        return None
    from ..cgroup import delegation

    try:
        return delegation.find(where)
    except SandboxError:
        return None
