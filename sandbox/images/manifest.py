"""Manifests, indexes and configs of images: bytes that anybody may have written, checked field by field.

OCI image-spec 1.1 (manifest.md, image-index.md, config.md, descriptor.md) and Docker's image manifest, version 2,
schema 2. What is not understood is refused by its name. Imported on the launch path of ``run --image``.
"""

from __future__ import annotations

from ..errors import RequestError
from ..record import Record
from .model import ImageConfig
from .names import is_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP, LAYER_ZSTD = LAYER + "+gzip", LAYER + "+zstd"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

INDEXES, MANIFESTS, CONFIGS = (INDEX, DOCKER_LIST), (MANIFEST, DOCKER_MANIFEST), (CONFIG, DOCKER_CONFIG)
# Media type of a layer -> how it is compressed.
COMPRESSION = {LAYER: "", LAYER_GZIP: "gzip", LAYER_ZSTD: "zstd", _DOCKER_LAYER: "", _DOCKER_LAYER + ".gzip": "gzip",
               _DOCKER_LAYER + ".zstd": "zstd"}  # fmt: skip

# Registries refuse manifests above 4 MiB (distribution-spec, "Pushing Manifests"); a config is about as large.
MAX_JSON = 4 << 20
# The kernel's overlayfs takes 500 (OVL_MAX_STACK); nobody makes images with more than Docker's 127.
MAX_LAYERS = 400


class Descriptor(Record):
    """What points to a blob. ``platform``: "os/architecture", "" if it is not said."""

    media_type: str
    digest: str
    size: int
    platform: str = ""
    annotations: tuple[tuple[str, str], ...] = ()

    def annotation(self, key: str) -> str:
        """Its value, "" if there is none."""
        return dict(self.annotations).get(key, "")


class Manifest(Record):
    """``config`` and ``layers``, bottom first."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Bad(Exception):
    """What is wrong; the caller knows with which file."""


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """The object in ``data``. Raises Bad."""
    from ..lightjson import loads

    if len(data) > MAX_JSON:
        raise Bad(f"{what} is larger than {MAX_JSON} bytes")
    try:
        value = loads(data.decode())
    except (ValueError, RecursionError):
        raise Bad(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise Bad(f"{what} is not a JSON object")
    return value


def parse_descriptor(value: object, what: str) -> Descriptor:
    """Raises Bad; a digest by another algorithm than sha256 is refused."""
    if not isinstance(value, dict):
        raise Bad(f"{what} is not a descriptor")
    digest, size, media = value.get("digest"), value.get("size"), value.get("mediaType", "")
    if not isinstance(digest, str) or not is_digest(digest):
        raise Bad(f"{what} has no digest sha256:HEX but {digest!r:.100}")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 1 << 62:
        raise Bad(f"{what} has no size but {size!r:.100}")
    if not isinstance(media, str) or len(media) > 255:
        raise Bad(f"{what} has no media type but {media!r:.100}")
    platform, notes = value.get("platform"), value.get("annotations")
    where = ""
    if isinstance(platform, dict):
        where = f"{platform.get('os', '')}/{platform.get('architecture', '')}"[:80]
    kept = notes.items() if isinstance(notes, dict) else ()
    pairs = tuple((k, v) for k, v in kept if isinstance(k, str) and isinstance(v, str))
    return Descriptor(media_type=media, digest=digest, size=size, platform=where, annotations=pairs)


def parse_index(data: bytes, what: str = "index.json") -> tuple[Descriptor, ...]:
    """The manifests that an index lists. Raises Bad."""
    value = parse_json(data, what)
    _refuse_schema_1(value, what)
    found = value.get("manifests")
    if not isinstance(found, list) or len(found) > 10_000:
        raise Bad(f"{what} has no list of manifests")
    return tuple(parse_descriptor(item, f"manifests[{n}] of {what}") for n, item in enumerate(found))


def kind(data: bytes, media_type: str, what: str) -> str:
    """Of an ``index`` or a ``manifest``, by its own media type, else the descriptor's. Raises Bad for anything else."""
    value = parse_json(data, what)
    _refuse_schema_1(value, what)
    said = value.get("mediaType") or media_type
    if said in INDEXES:
        return "index"
    if said in MANIFESTS:
        return "manifest"
    raise Bad(f"{what} has the media type {said!r:.120}, which is neither an image manifest nor an index")


