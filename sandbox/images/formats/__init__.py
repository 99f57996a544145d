"""What images come from and go to: told apart by content, never by a file's name.

In: an OCI image layout, as a directory or in an archive; what ``docker save`` writes; a root file system, as a
directory or in an archive. Out: the same, but for the directory of a root file system. Archives may be compressed.
"""

from __future__ import annotations

import os

from ...errors import RequestError
from ..names import parse
from ..unpack import LIMIT_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..model import Image
    from ..store import Store

FORMS = ("oci", "oci-dir", "docker", "rootfs")


def import_image(
    store: Store, path: str, name: str | None = None, *, ref: str = "", limit: int = LIMIT_BYTES,
    unpack: str | None = "single",
) -> Image:  # fmt: skip
    """The image at ``path``, under ``name`` and the names that it brings along.

    ``ref``: which one, where there are several. ``limit``: bytes that the archive, or a layer, may become. ``unpack``:
    the ids that its layers are unpacked for at once, None not to. Raises RequestError for what cannot be understood, is
    forged or is too large, with nothing left in the store.
    """
    names = [str(parse(name, "name"))] if name else []
    directory = os.path.isdir(path)
    with store.staging() as stage:
        if not directory:
            from .archive import take_archive

            entry, brought = take_archive(stage, path, ref, limit)
        elif os.path.exists(f"{path}/oci-layout"):
            from .oci import take
            from .source import Layout

            with Layout(path) as source:
                entry, brought = take(stage, source, ref)
        elif os.path.exists(f"{path}/manifest.json"):
            from .docker import take as take_docker
            from .source import Layout

            if os.path.exists(f"{path}/version"):
                why = "it is of the form dir: of skopeo; make it one of the form oci: by skopeo copy"
                raise RequestError("image", path, why)
            with Layout(path) as source:
                entry, brought = take_docker(stage, source, ref)
        else:
            from .rootfs import take_directory

            entry, brought = take_directory(stage, path), []
        return store.publish(stage, entry, list(dict.fromkeys(names or brought)), unpack=unpack, limit=limit)


def export_image(store: Store, ref: str, path: str, form: str = "oci", *, ids: str = "single") -> None:
    """Write an image to ``path``: a file is replaced, ``-`` is stdout, a directory must be empty or not there.

    ``form`` is one of FORMS; ``ids``: for which its layers are unpacked, for ``rootfs``. Raises RequestError.
    """
    from .export import export

    export(store, ref, path, form, ids)
