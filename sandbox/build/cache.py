"""Which image an earlier build has made of the same step: a file for each, named by all that the step depends on.

The images have no name. A prune of the store removes them, and then a step is done again.
"""

from __future__ import annotations

import os

from ..errors import SandboxError
from ..images.manifest import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..images.model import Image
    from ..images.store import Store

VERSION = 1


def key(value: dict[str, Any]) -> str:
    """The name of a step, from plain values."""
    import hashlib

    return hashlib.sha256(dump({"version": VERSION, **value})).hexdigest()


def find(store: Store, name: str, diff_ids: list[str]) -> Image | None:
    """The image, if the store has it still and it begins with these layers."""
    try:
        with open(f"{_folder(store)}/{name}", encoding="ascii") as file:
            image = store.open(file.read(200))
            found = [layer.diff_id for layer in image.layers]
            there = all(os.path.exists(store.blob_path(layer.digest)) for layer in image.layers)
    except (OSError, ValueError, SandboxError):
        return None
    return image if there and found[: len(diff_ids)] == diff_ids else None


def keep(store: Store, name: str, image: Image) -> None:
    """Note it, whole or not at all."""
    folder = _folder(store)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    new = f"{folder}/{name}.{os.getpid()}"
    with open(new, "w", encoding="ascii") as file:
        file.write(image.digest)
    os.rename(new, f"{folder}/{name}")


def _folder(store: Store) -> str:
    return f"{store.root}/build"
