"""Images out of the store: an image layout (archive or directory), what ``docker load`` takes, or the tree as one tar.

Archives are the same bytes for the same image: members sorted, without times and owners. A file appears whole, by
rename; a directory is written in place, and its ``oci-layout``, without which it is none, comes last.
"""

from __future__ import annotations

import io
import os
import tarfile

from ...errors import RequestError
from ..layout import LAYOUT, REF_NAME
from ..manifest import INDEX, Bad, bad, dump, parse_manifest
from ..staging import read_chunks, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from ..manifest import Manifest
    from ..model import Image
    from ..staging import Staging
    from ..store import Store


def export(store: Store, ref: str, path: str, form: str, ids: str = "single") -> None:
    """``path``: a file that is replaced, ``-`` for stdout; for ``oci-dir`` a directory that is not there or empty.

    Raises RequestError.
    """
    image = store.open(ref)
    name = _name(image, ref)
    if form == "oci-dir":
        _directory(store, image, name, path)
        return
    writers: dict[str, Callable[[Staging, int], None]] = {
        "oci": lambda stage, fd: _archive(fd, lambda tar: _layout(store, image, name, tar)),
        "docker": lambda stage, fd: _archive(fd, lambda tar: _docker(store, image, stage, tar)),
        "rootfs": lambda stage, fd: _tree(store, image, fd, ids),
    }
    if form not in writers:
        raise RequestError("--format", form, "use one of oci, oci-dir, docker, rootfs")
    with store.staging() as stage:
        _written(path, lambda fd: writers[form](stage, fd))


def _name(image: Image, ref: str) -> str:
    """The name that goes along: the one that was asked for, else the first."""
    from ..names import parse

    try:
        asked = str(parse(ref))
    except RequestError:
        asked = ""
    return asked if asked in image.names else next(iter(image.names), "")


def _written(path: str, write: Callable[[int], None]) -> None:
    if path == "-":
        if os.isatty(1):
            raise RequestError("--out", path, "an archive is not for a terminal; name a file, or pipe it on")
        write(1)
        return
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            if os.path.isdir(path):
                raise RequestError("--out", path, "it is a directory; name a file, or use --format oci-dir")
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)  # a pipe, say
            try:
                write(fd)
            finally:
                os.close(fd)
            return
        _replaced(path, write)
    except OSError as error:
        raise RequestError("--out", path, f"cannot be written: {(error.strerror or str(error)).lower()}") from None


def _replaced(path: str, write: Callable[[int], None]) -> None:
    """A file without a name until it is whole: whoever dies before leaves nothing."""
    above, name = os.path.split(os.path.realpath(path))
    directory = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fd = -1
    try:
        part = f".{name[:200]}.{os.urandom(6).hex()}"
        try:
            fd = os.open(above, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
            write(fd)
            os.link(f"/proc/self/fd/{fd}", part, dst_dir_fd=directory, follow_symlinks=True)
        except OSError as error:
            import errno

            if fd >= 0 or error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
                raise
            # open(2): some file systems (NFS, FUSE) know no O_TMPFILE
            fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=directory)
            try:
                write(fd)
            except BaseException:
                os.unlink(part, dir_fd=directory)
                raise
        os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        if fd >= 0:
            os.close(fd)
        os.close(directory)


def _archive(fd: int, fill: Callable[[_Tar], None]) -> None:
    # closefd: the file is not ours to close; a pipe cannot seek, and nothing here does
    with open(fd, "wb", closefd=False) as file:
        tar = _Tar(file)
        fill(tar)
        tar.close()


