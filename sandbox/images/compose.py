"""A manifest and a config for layers that come one by one: commits, builds, root file systems."""

from __future__ import annotations

from ..errors import RequestError
from .layout import Entry
from .manifest import CONFIG, LAYER, MANIFEST, Bad, Descriptor, bad, dump, parse_config, to_manifest
from .model import Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import LayerBlob
    from .staging import Staging


def compose(stage: Staging, config: bytes, layers: Sequence[LayerBlob | Layer], notes: Sequence[str] = ()) -> Entry:
    """Stage the blobs of an image; its line for the index. Raises RequestError."""
    try:
        value, _config, diff_ids = parse_config(config)
    except Bad as error:
        raise bad("config", error) from None
    described = [_layer(stage, layer) for layer in layers]
    given = [layer.diff_id for layer in layers]
    if "rootfs" not in value:
        history = value.get("history")
        lines = list(history) if isinstance(history, list) else []
        created = value.get("created")
        for layer in layers:
            if not isinstance(layer, Layer):
                line = {"created_by": layer.history} if layer.history else {}
                lines.append({**({"created": created} if created else {}), **line})
        config = dump({**value, "rootfs": {"type": "layers", "diff_ids": given}, "history": lines})
    elif list(diff_ids) != given:
        raise RequestError("config", list(diff_ids), f"its diff ids are not those of the layers, {given}")
    digest, size = stage.add_bytes(config)
    manifest = to_manifest(Descriptor(media_type=CONFIG, digest=digest, size=size), described)
    whole, length = stage.add_bytes(manifest)
    return Entry(digest=whole, size=length, media_type=MANIFEST, id=digest, notes=tuple(notes))


def _layer(stage: Staging, layer: LayerBlob | Layer) -> Descriptor:
    if isinstance(layer, Layer):
        if not stage.keep(layer.digest):
            raise RequestError("layer", layer.digest, "is not in the store")
        return Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size_bytes)
    # What is not compressed is its own proof.
    expected = layer.diff_id if layer.media_type == LAYER else ""
    digest, size = stage.adopt(layer.fd, expected, "a new layer")
    return Descriptor(media_type=layer.media_type, digest=digest, size=size)
