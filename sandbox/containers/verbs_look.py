"""Verbs that let somebody look into a container: where it is, and its files."""

from __future__ import annotations

import os

from ..errors import RequestError
from .verbs import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .monitor import Ask, Monitor


def about(monitor: Monitor, ask: Ask) -> dict[str, Any]:
    """``pid``: of its init on the host; ``namespaces``: kind -> inode, as /proc/PID/ns
    shows them; ``ports``: those that are published, with the host's port where a free one was chosen."""
    pid = monitor.running.pid
    found: dict[str, int] = {}
    if pid and monitor.running.spec.joinable:
        found = {kind: os.fstat(fd).st_ino for kind, fd in monitor.running.namespaces().items()}
    ports = [port.asdict() for port in getattr(monitor.prepared.network, "ports", ())]
    return {"pid": pid, "namespaces": found, "ports": ports}


def open_tree(monitor: Monitor, ask: Ask) -> Answer:
    """``path``: of the container, as it sees it now. An fd of a detached mount of it and of what is mounted below."""
    path = ask.words.get("path")
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise RequestError("path", path, "expected an absolute path")
    return Answer({}, [monitor.running.open_tree(path)])
