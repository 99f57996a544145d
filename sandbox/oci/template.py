"""``oci spec``: a config.json to start from, for the user who asks."""

from __future__ import annotations

import os

from ..errors import RequestError
from ..host import PROC_MASKED, PROC_READONLY
from .features import VERSION_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def template(uid: int, gid: int) -> dict[str, Any]:
    """A shell in ``rootfs``, with the caller as root inside and no capabilities."""
    return {
        "ociVersion": VERSION_MAX,
        "process": {
            "terminal": True, "user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/", "noNewPrivileges": True,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "HOME=/"],
            "capabilities": {"bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": []},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "sandbox",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64m", "mode=1777"]},
        ],
        "linux": {
            "uidMappings": [{"containerID": 0, "hostID": uid, "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": gid, "size": 1}],
            "namespaces": [{"type": name} for name in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")],
            "resources": {},
            "maskedPaths": [f"/proc/{name}" for name in PROC_MASKED],
            "readonlyPaths": [f"/proc/{name}" for name in PROC_READONLY],
        },
    }  # fmt: skip


def write(directory: str) -> None:
    """As ``config.json`` in a directory. Raises RequestError if one is there already."""
    import json

    path = os.path.join(directory, "config.json")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(json.dumps(template(os.geteuid(), os.getegid()), indent=2) + "\n")
    except OSError as error:
        raise RequestError("--bundle", path, f"cannot be written: {(error.strerror or '').lower()}") from None
