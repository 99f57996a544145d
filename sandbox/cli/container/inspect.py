"""``pysandbox inspect CONTAINER...``: all that is known, as JSON."""

from __future__ import annotations

import datetime
import json

from ...containers.upper import used
from ...errors import HostError, RequestError, SandboxError
from ..main import EXIT_FAULT, tell
from .names import find, some

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...containers import Container
    from ...containers.model import ContainerConfig, ContainerState


def main(words: list[str]) -> int:
    """An array, with an object for each of the names that there are."""
    values, names = some("inspect", words)
    from .. import jsonfile

    fd = jsonfile.open_for(values.get("json"))
    found, status = [], 0
    for name in names:
        try:
            found.append(everything(find(name)))
        except SandboxError as error:
            tell(f"{name}: {error}")
            status = EXIT_FAULT
    jsonfile.write(fd, json.dumps(found, indent=2) + "\n", values.get("json", "-"))
    return status


def everything(container: Container) -> dict[str, Any]:
    """What was asked, how it is doing, and while it runs where it is and what it uses. Raises RequestError."""
    state, config = container.state, container.config
    return {
        "id": state.id, "name": state.name, "image": {"id": config.image, "name": config.image_name},
        "state": _state(state), "config": _config(config), "limits": _limits(state, config),
        "mounts": [mount.asdict() for mount in config.volumes],
        "network": {"mode": config.net, "publish": list(config.publish), "allow": list(config.allow),
                    "bandwidth": config.bandwidth},
        "files": {"directory": container.directory,
                  "upper": f"{container.directory}/upper" if config.image and config.upper != "tmpfs" else None,
                  "root": "fuse-overlayfs" if used(container.directory) else "overlayfs" if config.image else None},
        **_live(container),
    }  # fmt: skip


def _state(state: ContainerState) -> dict[str, Any]:
    words = {name: value for name, value in state.asdict().items() if name not in ("id", "name", "limits")}
    for name in ("created", "started", "ended"):
        words[name] = stamp(words.pop(f"{name}_ns"))
    return words


def stamp(ns: int | None) -> str | None:
    """RFC 3339, UTC, microseconds."""
    if ns is None:
        return None
    moment = datetime.datetime.fromtimestamp(ns // 1_000_000_000, datetime.UTC)
    return moment.replace(microsecond=ns // 1000 % 1_000_000).isoformat().replace("+00:00", "Z")


# Of ContainerConfig, what stands in a place of its own.
_ELSEWHERE = ("image", "image_name", "name", "volumes", "net", "publish", "allow", "bandwidth", "options")
_LIMITS = ("mem", "swap", "time", "wall", "idle", "pids", "cpus", "cpuset", "output", "disk", "inodes", "fsize",
           "stack", "nofile", "core", "io_read", "io_write")  # fmt: skip


def _config(config: ContainerConfig) -> dict[str, Any]:
    words = {name: value for name, value in config.asdict().items() if name not in _ELSEWHERE}
    options = {name: value for name, value in config.options.items() if name not in _LIMITS}
    return {**words, "options": options}


def _limits(state: ContainerState, config: ContainerConfig) -> dict[str, Any]:
    """As they were said; ``update`` counts last."""
    return {**{name: value for name, value in config.options.items() if name in _LIMITS}, **state.limits}


def _live(container: Container) -> dict[str, Any]:
    try:
        about = container.call("about")
    except RequestError:  # it does not run
        return {}
    pid, spaces = about.get("pid"), about.get("namespaces", {})
    found: dict[str, Any] = {
        "ports": about.get("ports", []),
        "namespaces": {kind: {"path": f"/proc/{pid}/ns/{kind}", "link": f"{kind}:[{inode}]"}
                       for kind, inode in sorted(spaces.items())},
    }  # fmt: skip
    try:
        found["usage"] = container.call("stats")
    except RequestError:
        pass
    except HostError as error:  # without a cgroup nothing is counted
        found["usage"] = {"missing": str(error)}
    return found
