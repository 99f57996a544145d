"""Changes of the store, each under its lock: publish, tag, remove, prune; and the sweep after a death."""

from __future__ import annotations

import contextlib
import fcntl
import os

from ..errors import HostError, RequestError
from . import layout
from .layout import Entry
from .manifest import Bad, parse_config, parse_manifest
from .model import Image, Layer
from .staging import dead, in_use, locked_directory
from .trees import remove_tree, size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from .staging import Staging
    from .store import Store


@contextlib.contextmanager
def locked(store: Store) -> Iterator[None]:
    """Only one changes the store. What a death left is removed first, and what was put aside is removed after."""
    try:
        fd = os.open(f"{store.root}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HostError(f"the store of images {store.root} cannot be changed: {(error.strerror or '').lower()}",
                        "set PYSANDBOX_DATA to a directory that this user may write to") from error  # fmt: skip
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        left = False
        for path, held in dead(f"{store.root}/tmp"):
            left = True
            with contextlib.suppress(OSError):
                remove_tree(path, held, "range")
        if left:
            # It may have died between its blobs and the index.
            _collect(store, layout.read_index(store.root), None)
        yield
    finally:
        os.close(fd)


def publish(
    store: Store, stage: Staging, entry: Entry, names: Sequence[str], unpack: str | None, limit: int | None
) -> Image:  # fmt: skip
    """Blobs, then the index. Raises RequestError where a layer cannot be unpacked; the store is as it was then."""
    if unpack:
        subject = names[0] if names else entry.digest
        for layer in _staged_layers(stage, entry):
            stage.use_layer(layer.diff_id)
            if not os.path.exists(store.layer_path(layer.diff_id, unpack)):
                store._unpack(subject, layer, unpack, stage.blob(layer.digest), limit)
    with locked(store):
        stage.publish()
        _name(store, entry, names)
        return store.open(entry.digest)


def _staged_layers(stage: Staging, entry: Entry) -> list[Layer]:
    with open(stage.blob(entry.digest), "rb") as file:
        manifest = parse_manifest(file.read(), entry.media_type)
    with open(stage.blob(manifest.config.digest), "rb") as file:
        diff_ids = parse_config(file.read())[2]
    return [
        Layer(diff_id=diff_id, digest=found.digest, size_bytes=found.size, media_type=found.media_type)
        for diff_id, found in zip(diff_ids, manifest.layers, strict=True)
    ]


def _name(store: Store, entry: Entry, names: Sequence[str]) -> None:
    """Put an image into the index under names, which others lose; nameless only if it has no name at all."""
    old = layout.read_index(store.root)
    kept: list[Entry] = []
    for line in old:
        if line.name and line.name in names:
            if line.digest != entry.digest:
                kept.append(line.replace(name=""))
            continue
        kept.append(line)
    mine = [line for line in kept if line.digest == entry.digest]
    if names or not mine:
        kept += [entry.replace(name=name) for name in names or ("",)]
    layout.write_index(store.root, _tidy(kept))


def _tidy(entries: Sequence[Entry]) -> list[Entry]:
    """Each line once, and no line without a name for an image that has one."""
    named = {entry.digest for entry in entries if entry.name}
    lines = {(e.digest, e.name): e for e in entries if e.name or e.digest not in named}
    return list(lines.values())


def tag(store: Store, ref: str, name: str) -> Image:
    """Raises RequestError."""
    with locked(store):
        entry, _named_so = store._find(layout.read_index(store.root), ref)
        _name(store, entry, (name,))
        return store.open(name)


def remove(store: Store, ref: str, used: Mapping[str, str], force: bool) -> list[str]:
    """Raises RequestError."""
    done: list[str] = []
    with _discarding(store) as trash, locked(store):
        entries = layout.read_index(store.root)
        entry, by_name = store._find(entries, ref)
        # An id can stand for two manifests: of the same image with layers compressed differently.
        same = {entry.digest} if by_name else {line.digest for line in entries if line.id == entry.id}
        names = [line.name for line in entries if line.digest in same and line.name]
        gone = [entry.name] if by_name else names
        if set(gone) == set(names):  # its last name: the image goes
            kept = [line for line in entries if line.digest not in same]
            if entry.id in used and all(line.id != entry.id for line in kept):
                holder = used[entry.id]
                if not force:
                    why = f"the container {holder} has it; remove that first, or use --force"
                    raise RequestError("image", ref, why)
                kept.append(entry.replace(name=""))
                done.append(f"kept without a name, the container {holder} has it: {entry.id}")
        else:
            kept = [line for line in entries if line.name not in gone]
        layout.write_index(store.root, _tidy(kept))
        done += [f"untagged: {name}" for name in gone]
        if all(line.digest != entry.digest for line in kept):
            done.append(f"removed: {entry.id}")
            _collect(store, kept, trash)
    return done


def prune(store: Store, used: Collection[str], everything: bool) -> dict[str, int]:
    """Counts of images, blobs and layers, and the bytes of both."""
    with _discarding(store) as trash, locked(store):
        entries = layout.read_index(store.root)
        kept = [e for e in entries if e.id in used or (e.name and not everything)]
        gone = len({e.digest for e in entries} - {e.digest for e in kept})
        if gone:
            layout.write_index(store.root, kept)
        found = _collect(store, kept, trash)
    return {"images": gone, **found}


@contextlib.contextmanager
def _discarding(store: Store) -> Iterator[str]:
    """A directory to move things to; they are removed when the lock has been given back."""
    path, fd = locked_directory(f"{store.root}/tmp")
    try:
        yield path
    finally:
        remove_tree(path, fd, "range")
        os.close(fd)


def _collect(store: Store, entries: Sequence[Entry], trash: str | None) -> dict[str, int]:
    """Remove blobs and unpacked layers that no image names and no import needs; the caller holds the lock."""
    blobs, layers = _named(store, entries)
    layers |= in_use(store.root)
    count = {"blobs": 0, "layers": 0, "bytes": 0}
    for name in os.listdir(f"{store.root}/blobs/sha256"):
        if name not in blobs:
            path = f"{store.root}/blobs/sha256/{name}"
            count["bytes"] += os.lstat(path).st_blocks * 512
            os.unlink(path)
            count["blobs"] += 1
    unwanted = [(ids, name) for ids in ("single", "range")
                for name in os.listdir(f"{store.root}/layers/{ids}") if name not in layers]  # fmt: skip
    if unwanted and trash is None:
        with _discarding(store) as made:
            _put_away(store, unwanted, made, count)
    elif trash is not None:
        _put_away(store, unwanted, trash, count)
    return count


def _put_away(store: Store, layers: Sequence[tuple[str, str]], trash: str, count: dict[str, int]) -> None:
    for ids, name in layers:
        path = f"{store.root}/layers/{ids}/{name}"
        count["bytes"] += size_of(path)
        os.rename(path, f"{trash}/{ids}-{name}")
        count["layers"] += 1


def _named(store: Store, entries: Sequence[Entry]) -> tuple[set[str], set[str]]:
    """HEX of the blobs and of the layers that images name."""
    blobs: set[str] = set()
    layers: set[str] = set()
    for digest in {entry.digest for entry in entries}:
        blobs.add(digest[7:])
        try:
            manifest = parse_manifest(store._read(digest))
            blobs |= {d.digest[7:] for d in (manifest.config, *manifest.layers)}
            layers |= {diff_id[7:] for diff_id in parse_config(store._read(manifest.config.digest))[2]}
        except Bad as error:
            raise RequestError("image", digest, f"{error}; nothing is removed") from None
    return blobs, layers
