"""What an image is to the rest: plain values, as the OCI image specification has them (image-spec, config.md)."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class ImageConfig(Record):
    """The ``config`` of an image: how a container of it is run. All texts as the image has them, unchecked."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    user: str = ""  # name, number, or either:group
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()  # "80/tcp"
    stop_signal: str = ""
    labels: Mapping[str, str] = {}
    shell: tuple[str, ...] = ()  # Docker's extension
    author: str = ""


class Layer(Record):
    """One layer: ``diff_id`` is the digest of the uncompressed tar, ``digest``, ``size_bytes`` and ``media_type`` of
    the blob in the store (image-spec, descriptor.md)."""

    diff_id: str
    digest: str
    size_bytes: int
    media_type: str


class Image(Record):
    """An image in the store. ``id``: digest of its config; ``digest``: of its manifest; ``layers``: bottom first."""

    id: str
    digest: str
    names: tuple[str, ...]
    config: ImageConfig
    layers: tuple[Layer, ...]
    created: str = ""  # RFC 3339, as it is there
    architecture: str = ""
    os: str = "linux"

    @property
    def size_bytes(self) -> int:
        """Of its blobs, as they are stored."""
        return sum(layer.size_bytes for layer in self.layers)


class LayerBlob(Record):
    """A layer on its way into the store: an open file of the tar as it is to be kept, and the digest of its content
    uncompressed. ``history``: one line for the config's history."""

    fd: int
    media_type: str
    diff_id: str
    history: str = ""
