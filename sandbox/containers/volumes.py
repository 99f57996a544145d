"""Named volumes: directories of the user's that outlive containers, filled at first use with what the image has
there."""

from __future__ import annotations

import os
import time

from .. import locks
from ..errors import RequestError, SandboxError, SupervisorError
from . import names, paths
from .model import VolumeMount
from .tree import remove_by_range, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BIND, NAMED, ANONYMOUS = "bind", "volume", "anonymous"


def parse(text: str) -> VolumeMount:
    """``SRC:DST[:ro|rw]``: SRC with a / or . in front is a path of the host, read-only unless it says rw; else the
    name of a volume, writable unless it says ro. ``DST`` alone is a volume without a name. Raises RequestError."""
    parts = text.split(":")
    mode = parts.pop() if len(parts) > 1 and parts[-1] in ("ro", "rw") else ""
    if len(parts) == 1 and parts[0].startswith("/"):
        return VolumeMount(kind=ANONYMOUS, source="", target=parts[0], writable=mode != "ro")
    if len(parts) != 2 or not parts[0] or not parts[1].startswith("/"):
        raise RequestError("--volume", text, "expected SRC:DST, SRC:DST:ro, SRC:DST:rw or DST, with DST absolute")
    source, target = parts
    if source[0] in "/.":
        return VolumeMount(kind=BIND, source=os.path.abspath(source), target=target, writable=mode == "rw")
    return VolumeMount(kind=NAMED, source=names.check("--volume", source), target=target, writable=mode != "ro")


def create(name: str, labels: dict[str, str] | None = None) -> bool:
    """Make an empty one; False if it was there. Raises RequestError for a bad name."""
    base = paths.volumes()
    place = f"{base}/{names.check('volume', name)}"
    with locks.Lock(f"{base}/.lock"):
        if os.path.isdir(f"{place}/data"):
            return False
        os.makedirs(f"{place}/data", 0o755, exist_ok=True)
        from ..lightjson import dumps

        with open(f"{place}/volume.json", "w", encoding="utf-8") as file:
            file.write(dumps({"created_ns": time.time_ns(), "labels": labels or {}}))
        return True


def use(mount: VolumeMount, layers: tuple[str, ...], ids: str) -> str:
    """The directory of a named volume, made and filled if nobody has used it: with what ``layers`` have at its
    target."""
    create(mount.source)
    place = f"{paths.volumes()}/{mount.source}"
    if os.path.exists(f"{place}/used"):
        return f"{place}/data"
    with locks.Lock(f"{place}/lock"):
        if not os.path.exists(f"{place}/used"):
            if os.listdir(f"{place}/data"):  # whoever filled it was killed
                _empty(f"{place}/data")
                os.mkdir(f"{place}/data", 0o755)
            if os.geteuid() == 0:  # the sandbox is somebody else then
                from ..images.helper import give

                give(f"{place}/data", ids)
            if layers:
                copy_up(mount.target, layers, f"{place}/data", ids)
            os.close(os.open(f"{place}/used", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return f"{place}/data"


def copy_up(target: str, layers: tuple[str, ...], data: str, ids: str) -> None:
    """What an image has at ``target``, with modes and owners, into an empty directory; in a sandbox, for it is an
    image."""
    from ..images.helper import run_inside
    from ..request import Mount, Overlay

    result = run_inside("copyup", [target.encode("utf-8", "surrogateescape").hex()], ids=ids,
                        overlays=(Overlay(target="/image", layers=layers),),
                        mounts=(Mount(source=data, target="/volume", writable=True),))  # fmt: skip
    if not result.ok:
        said = result.stderr.decode("utf-8", "replace").strip()[-200:]
        raise SupervisorError(f"volume for {target}: cannot be filled from the image: {said or result.outcome}")


def everyone() -> list[str]:
    """Names of all volumes."""
    base = paths.volumes()
    return sorted(name for name in os.listdir(base) if os.path.isdir(f"{base}/{name}/data"))


def describe(name: str) -> dict[str, Any]:
    """What is known of one. Raises RequestError if there is none."""
    from ..lightjson import loads
    from . import record

    place = _existing(name)
    try:
        with open(f"{place}/volume.json", encoding="utf-8") as file:
            known = loads(file.read())
    except (FileNotFoundError, ValueError):
        known = {}
    users = []
    for state in record.everyone():
        config = record.read_config(f"{paths.containers()}/{state.id}")
        if any(v.kind != BIND and v.source == name for v in config.volumes):
            users.append(state.name)
    return {"name": name, "directory": f"{place}/data", "created_ns": known.get("created_ns", 0),
            "labels": known.get("labels", {}), "containers": sorted(users)}  # fmt: skip


def remove(name: str) -> None:
    """Remove one that no container has. Raises RequestError."""
    found = describe(name)
    if found["containers"]:
        raise RequestError("volume", name, f"container {found['containers'][0]} has it; remove that first")
    delete(name)


def delete(name: str) -> None:
    """Remove one, whoever has it."""
    base = paths.volumes()
    with locks.Lock(f"{base}/.lock"):
        gone = f"{base}/.gone-{os.urandom(8).hex()}"
        try:
            os.rename(f"{base}/{name}", gone)
        except FileNotFoundError:
            return
    _delete(gone)
    _sweep(base)


def prune() -> list[str]:
    """Remove all that no container has; their names."""
    from . import record

    used = set()
    for state in record.everyone():
        used |= {v.source for v in record.read_config(f"{paths.containers()}/{state.id}").volumes}
    gone = [name for name in everyone() if name not in used]
    for name in gone:
        delete(name)
    _sweep(paths.volumes())
    return gone


def _sweep(base: str) -> None:
    """What a removal that was killed has left; another one may be at it as well."""
    for left in os.listdir(base):
        if left.startswith(".gone-"):
            try:
                _delete(f"{base}/{left}")
            except (SandboxError, OSError):
                continue


def _existing(name: str) -> str:
    place = f"{paths.volumes()}/{name}"
    if "/" in name or name.startswith(".") or not os.path.isdir(f"{place}/data"):
        raise RequestError("volume", name, "there is no such volume; `pysandbox volume ls` lists all")
    return place


def _delete(path: str) -> None:
    try:
        remove_tree(path)
    except PermissionError:
        remove_by_range(path, "data")


def _empty(data: str) -> None:
    try:
        remove_tree(data)
    except PermissionError:  # of a fill with ids=range
        remove_by_range(data)
