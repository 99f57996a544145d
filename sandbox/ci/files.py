"""What goes into a job's container and comes out of it: copies, artifacts, caches.

Names that a container has made are never resolved on the host: whatever walks its trees runs in a helper sandbox
(images/copying.py), on a mount that the container's own root was asked for.
"""

from __future__ import annotations

import glob
import hashlib
import os

from ..errors import RequestError, SetupError
from ..images.copying import Copied, Root, copy_below
from ..images.helper import give
from . import cachestore
from .artifacts import Staging, check
from .result import ArtifactsResult, CacheResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .machine import Machine
    from .model import Artifacts, Cache

COPY_LIMIT_BYTES = 16 << 30
LIMIT_FILES = 200_000


def copy(
    source: str | int, target: str | int, what: str, value: str, *, patterns: Sequence[str] = (), links: bool,
    limit_bytes: int, ids: str = "single",
) -> Copied:  # fmt: skip
    """From one directory to another, each a path of the host or an fd of a detached mount; without ``links`` to the
    host's. ``what`` and ``value`` are for messages. Raises RequestError if it is too much."""
    try:
        return copy_below(
            Root(directory=source, ids=ids), patterns, Root(directory=target, ids=ids), links=links, private=not links,
            limit_bytes=limit_bytes, limit_files=LIMIT_FILES,
        )  # fmt: skip
    except RequestError as error:
        raise RequestError(what, value, error.why) from None


class Files:
    """``directory``: of the job file; paths of the host are relative to it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def put(self, machine: Machine, source: str, target: str) -> None:
        """Copy a file or directory of the host into the container: the content of a directory, a file by its name."""
        path = os.path.join(self._directory, source)
        if os.path.isdir(path):
            self._into(machine, path, target, "copy", source, ())
        elif os.path.isfile(path):
            pattern = "".join(f"[{c}]" if c in "*?[" else c for c in os.path.basename(path))
            self._into(machine, os.path.dirname(path), target, "copy", source, (pattern,))
        else:
            raise RequestError("copy", source, f"there is no such file or directory in {self._directory}")

    def put_artifacts(self, machine: Machine, directory: str, target: str) -> None:
        """Another job's artifacts, into the workdir."""
        self._into(machine, check(directory), target, "needs", directory, ())

    def _into(self, machine: Machine, path: str, target: str, what: str, value: str, patterns: tuple[str, ...]) -> None:
        machine.make_directory(target)
        with machine.tree(target) as fd:
            copy(path, fd, what, value, patterns=patterns, links=True, limit_bytes=COPY_LIMIT_BYTES, ids=machine.ids)

    def take(self, machine: Machine, artifacts: Artifacts, directory: str, workdir: str) -> ArtifactsResult:
        """Copy what the patterns match to ``directory``, which is new then. Raises RequestError if it is too much."""
        total = Copied(files=0, bytes=0)
        with Staging(directory) as staging:
            give(staging.path, machine.ids)
            for root, patterns in _by_root(artifacts.paths, workdir).items():
                with machine.tree(root) as fd:
                    done = copy(
                        fd,
                        staging.path,
                        "artifacts",
                        ", ".join(patterns)[:100],
                        patterns=patterns,
                        links=False,
                        limit_bytes=max(0, artifacts.limit_bytes - total.bytes),
                        ids=machine.ids,
                    )
                total = Copied(
                    files=total.files + done.files,
                    bytes=total.bytes + done.bytes,
                    skipped=total.skipped + done.skipped,
                    unmatched=total.unmatched + done.unmatched,
                )
            staging.publish()
        return ArtifactsResult(
            directory=directory, files=total.files, bytes=total.bytes, skipped=total.skipped, unmatched=total.unmatched
        )

    def restore(self, machine: Machine, cache: Cache) -> CacheResult:
        """Put what is kept under the cache's key into the container; what it is, is in the result."""
        with cachestore.opened(self.digest(cache, machine.ids)) as entry:
            if entry is None:
                return CacheResult(key=cache.key)
            for at, path in enumerate(cache.paths):
                if entry.has(at):
                    self._into(machine, entry.path(at), machine.absolute(path), "cache", cache.key, ())
            return CacheResult(key=cache.key, restored=True, bytes=entry.bytes)

    def save(self, machine: Machine, cache: Cache, before: CacheResult) -> CacheResult:
        """Keep the cache's paths, unless they were restored: a key stands for one content."""
        if before.restored:
            return before
        total = 0
        with cachestore.Staging(self.digest(cache, machine.ids), cache.key, cache.paths, machine.ids) as staging:
            for at, path in enumerate(cache.paths):
                try:
                    with machine.tree(machine.absolute(path)) as fd:
                        copied = copy(
                            fd,
                            staging.make(at),
                            "cache",
                            cache.key,
                            links=True,
                            limit_bytes=cache.limit_bytes - total,
                            ids=machine.ids,
                        )
                except SetupError:  # there is no such directory
                    continue
                except RequestError as error:
                    return before.replace(detail=f"not saved: {error.why}")
                total += copied.bytes
            staging.publish(total)
        return before.replace(saved=True, bytes=total)

    def digest(self, cache: Cache, ids: str) -> str:
        """Of the key, the paths, and the content of the files that the cache names. Raises RequestError."""
        sha = hashlib.sha256(repr((cache.key, cache.paths, ids)).encode(errors="surrogateescape"))
        for pattern in cache.files:
            found = sorted(glob.glob(pattern, root_dir=self._directory, recursive=True, include_hidden=True))
            if not found:
                raise RequestError("cache", pattern, f"files: nothing matches in {self._directory}")
            for name in found:
                path = os.path.join(self._directory, name)
                if not os.path.isfile(path):
                    continue
                try:
                    with open(path, "rb") as file:
                        content = hashlib.file_digest(file, "sha256").digest()
                except OSError as error:
                    raise RequestError("cache", name, f"cannot be read: {error.strerror}") from None
                sha.update(repr(name).encode(errors="surrogateescape") + content)
        return sha.hexdigest()


def _by_root(paths: tuple[str, ...], workdir: str) -> dict[str, list[str]]:
    """Patterns by the directory that they are relative to: the workdir, or ``/``."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault("/" if path.startswith("/") else workdir, []).append(path)
    return found