def parse_manifest(data: bytes, media_type: str = "", what: str = "the manifest") -> Manifest:
    """Raises Bad."""
    value = parse_json(data, what)
    _refuse_schema_1(value, what)
    said = value.get("mediaType") or media_type or MANIFEST
    if said not in MANIFESTS:
        raise Bad(f"{what} has the media type {said!r:.120}, not that of an image manifest")
    config = parse_descriptor(value.get("config"), f"config of {what}")
    if config.media_type not in CONFIGS:
        raise Bad(f"{what} describes {config.media_type!r:.120}, which is no image")
    found = value.get("layers")
    if not isinstance(found, list) or len(found) > MAX_LAYERS:
        raise Bad(f"{what} has no list of at most {MAX_LAYERS} layers")
    layers = tuple(parse_descriptor(item, f"layers[{n}] of {what}") for n, item in enumerate(found))
    for n, layer in enumerate(layers):
        if layer.media_type not in COMPRESSION:
            hint = (
                ": its content lies elsewhere" if "foreign" in layer.media_type or "nondist" in layer.media_type else ""
            )
            raise Bad(f"layers[{n}] of {what} has the unsupported media type {layer.media_type!r:.120}{hint}")
    return Manifest(media_type=said, config=config, layers=layers)


def _refuse_schema_1(value: dict[str, Any], what: str) -> None:
    if value.get("schemaVersion") == 1 or "fsLayers" in value:
        raise Bad(
            f"{what} is a Docker manifest of schema 1, which is obsolete; convert it with skopeo copy --format oci"
        )
    if value.get("schemaVersion") != 2:
        raise Bad(f"{what} has the schema version {value.get('schemaVersion')!r:.40}, not 2")


def parse_config(data: bytes) -> tuple[dict[str, Any], ImageConfig, tuple[str, ...]]:
    """(the object, what a container needs of it, the diff ids bottom first). Raises Bad (image-spec, config.md)."""
    value = parse_json(data, "the config")
    rootfs = value.get("rootfs")
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    ids = [] if ids is None else ids
    if not isinstance(ids, list) or not all(isinstance(i, str) and is_digest(i) for i in ids):
        raise Bad("rootfs.diff_ids of the config is not a list of sha256 digests")
    config = value.get("config") or {}
    if not isinstance(config, dict):
        raise Bad("the config's config is not an object")
    return value, ImageConfig(
        entrypoint=_texts(config, "Entrypoint"),
        cmd=_texts(config, "Cmd"),
        env=tuple(_pair(text) for text in _texts(config, "Env")),
        workdir=_text(config, "WorkingDir"),
        user=_text(config, "User"),
        volumes=_keys(config, "Volumes"),
        exposed_ports=_keys(config, "ExposedPorts"),
        stop_signal=_text(config, "StopSignal"),
        labels=_labels(config),
        shell=_texts(config, "Shell"),
        author=_text(value, "author"),
    ), tuple(ids)  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _text(config: dict[str, Any], key: str) -> str:
    value = config.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise Bad(f"{key} of the config is not a text")
    return value


def _texts(config: dict[str, Any], key: str) -> tuple[str, ...]:
    value = config.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise Bad(f"{key} of the config is not a list of texts")
    return tuple(value)


def _keys(config: dict[str, Any], key: str) -> tuple[str, ...]:
    value = config.get(key)
    if value is None:
        return ()
    if not isinstance(value, dict) or any("\0" in name for name in value):
        raise Bad(f"{key} of the config is not an object")
    return tuple(value)


def _labels(config: dict[str, Any]) -> dict[str, str]:
    value = config.get("Labels")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise Bad("Labels of the config is not an object of texts")
    return dict(value)


def dump(value: object) -> bytes:
    """JSON that is the same for the same value."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def to_manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """An OCI image manifest."""
    return dump({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _pointer(config),
        "layers": [_pointer(layer) for layer in layers],
    })  # fmt: skip


def _pointer(descriptor: Descriptor) -> dict[str, Any]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}


def bad(subject: str, error: Bad) -> RequestError:
    """The error for a person: which image, and what is wrong with it."""
    return RequestError("image", subject, str(error))
