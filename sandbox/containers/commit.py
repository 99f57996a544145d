"""What a container has changed becomes a layer over its image's own: a new image.

The changes are the upper directory, packed in a sandbox (``images/pack.py``). Not in it: what was mounted (volumes,
tmpfs, /proc, /dev), our files over the image's (/etc/hosts and its like), and the mount points that had to be made for
them. How the image is run stays as it was, but for ``changes``; the words and variables of this one run are not taken.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager

from ..errors import HostError, RequestError
from ..images.changes import apply
from ..images.model import LayerBlob
from ..images.pack import pack_upper
from ..images.store import Store
from . import record
from .container import Container, find
from .model import PAUSED, RUNNING
from .upper import used

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ..images.model import Image
    from .model import ContainerConfig

# Where every container has something of ours mounted.
OURS = (
    "/proc", "/sys", "/dev", "/dev/shm", "/dev/pts", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd",
    "/etc/group",
)  # fmt: skip


def commit(
    container: Container | str, name: str | None = None, *, changes: Sequence[str] = (), author: str = "",
    message: str = "", pause: bool = True, timestamp: int | None = None, compress: str = "none",
) -> Image:  # fmt: skip
    """Make an image of a container, running or not, and give it ``name``, if any.

    ``changes``: lines such as ``CMD ["sh"]`` (images/changes.py). ``pause``: freeze a running one while it is read.
    ``timestamp``: seconds since the epoch; no file and not the image is newer, so that the same content is the same
    image (default: the environment's SOURCE_DATE_EPOCH, else now). ``compress``: "none" or "gzip".

    Raises RequestError for a container without an image or with its changes in memory and for what no layer can hold,
    HostError where it cannot be frozen or the disk fails.
    """
    if isinstance(container, str):
        container = find(container)
    config = container.config
    subject = container.name
    if not config.image:
        raise RequestError("container", subject, "has no image: it runs in the host's system, and changes none of it")
    if config.upper == "tmpfs":
        raise RequestError("container", subject, "keeps its changes in memory; start it with --upper disk")
    if timestamp is None:
        timestamp = _epoch()
    store = Store()
    image = store.open(config.image)
    value = json.loads(store.config(image))
    inner = value.get("config")
    value["config"] = inner if isinstance(inner, dict) else {}
    for change in changes:
        value["config"] = apply(value["config"], change)
    ids = str(config.options.get("ids", "single"))
    lowers = store.lowers(image, ids, fuse=True)
    left_out = mount_points(config, lowers)
    blob = store.new_blob()
    try:
        with _quiet(container, pause):
            packed = pack_upper(
                f"{container.directory}/upper", blob, ids=ids, leave_out=left_out, lowers=lowers,
                timestamp=timestamp, compress=compress, fuse=used(container.directory),
            )  # fmt: skip
        new = LayerBlob(fd=blob, media_type=packed.media_type, diff_id=packed.diff_id)
        layers = (*image.layers, *((new,) if packed.files else ()))
        created = _rfc3339(time.time_ns() if timestamp is None else timestamp * 1_000_000_000)
        line: dict[str, Any] = {"created": created, "created_by": "pysandbox commit"}
        line |= {key: said for key, said in (("author", author), ("comment", message)) if said}
        if not packed.files:
            line["empty_layer"] = True
        value |= {"created": created, **({"author": author} if author else {})}
        history = value.get("history")
        value["history"] = [*(history if isinstance(history, list) else []), line]
        value["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return store.add(text.encode(), layers, [name] if name else [])
    finally:
        os.close(blob)


def mount_points(config: ContainerConfig, layers: Sequence[str]) -> tuple[str, ...]:
    """The places where something may have been made to mount upon: what no layer has."""
    tmpfs = config.options.get("tmpfs") or ()
    named = (*OURS, *(v.target for v in config.volumes), *(str(mount).partition(":")[0] for mount in tmpfs))
    return tuple(path for path in named if not any(os.path.lexists(layer + path) for layer in layers))


@contextmanager
def _quiet(container: Container, pause: bool) -> Iterator[None]:
    """Nobody changes it meanwhile: it is frozen, or it has ended and its lock is ours."""
    state = container.state.state
    if state == RUNNING and pause:
        try:
            container.call("pause")
        except HostError as error:
            fix = "--no-pause reads it while it runs, and fails if a file changes meanwhile"
            raise HostError(f"{container.name} cannot be paused: {error.missing}", fix) from error
        try:
            yield
        finally:
            _unpause(container)
    elif state in (RUNNING, PAUSED):
        yield
    else:
        lock = record.take_ended(container.id)
        if lock < 0:
            raise RequestError("container", container.name, "has just been started or removed")
        try:
            yield
        finally:
            os.close(lock)


def _unpause(container: Container) -> None:
    try:
        container.call("unpause")
    except RequestError:
        if container.running and container.state.state == PAUSED:
            raise  # otherwise somebody else did, or it was killed meanwhile


def _epoch() -> int | None:
    """SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch)."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdecimal() or int(text) >= 1 << 34:
        raise RequestError("SOURCE_DATE_EPOCH", text, "expected seconds since the epoch")
    return int(text)


def _rfc3339(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"
