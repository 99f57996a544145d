"""Where the changes of one step go until they are a layer: in the store, whose sweep removes what a death left."""

from __future__ import annotations

import os

from ..images.helper import give
from ..images.model import LayerBlob
from ..images.pack import pack_upper
from ..images.staging import locked_directory
from ..images.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.store import Store


class Workspace:
    """A context manager. ``path`` holds ``upper`` and ``work``; ``empty`` is for an image without layers."""

    def __init__(self, store: Store, ids: str) -> None:
        self._store, self._ids = store, ids
        self.path, self._lock = locked_directory(f"{store.root}/tmp")
        self.empty = f"{self.path}/empty"
        if os.geteuid() == 0:  # the sandbox is somebody else then, who has to come through
            os.chmod(self.path, 0o711)
        for name in ("upper", "work", "empty"):
            os.mkdir(f"{self.path}/{name}", 0o755)
            give(f"{self.path}/{name}", ids)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_exc: object) -> None:
        try:
            remove_tree(self.path, self._lock, self._ids)
        finally:
            os.close(self._lock)

    def layer(
        self, leave_out: Sequence[str], lowers: Sequence[str], timestamp: int | None, history: str
    ) -> tuple[LayerBlob, int]:  # fmt: skip
        """What has been changed, as a new layer whose fd is the caller's to close, and how many files that is."""
        fd = self._store.new_blob()
        try:
            packed = pack_upper(f"{self.path}/upper", fd, ids=self._ids, leave_out=leave_out, lowers=lowers,
                                timestamp=timestamp)  # fmt: skip
        except BaseException:
            os.close(fd)
            raise
        return LayerBlob(fd=fd, media_type=packed.media_type, diff_id=packed.diff_id, history=history), packed.files
