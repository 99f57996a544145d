"""The store of images: one directory of the user's, an OCI image layout with unpacked layers beside the blobs.

    images/oci-layout, index.json, blobs/sha256/HEX     as the image specification has it; layers as they came
    images/layers/{single,range}/HEX/fs                 a layer unpacked, HEX its diff id; shared, never changed
    images/layers/{single,range}/HEX/unpacked.json      what unpacking had to say
    images/tmp/                                         imports and removals under way (staging.py)
    images/lock, images/unpack.lock                     flock(2): changes of the index; unpacking

Readers take no lock: the index is replaced by rename, blobs and unpacked layers appear whole. Whoever starts a
container writes down its image before it asks for ``lowers``, so that ``remove`` and ``prune`` know that it is in use.

``Store``, ``open`` and ``lowers`` are on the launch path of ``run --image``: everything else is imported where it is
used.
"""

from __future__ import annotations

import os

from ..errors import HostError, RequestError
from . import layout
from .data import check, data_directory
from .layout import Entry, blob_path
from .manifest import MAX_JSON, Bad, parse_config, parse_manifest
from .model import Image, Layer
from .names import is_digest, is_prefix, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import TypeVar

    from .model import LayerBlob
    from .staging import Staging

    T = TypeVar("T")

IDS = ("single", "range")


def needs_fuse(layer: str) -> bool:
    """Has this directory, of ``Store.lowers``, whiteouts that only fuse-overlayfs reads?"""
    return os.path.exists(f"{layer[:-3]}/fuse")


