"""``pysandbox image ls``, ``inspect`` and ``history``."""

from __future__ import annotations

from ...images.store import Store
from ..columns import columns, human
from ..printed import out, told
from .words import facts, parsed, short, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...images.model import Image


_STEP = ("created", "created_by", "comment", "author")


def ls(words: list[str]) -> int:
    """A line for each name, and for each image without one."""
    values, _others = parsed("ls", words, 0, 0, "no words")
    store = Store()
    store.sweep()
    images = sorted(store.images(), key=lambda image: (image.names or ("~",), image.id))
    if values.get("quiet"):
        out(dict.fromkeys(short(image.id) for image in images))
        return 0
    rows = [
        (name, short(image.id), when(image.created), len(image.layers), human(image.size_bytes))
        for image in images for name in image.names or ("<none>",)
    ]  # fmt: skip
    data = [facts(image) for image in images]
    told(values, data, columns(rows, ("NAME", "ID", "CREATED", "LAYERS", "SIZE"), right=("LAYERS", "SIZE")))
    return 0


def inspect(words: list[str]) -> int:
    """A list with an object for each of the images."""
    import json

    _values, others = parsed("inspect", words, 1, 1000, "one NAME or ID, or several")
    store = Store()
    out([json.dumps([_everything(store, store.open(ref)) for ref in others], indent=2)])
    return 0


def _everything(store: Store, image: Image) -> dict[str, Any]:
    import json
    import os

    config = json.loads(store.config(image))
    layers = []
    for layer in image.layers:
        unpacked = [ids for ids in ("single", "range") if os.path.exists(store.layer_path(layer.diff_id, ids))]
        layers.append({**layer.asdict(), "unpacked": {ids: store.layer_path(layer.diff_id, ids) for ids in unpacked}})
    return {**facts(image), "config": config.get("config") or {},
            "author": image.config.author, "layers": layers, "history": config.get("history") or [],
            "notes": list(store.notes(image))}  # fmt: skip


def history(words: list[str]) -> int:
    """A line for each step, the last one first, with the size of the layer that it made."""
    import json

    values, others = parsed("history", words, 1, 1, "one NAME or ID")
    store = Store()
    image = store.open(others[0])
    steps = json.loads(store.config(image)).get("history")
    steps = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    sizes = iter(layer.size_bytes for layer in image.layers)
    data: list[dict[str, Any]] = []
    for step in steps:
        size = 0 if step.get("empty_layer") is True else next(sizes, 0)
        data.append({**{key: _text(step, key) for key in _STEP}, "size_bytes": size})
    # An image need not say how it was made.
    data += [{**dict.fromkeys(_STEP, ""), "size_bytes": size} for size in sizes]
    data.reverse()
    rows = [(when(d["created"]), human(d["size_bytes"]), d["created_by"][:100], d["comment"]) for d in data]
    told(values, data, columns(rows, ("CREATED", "SIZE", "BY", "COMMENT"), right=("SIZE",)))
    return 0


def _text(step: dict[str, Any], key: str) -> str:
    value = step.get(key)
    return value if isinstance(value, str) else ""
