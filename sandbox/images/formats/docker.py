"""What ``docker save`` and ``podman save`` write: manifest.json, a config, and a tar archive a layer.

manifest.json is a list of ``{"Config": NAME, "RepoTags": [...], "Layers": [NAME...]}`` (Docker image spec v1.2,
"Combined Image JSON + Filesystem Changeset Format"). There are no digests but the config's diff ids: those are checked.
"""

from __future__ import annotations

import hashlib
import json
import os

from ...errors import RequestError
from ..compressed import compression
from ..layout import Entry
from ..manifest import (
    CONFIG,
    LAYER,
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    MAX_JSON,
    MAX_LAYERS,
    Bad,
    Descriptor,
    bad,
    parse_config,
    to_manifest,
)
from ..names import parse
from ..staging import read_chunks
from .oci import notes_of
from .tarread import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..staging import Staging
    from .source import Source

_MEDIA = {"": LAYER, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}


def take(stage: Staging, source: Source, ref: str = "") -> tuple[Entry, list[str]]:
    """Stage an image; (its line for the index, its names). Raises RequestError."""
    try:
        return _take(stage, source, ref)
    except Bad as error:
        raise bad(source.subject, error) from None


def _take(stage: Staging, source: Source, ref: str) -> tuple[Entry, list[str]]:
    item = _choose(source, ref)
    name = _file(item.get("Config"), "Config")
    config = source.small(name, MAX_JSON)
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    said = name.rpartition("/")[2].removesuffix(".json")
    if len(said) == 64 and said != digest[7:]:
        raise Bad(f"the config {name} has the content of {digest}")
    value, _config, diff_ids = parse_config(config)
    files = item.get("Layers") or []
    if not isinstance(files, list) or len(files) > MAX_LAYERS:
        raise Bad(f"Layers of manifest.json is not a list of at most {MAX_LAYERS} files")
    if len(files) != len(diff_ids):
        raise Bad(f"the config has {len(diff_ids)} diff ids, manifest.json {len(files)} layers")
    layers = [_layer(stage, source, _file(file, "Layers"), diff) for file, diff in zip(files, diff_ids, strict=True)]
    stage.add_bytes(config)
    manifest = to_manifest(Descriptor(media_type=CONFIG, digest=digest, size=len(config)), layers)
    whole, size = stage.add_bytes(manifest)
    entry = Entry(digest=whole, size=size, media_type=MANIFEST, id=digest, notes=notes_of(value))
    return entry, _names(item)


def _choose(source: Source, ref: str) -> dict[str, Any]:
    try:
        found = json.loads(source.small("manifest.json", MAX_JSON))
    except (ValueError, RecursionError):
        raise Bad("manifest.json is not JSON") from None
    if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
        raise Bad("manifest.json is not a list of images")
    if ref:
        wanted = [item for item in found if ref in (item.get("RepoTags") or []) or ref in _names(item)]
        if not wanted:
            raise Bad(f"it holds no image {ref!r:.120}; there are {_listed(found)}")
        found = wanted
    if len(found) > 1:
        raise Bad(f"it holds {len(found)} images, name one with --ref: {_listed(found)}")
    return dict(found[0])


def _listed(found: list[dict[str, Any]]) -> str:
    return ", ".join(str(tag) for item in found for tag in item.get("RepoTags") or ["one without a name"])[:500]


def _names(item: dict[str, Any]) -> list[str]:
    names = []
    for text in item.get("RepoTags") or []:
        try:
            names.append(str(parse(text)) if isinstance(text, str) else "")
        except RequestError:
            continue
    return [name for name in names if name]


def _file(name: object, key: str) -> str:
    if not isinstance(name, str) or not clean(name):
        raise Bad(f"{key} of manifest.json names no file of the archive: {name!r:.120}")
    return clean(name)


def _layer(stage: Staging, source: Source, name: str, diff_id: str) -> Descriptor:
    fd, offset, size = source.open(name)
    try:
        kind = compression(fd, offset)
        if kind not in _MEDIA:
            raise Bad(f"the layer {name} is compressed with {kind}, which no image may have")
        if not kind and stage.keep(diff_id):  # its own digest, if it is not compressed
            return Descriptor(media_type=LAYER, digest=diff_id, size=stage.blobs[diff_id])
        expected = "" if kind else diff_id
        digest, length = stage.add(read_chunks(fd, offset, size), digest=expected, size=size, subject=source.subject)
        return Descriptor(media_type=_MEDIA[kind], digest=digest, size=length)
    finally:
        os.close(fd)
