"""Layers as directories: unpacked once, beside the place where they will lie, and renamed when they are whole."""

from __future__ import annotations

import fcntl
import json
import os

from ..errors import HostError, RequestError
from .staging import locked_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import Layer
    from .store import Store


def unpack(store: Store, subject: str, layer: Layer, ids: str, blob: str, limit: int | None) -> None:
    """Raises RequestError if the layer is not what it should be, with nothing left; HostError."""
    from .trees import remove_tree
    from .unpack import LIMIT_BYTES, unpack_layer

    place = f"{store.root}/layers/{ids}"
    lock = os.open(f"{store.root}/unpack.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(store.layer_path(layer.diff_id, ids)):
            return  # another one has, while we waited
        try:
            fd = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise RequestError("image", subject, f"the blob {layer.digest} of a layer is not in the store") from None
        try:
            path, held = locked_directory(f"{store.root}/tmp")
            try:
                os.mkdir(f"{path}/fs")
                os.chmod(f"{path}/fs", 0o755)  # whatever the umask is: it is the root of a container
                done = unpack_layer(
                    fd,
                    into=f"{path}/fs",
                    ids=ids,
                    media_type=layer.media_type,
                    diff_id=layer.diff_id,
                    digest=layer.digest,
                    limit_bytes=limit or LIMIT_BYTES,
                )
                if done.opaque:
                    open(f"{path}/opaque", "x").close()
                if done.fuse:
                    open(f"{path}/fuse", "x").close()
                record = {"notes": list(done.notes), "bytes": done.bytes, "files": done.files}
                with open(f"{path}/unpacked.json", "w", encoding="utf-8") as file:
                    json.dump(record, file)
                os.rename(path, f"{place}/{layer.diff_id[7:]}")
            except BaseException:
                remove_tree(path, held, ids)
                raise
            finally:
                os.close(held)
        finally:
            os.close(fd)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise HostError(f"the layer {layer.diff_id} of {subject} cannot be unpacked: {said}",
                        "free some space, or set PYSANDBOX_DATA to another file system") from error  # fmt: skip
    finally:
        os.close(lock)
