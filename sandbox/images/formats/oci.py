"""Taking an image out of an image layout (image-spec, image-layout.md): which one, then every blob with its digest."""

from __future__ import annotations

import os

from ...errors import RequestError
from ..layout import REF_NAME, Entry
from ..manifest import MAX_JSON, Bad, bad, kind, parse_config, parse_index, parse_json, parse_manifest
from ..names import parse
from ..staging import read_chunks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..manifest import Descriptor
    from ..staging import Staging
    from .source import Source

# Nobody nests indexes deeper than in one another once; the specification sets no end.
MAX_DEPTH = 4
# What uname(2) says -> what Go says, which is what platforms are named by (image-index.md).
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm", "riscv64": "riscv64",
                 "ppc64le": "ppc64le", "s390x": "s390x"}  # fmt: skip
# Where Docker and containerd put the whole name; ref.name is then the tag alone.
_FULL_NAME = "io.containerd.image.name"


def this_platform() -> str:
    """As images name it: ``linux/amd64``."""
    machine = os.uname().machine
    return f"linux/{ARCHITECTURES.get(machine, machine)}"


def take(stage: Staging, source: Source, ref: str = "") -> tuple[Entry, list[str]]:
    """Stage an image; (its line for the index, the names that it brings along). Raises RequestError."""
    try:
        version = parse_json(source.small("oci-layout", 4096), "oci-layout").get("imageLayoutVersion")
        if not isinstance(version, str) or not version.startswith("1."):
            raise Bad(f"oci-layout has the version {version!r:.40}, not 1.0.0")
        chosen = _choose(parse_index(source.small("index.json", MAX_JSON)), ref)
        names = _names(chosen)
        manifest, data = _resolve(source, chosen[0], 1)
        return _stage(stage, source, manifest, data), names
    except Bad as error:
        raise bad(source.subject, error) from None


def _choose(found: Sequence[Descriptor], ref: str) -> list[Descriptor]:
    """The lines that point to the image that is meant: several if it has several names."""
    if not found:
        raise Bad("it holds no image")
    if ref:
        wanted = [d for d in found if ref in (d.digest, d.annotation(REF_NAME), d.annotation(_FULL_NAME))]
        if not wanted:
            raise Bad(f"it holds no image {ref!r:.120}; there are {_listed(found)}")
        found = wanted
    digests = list(dict.fromkeys(d.digest for d in found))
    if len(digests) > 1:
        here = [d for d in found if _fits(d.platform)]
        if all(d.platform for d in found) and len({d.digest for d in here}) == 1:
            return here
        if all(d.platform for d in found) and not here:
            raise Bad(f"it has nothing for {this_platform()}, only for {_platforms(found)}")
        raise Bad(f"it holds {len(digests)} images, name one with --ref: {_listed(found)}")
    return [d for d in found if d.digest == digests[0]]


def _listed(found: Sequence[Descriptor]) -> str:
    return ", ".join(dict.fromkeys(d.annotation(_FULL_NAME) or d.annotation(REF_NAME) or d.digest for d in found))[:500]


def _platforms(found: Sequence[Descriptor]) -> str:
    # unknown/unknown are attestations about images, no images
    return ", ".join(sorted({d.platform for d in found} - {"unknown/unknown", ""}))[:500] or "no platform"


def _names(chosen: Sequence[Descriptor]) -> list[str]:
    """Those that are names of images: a bare tag is not one, and nothing obliges the writer to say any."""
    found = []
    for descriptor in chosen:
        for text in (descriptor.annotation(_FULL_NAME), descriptor.annotation(REF_NAME)):
            try:
                if text and (":" in text or "/" in text):
                    found.append(str(parse(text)))
                    break
            except RequestError:
                continue
    return list(dict.fromkeys(found))


def _fits(platform: str) -> bool:
    return platform == this_platform()


def _resolve(source: Source, pointer: Descriptor, depth: int) -> tuple[Descriptor, bytes]:
    """The manifest for this machine, down through indexes."""
    if depth > MAX_DEPTH:
        raise Bad(f"its indexes lie more than {MAX_DEPTH} deep in each other")
    data = read_checked(source, pointer)
    if kind(data, pointer.media_type, pointer.digest) == "manifest":
        return pointer, data
    inner = parse_index(data, pointer.digest)
    here = [d for d in inner if _fits(d.platform)]
    if not here and len(inner) == 1 and not inner[0].platform:
        here = list(inner)
    if not here:
        raise Bad(f"it has nothing for {this_platform()}, only for {_platforms(inner)}")
    return _resolve(source, here[0], depth + 1)


def read_checked(source: Source, pointer: Descriptor) -> bytes:
    """A small blob that has the size and the digest it should have. Raises Bad."""
    import hashlib

    if pointer.size > MAX_JSON:
        raise Bad(f"{pointer.digest} is larger than {MAX_JSON} bytes")
    data = source.small(blob_name(pointer.digest), MAX_JSON)
    if len(data) != pointer.size:
        raise Bad(f"the blob {pointer.digest} has {len(data)} bytes, not {pointer.size}")
    got = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if got != pointer.digest:
        raise Bad(f"the blob {pointer.digest} has the content of {got}")
    return data


def blob_name(digest: str) -> str:
    """Its path in a layout; ``digest`` has been checked to be one."""
    return f"blobs/sha256/{digest[7:]}"


def _stage(stage: Staging, source: Source, pointer: Descriptor, data: bytes) -> Entry:
    manifest = parse_manifest(data, pointer.media_type)
    config = read_checked(source, manifest.config)
    value, _config, diff_ids = parse_config(config)
    if len(diff_ids) != len(manifest.layers):
        raise Bad(f"the config has {len(diff_ids)} diff ids, the manifest {len(manifest.layers)} layers")
    for layer in dict.fromkeys(manifest.layers):
        if stage.keep(layer.digest):
            if stage.blobs[layer.digest] != layer.size:
                raise Bad(f"the blob {layer.digest} has {stage.blobs[layer.digest]} bytes, not {layer.size}")
            continue
        fd, offset, size = source.open(blob_name(layer.digest))
        try:
            if size != layer.size:
                raise Bad(f"the blob {layer.digest} has {size} bytes, not {layer.size}")
            stage.add(read_chunks(fd, offset, size), digest=layer.digest, size=layer.size, subject=source.subject)
        finally:
            os.close(fd)
    stage.add_bytes(config)
    digest, size = stage.add_bytes(data)
    return Entry(
        digest=digest, size=size, media_type=manifest.media_type, id=manifest.config.digest, notes=notes_of(value)
    )


def notes_of(config: dict[str, object]) -> tuple[str, ...]:
    """What there is to say about the machine that an image is for."""
    platform = f"{config.get('os') or 'linux'}/{config.get('architecture') or ''}"[:80]
    if platform.endswith("/") or platform == this_platform():
        return ()
    return (f"it is for {platform}, this machine is {this_platform()}",)