class _Tar:
    """Regular files, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)

    def data(self, name: str, data: bytes) -> None:
        self._tar.addfile(self._info(name, len(data)), io.BytesIO(data))

    def file(self, name: str, fd: int) -> None:
        with open(os.dup(fd), "rb") as file:
            file.seek(0)
            self._tar.addfile(self._info(name, os.fstat(fd).st_size), file)

    def directory(self, name: str) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        self._tar.addfile(info)

    def close(self) -> None:
        self._tar.close()

    @staticmethod
    def _info(name: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        return info


def _parsed(store: Store, image: Image) -> tuple[Manifest, bytes]:
    data = store.manifest(image)
    try:
        return parse_manifest(data), data
    except Bad as error:
        raise bad(image.digest, error) from None


def _blobs(store: Store, image: Image) -> list[str]:
    manifest, _data = _parsed(store, image)
    return sorted({image.digest, *(d.digest for d in (manifest.config, *manifest.layers))})


def _index(store: Store, image: Image, name: str) -> bytes:
    manifest, data = _parsed(store, image)
    line = {"mediaType": manifest.media_type, "digest": image.digest, "size": len(data)}
    if name:
        line["annotations"] = {REF_NAME: name}
    return dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [line]})


def _layout(store: Store, image: Image, name: str, tar: _Tar) -> None:
    tar.directory("blobs")
    tar.directory("blobs/sha256")
    for digest in _blobs(store, image):
        fd = os.open(store.blob_path(digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            tar.file(f"blobs/sha256/{digest[7:]}", fd)
        finally:
            os.close(fd)
    tar.data("index.json", _index(store, image, name))
    tar.data("oci-layout", LAYOUT)


def _directory(store: Store, image: Image, name: str, path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
        if os.listdir(path):
            raise RequestError("--out", path, "the directory is not empty")
        os.makedirs(f"{path}/blobs/sha256")
        for digest in _blobs(store, image):
            with open(store.blob_path(digest), "rb") as source, open(f"{path}/blobs/sha256/{digest[7:]}", "xb") as out:
                for chunk in read_chunks(source.fileno()):
                    write_all(out.fileno(), chunk)
        for file, data in (("index.json", _index(store, image, name)), ("oci-layout", LAYOUT)):
            with open(f"{path}/{file}", "xb") as out:
                out.write(data)
    except OSError as error:
        raise RequestError("--out", path, f"cannot be written: {(error.strerror or str(error)).lower()}") from None


def _docker(store: Store, image: Image, stage: Staging, tar: _Tar) -> None:
    """Layers as plain tar, which all that load such archives take; each once, named by its diff id."""
    files, done = [], set()
    for layer in image.layers:
        name = f"{layer.diff_id[7:]}.tar"
        files.append(name)
        if name in done:
            continue
        done.add(name)
        fd = os.open(store.blob_path(layer.digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            plain = _plain(stage, fd, layer.diff_id)
        finally:
            os.close(fd)
        try:
            tar.file(name, plain)
        finally:
            os.close(plain)
    config = f"{image.id[7:]}.json"
    tar.data(config, store.config(image))
    tar.data("manifest.json", dump([{"Config": config, "RepoTags": list(image.names), "Layers": files}]))


def _plain(stage: Staging, fd: int, diff_id: str) -> int:
    """An fd of the content of a layer, which is checked to be what its image names."""
    import hashlib

    from ..compressed import compression, decompress

    kind = compression(fd)
    if not kind:
        return os.dup(fd)
    found = hashlib.sha256()
    out = stage.anonymous()
    try:
        decompress(fd, kind, out, subject=f"layer {diff_id}", see=found.update)
        if f"sha256:{found.hexdigest()}" != diff_id:
            raise RequestError("image", diff_id, f"the layer has the content of {found.hexdigest()}")
    except BaseException:
        os.close(out)
        raise
    return out


def _tree(store: Store, image: Image, fd: int, ids: str) -> None:
    """All layers as one tree, as a container sees it: read and written in a sandbox."""
    from ...request import Overlay
    from ..compressed import pieces
    from ..helper import report_of, start_inside
    from ..unpack import LIMIT_BYTES

    lowers = store.lowers(image, ids)
    if not lowers:
        raise RequestError("image", image.id, "it has no layers")
    overlay = Overlay(target="/upper", layers=lowers)
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            words = [ids, str(LIMIT_BYTES), "-", "kernel"]
            running = start_inside("pack", words, stdout=write, ids=ids, overlays=(overlay,))
        finally:
            os.close(write)
        with running:
            for piece in pieces(read, running.supervision):
                write_all(fd, piece)
            report_of(running.wait(), "image", image.id)
    finally:
        os.close(read)