class Store:
    """``directory``: the data directory (default: ``data_directory()``). Raises HostError where it cannot be ours."""

    def __init__(self, directory: str | None = None) -> None:
        if directory is None:
            directory = data_directory()
        else:
            directory = os.path.abspath(directory)
            check(directory)
        self.directory = directory
        self.root = f"{directory}/images"
        if not os.path.exists(f"{self.root}/index.json"):
            check(self.root)
            layout.make(self.root)

    # ---- reading ------------------------------------------------------------------------------------

    def open(self, ref: str) -> Image:
        """The image of a name, an id, the beginning of an id (4 digits or more) or a digest. Raises RequestError."""
        return self._consistent(lambda entries: self._image(self._find(entries, ref)[0], entries))

    def images(self) -> list[Image]:
        """All of them, in the order in which they came."""
        return self._consistent(lambda found: [self._image(e, found) for e in {e.digest: e for e in found}.values()])

    def _consistent(self, read: Callable[[tuple[Entry, ...]], T]) -> T:
        """What ``read`` makes of the index. A blob that is missing has been removed, if the index is another now."""
        entries = layout.read_index(self.root)
        while True:
            try:
                return read(entries)
            except HostError:
                before, entries = entries, layout.read_index(self.root)
                if entries == before:
                    raise

    def notes(self, image: Image) -> tuple[str, ...]:
        """What an import or unpacking left out or changed, for ``inspect``."""
        found = [note for e in layout.read_index(self.root) if e.digest == image.digest for note in e.notes]
        for ids in IDS:
            for layer in image.layers:
                found += self._unpacked(ids, layer.diff_id).get("notes", ())
        return tuple(dict.fromkeys(found))

    def blob_path(self, digest: str) -> str:
        """Where a blob lies. Raises RequestError for what is no digest."""
        if not is_digest(digest):
            raise RequestError("digest", digest, "is not sha256:HEX")
        return blob_path(self.root, digest)

    def config(self, image: Image) -> bytes:
        """The whole config of an image, as it came."""
        return self._read(image.id)

    def manifest(self, image: Image) -> bytes:
        """The manifest, as it came."""
        return self._read(image.digest)

    def lowers(self, image: Image, ids: str = "single", *, fuse: bool = False) -> tuple[str, ...]:
        """The directories of the unpacked layers, topmost first; unpacks what is missing.

        ``fuse``: fuse-overlayfs will read them. On a file system where overlayfs' whiteouts cannot be made a layer
        has those that only that reads.

        Raises RequestError if a layer is not what the image says, HostError where it cannot be unpacked or read.
        """
        found = []
        for layer in reversed(image.layers):
            path = self.layer_path(layer.diff_id, ids)
            if not os.path.exists(path):
                self._unpack(
                    image.names[0] if image.names else image.id, layer, ids, blob_path(self.root, layer.digest)
                )
            found.append(path)
            if not fuse and needs_fuse(path):
                raise HostError(f"the layer {layer.diff_id} removes files of lower ones, which on its file system can "
                                "only be shown by fuse-overlayfs, and that is not used here",
                                "set PYSANDBOX_DATA to a directory on ext4, xfs or btrfs")  # fmt: skip
            # overlayfs does not look at an opaque root of a layer: what it hides is left out
            if os.path.exists(f"{path[:-3]}/opaque"):
                break
        return tuple(dict.fromkeys(found))  # overlayfs refuses a directory that is there twice (ELOOP)

    def layer_path(self, diff_id: str, ids: str = "single") -> str:
        """Where a layer is unpacked, or would be."""
        return f"{self.root}/layers/{ids}/{diff_id[7:]}/fs"

    def _find(self, entries: Sequence[Entry], ref: str) -> tuple[Entry, bool]:
        """The line of the index that is meant, and whether by its name."""
        hexes = ref.removeprefix("sha256:")
        if is_digest(ref):
            for entry in entries:
                if ref in (entry.id, entry.digest):
                    return entry, False
            raise RequestError("image", ref, "no image with that id or digest")
        name = None
        try:
            name = parse(ref)
        except RequestError:
            if not is_prefix(hexes):
                raise
        if name is not None:
            for entry in entries:
                if entry.digest == name.digest if name.digest else entry.name == str(name):
                    return entry, not name.digest
        if is_prefix(hexes):
            ids = {entry.id: entry for entry in entries if entry.id[7:].startswith(hexes)}
            if len(ids) > 1:
                raise RequestError("image", ref, f"{len(ids)} images have an id that begins so; give more digits")
            for entry in ids.values():
                return entry, False
        raise RequestError(
            "image", ref, f"no such image{self._near(entries, str(name or ref))}; see pysandbox image ls"
        )

    @staticmethod
    def _near(entries: Sequence[Entry], name: str) -> str:
        import difflib

        found = difflib.get_close_matches(name, [entry.name for entry in entries if entry.name], 1)
        return f", did you mean {found[0]}?" if found else ""

    def _image(self, entry: Entry, entries: Sequence[Entry]) -> Image:
        names = tuple(e.name for e in entries if e.digest == entry.digest and e.name)
        try:
            manifest = parse_manifest(self._read(entry.digest), entry.media_type)
            value, config, diff_ids = parse_config(self._read(manifest.config.digest))
            if len(diff_ids) != len(manifest.layers):
                raise Bad(f"the config has {len(diff_ids)} diff ids, the manifest {len(manifest.layers)} layers")
        except Bad as error:
            raise RequestError("image", entry.name or entry.digest, str(error)) from None
        layers = tuple(
            Layer(diff_id=diff_id, digest=found.digest, size_bytes=found.size, media_type=found.media_type)
            for diff_id, found in zip(diff_ids, manifest.layers, strict=True)
        )
        return Image(
            id=manifest.config.digest,
            digest=entry.digest,
            names=names,
            config=config,
            layers=layers,
            created=_text(value.get("created")),
            architecture=_text(value.get("architecture")),
            os=_text(value.get("os")) or "linux",
        )

    def _read(self, digest: str) -> bytes:
        try:
            return layout.read_file(blob_path(self.root, digest), MAX_JSON)
        except FileNotFoundError:
            raise HostError(f"the store of images {self.root} is damaged: there is no blob {digest}",
                            "import the image again") from None  # fmt: skip

    def _unpacked(self, ids: str, diff_id: str) -> dict[str, list[str]]:
        import json

        try:
            with open(f"{self.root}/layers/{ids}/{diff_id[7:]}/unpacked.json", encoding="utf-8") as file:
                found = json.load(file)
        except FileNotFoundError:
            return {}
        return found if isinstance(found, dict) else {}

    # ---- changing -----------------------------------------------------------------------------------

    def staging(self) -> Staging:
        """Room for what is on its way in; a context manager."""
        from .staging import Staging

        return Staging(self.root)

    def add(self, config: bytes, layers: Sequence[LayerBlob | Layer], names: Sequence[str] = (),
            *, unpack: str | None = None) -> Image:  # fmt: skip
        """A new image of a config (image-spec, config.md) and layers, bottom first; ``names`` move to it.

        A ``Layer`` is one that the store has; of a ``LayerBlob`` the open file is read (``new_blob`` spares a copy).
        Where the config has no ``rootfs``, it and one line of history a LayerBlob are filled in. Raises RequestError.
        """
        from .compose import compose

        full = [str(parse(name)) for name in names]
        with self.staging() as stage:
            entry = compose(stage, config, layers)
            return self.publish(stage, entry, full, unpack=unpack)

    def new_blob(self) -> int:
        """The fd of a new file without a name, for a layer that ``add`` gets: it is then not copied."""
        from .staging import locked_directory, nameless

        path, lock = locked_directory(f"{self.root}/tmp")
        try:
            return nameless(path)
        finally:
            os.rmdir(path)
            os.close(lock)

    def publish(self, stage: Staging, entry: Entry, names: Sequence[str], *, unpack: str | None = None,
                limit: int | None = None) -> Image:  # fmt: skip
        """Make what is staged an image of the store. ``unpack``: first unpack its layers for these ids; ``limit``:
        bytes that a layer may become."""
        from .change import publish

        return publish(self, stage, entry, names, unpack, limit)

    def tag(self, ref: str, name: str) -> Image:
        """A further name; it moves if another image has it. Raises RequestError."""
        from .change import tag

        return tag(self, ref, str(parse(name, "name")))

    def remove(self, ref: str, *, in_use: Mapping[str, str] | None = None, force: bool = False) -> list[str]:
        """Take a name away, and the image with its last one; an id takes all names. What was done, in words.

        ``in_use``: ids of images that containers have -> the name of one. Such an image is refused; with ``force`` it
        loses its names, and what is left of it goes by a ``prune`` after the container. Raises RequestError.
        """
        from .change import remove

        return remove(self, ref, in_use or {}, force)

    def prune(self, *, in_use: Collection[str] = (), everything: bool = False) -> dict[str, int]:
        """Remove images without a name (``everything``: all that no container has), blobs and layers that no image
        names. How much: images, blobs, layers, bytes."""
        from .change import prune

        return prune(self, in_use, everything)

    def sweep(self) -> None:
        """Remove what a death left in the store; every change does it."""
        from .change import locked

        with locked(self):
            pass

    def _unpack(self, subject: str, layer: Layer, ids: str, blob: str, limit: int | None = None) -> None:
        from .unpacked import unpack

        unpack(self, subject, layer, ids, blob, limit)

    def entries(self) -> Iterator[Entry]:
        """The lines of the index."""
        yield from layout.read_index(self.root)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
