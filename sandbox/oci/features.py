"""The Features structure: what this runtime recognises, whatever the host has. features.md, features-linux.md."""

from __future__ import annotations

from .. import __version__
from ..capabilities import NAMES, NEVER
from ..policy.oci.words import ACTIONS, ARCHES, OPS
from . import hooks, ids, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION_MIN, VERSION_MAX = "1.0.0", "1.2.0"
_AGENT = "SCMP_ACT_NOTIFY"  # asks an agent of the engine


def features() -> dict[str, Any]:
    """As JSON values."""
    return {
        "ociVersionMin": VERSION_MIN,
        "ociVersionMax": VERSION_MAX,
        "hooks": list(hooks.SUPPORTED),
        "mountOptions": list(mounts.OPTIONS),
        "linux": {
            "namespaces": list(ids.NAMESPACES),
            "capabilities": [f"CAP_{name}" for name in NAMES if name not in NEVER],
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": False},
            "seccomp": {
                "enabled": True, "actions": sorted(a for a in ACTIONS if a != _AGENT), "operators": sorted(OPS),
                "archs": sorted(ARCHES), "knownFlags": [], "supportedFlags": [],
            },
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": False}},
        },
        "annotations": {"org.pysandbox.version": __version__},
        "potentiallyUnsafeConfigAnnotations": ["org.pysandbox.policy"],
    }  # fmt: skip
