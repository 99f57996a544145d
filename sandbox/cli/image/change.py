"""``pysandbox image tag``, ``rm`` and ``prune``."""

from __future__ import annotations

from ...errors import SandboxError
from ...images.store import Store
from ..columns import human
from ..printed import told
from .words import parsed


def tag(words: list[str]) -> int:
    """A further name."""
    _values, others = parsed("tag", words, 2, 2, "NAME|ID and the new name")
    Store().tag(others[0], others[1])
    return 0


def rm(words: list[str]) -> int:
    """Each of them; what cannot be removed is told at the end, and does not keep the others."""
    values, others = parsed("rm", words, 1, 1000, "one NAME or ID, or several")
    from ..main import EXIT_FAULT, tell

    store, status, done = Store(), 0, []
    for ref in others:
        try:
            done += store.remove(ref, in_use=in_use(), force=bool(values.get("force")))
        except SandboxError as error:
            tell(str(error))
            status = EXIT_FAULT
    told(values, done, done)
    return status


def prune(words: list[str]) -> int:
    """How much went."""
    values, _others = parsed("prune", words, 0, 0, "no words")
    found = Store().prune(in_use=in_use(), everything=bool(values.get("all")))
    text = f"{found['images']} images, {found['blobs']} blobs, {found['layers']} unpacked layers"
    told(values, found, [f"removed: {text}: {human(found['bytes'])}"])
    return 0


def in_use() -> dict[str, str]:
    """Ids of the images that containers have -> the name of one."""
    from ...containers.container import list_containers

    found = {}
    for container in list_containers():
        try:
            found[container.config.image] = container.name
        except SandboxError:
            continue  # removed meanwhile
    return found
