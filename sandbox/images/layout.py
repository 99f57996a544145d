"""The store's directory as an OCI image layout (image-spec, image-layout.md): the index and the blobs.

``index.json`` is replaced by rename, so readers need no lock; whoever changes it holds the store's. A blob's name is
its digest, and nothing outside ever chooses another.
"""

from __future__ import annotations

import os

from ..errors import HostError
from ..record import Record
from .manifest import INDEX, MANIFEST, Bad, Descriptor, parse_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"
# The image's id beside the digest of its manifest: found without opening either.
IMAGE_ID = "org.pysandbox.image.id"
MAX_INDEX = 16 << 20
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Entry(Record):
    """A line of the index. ``name``: a full name, "" for an image that has none (then it is the image's only entry)."""

    digest: str
    size: int
    media_type: str = MANIFEST
    name: str = ""
    id: str = ""
    notes: tuple[str, ...] = ()


NOTES = "org.pysandbox.image.notes"


def make(root: str) -> None:
    """An empty layout, if there is none."""
    for name in ("blobs", "blobs/sha256", "tmp", "layers", "layers/single", "layers/range"):
        try:
            os.mkdir(f"{root}/{name}", 0o700)
        except FileExistsError:
            pass
    for name, data in (("oci-layout", LAYOUT), ("index.json", _dump([]))):
        if not os.path.exists(f"{root}/{name}"):
            try:
                write_new(f"{root}/{name}", data)
            except FileExistsError:
                pass  # another one was faster


def write_new(path: str, data: bytes) -> None:
    """A file that is whole or not there. Raises FileExistsError."""
    part = f"{path}.{os.urandom(6).hex()}"
    _write(part, data)
    try:
        os.link(part, path)
    finally:
        os.unlink(part)


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def read_file(path: str, limit: int) -> bytes:
    """All of a small file. Raises Bad if it is larger, no regular file, or cannot be read; FileNotFoundError."""
    try:
        fd = os.open(path, _FILE)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Bad(f"{os.path.basename(path)} cannot be read: {(error.strerror or '').lower()}") from None
    try:
        found = os.fstat(fd)
        if found.st_mode & 0o170000 != 0o100000:
            raise Bad(f"{os.path.basename(path)} is not a regular file")
        if found.st_size > limit:
            raise Bad(f"{os.path.basename(path)} is larger than {limit} bytes")
        parts, left = [], limit + 1
        while left and (part := os.read(fd, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        if not left:
            raise Bad(f"{os.path.basename(path)} is larger than {limit} bytes")
        return b"".join(parts)
    finally:
        os.close(fd)


def read_index(root: str) -> tuple[Entry, ...]:
    """The images of the store. Raises HostError if the index cannot be understood."""
    try:
        found = parse_index(read_file(f"{root}/index.json", MAX_INDEX))
    except FileNotFoundError:
        return ()
    except Bad as error:
        raise HostError(f"the store of images {root} is damaged: {error}", f"move {root} away") from None
    return tuple(_entry(descriptor) for descriptor in found)


def _entry(found: Descriptor) -> Entry:
    notes = found.annotation(NOTES)
    return Entry(
        digest=found.digest,
        size=found.size,
        media_type=found.media_type,
        name=found.annotation(REF_NAME),
        id=found.annotation(IMAGE_ID),
        notes=tuple(notes.split("\n")) if notes else (),
    )


def write_index(root: str, entries: Sequence[Entry]) -> None:
    """Replace the index; the caller holds the store's lock."""
    # One fixed name: what a kill -9 left is overwritten by the next holder of the lock.
    part = f"{root}/index.json.part"
    try:
        os.unlink(part)
    except FileNotFoundError:
        pass
    _write(part, _dump(entries))
    os.rename(part, f"{root}/index.json")


def _dump(entries: Sequence[Entry]) -> bytes:
    import json

    manifests: list[dict[str, Any]] = []
    for entry in entries:
        said = "\n".join(note.replace("\n", "\\n") for note in entry.notes)
        notes = {REF_NAME: entry.name, IMAGE_ID: entry.id, NOTES: said}
        manifests.append({"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size,
                          "annotations": {k: v for k, v in notes.items() if v}})  # fmt: skip
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, indent=1).encode()


def blob_path(root: str, digest: str) -> str:
    """Where a blob lies or would lie; ``digest`` has been checked to be one."""
    return f"{root}/blobs/sha256/{digest[7:]}"
