"""Where caches are kept: ``DATA/ci/cache/DIGEST/{cache.json,0,1,…}``, a directory for each path of the cache.

What is in them was written by jobs: it is looked at by helper sandboxes alone. Entries appear whole, by rename. Readers
hold a shared flock(2) of an entry's ``cache.json``, and who removes an entry an exclusive one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time

from ..errors import HostError
from ..images.data import check, data_directory
from ..images.helper import give, remove_tree
from ..locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW = ".new-"  # of directories that are no cache yet, or no more
TOTAL_BYTES = 10 << 30  # of all caches; the one that was not used for longest goes first


def directory() -> str:
    """Of all caches, made if it was not there. Raises HostError."""
    path = f"{data_directory()}/ci/cache"
    for part in (os.path.dirname(path), path):
        check(part)
    return path


def _alone(base: str) -> Lock:
    """Nobody else makes or removes a cache meanwhile."""
    return Lock(f"{base}/.lock")


class Entry:
    """A cache that is there, and stays while this is open."""

    def __init__(self, path: str, words: dict[str, object]) -> None:
        self._path = path
        self.key = str(words.get("key", ""))
        size = words.get("bytes")
        self.bytes = size if isinstance(size, int) else 0

    def path(self, at: int) -> str:
        """Of the content of the cache's path number ``at``."""
        return f"{self._path}/{at}"

    def has(self, at: int) -> bool:
        """Was there such a directory when it was saved?"""
        return os.path.isdir(self.path(at))


@contextlib.contextmanager
def opened(digest: str) -> Iterator[Entry | None]:
    """The cache of this digest, None if there is none."""
    path = f"{directory()}/{digest}"
    try:
        fd = os.open(f"{path}/cache.json", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        # Removed while we waited for it?
        if not os.path.exists(f"{path}/cache.json"):
            yield None
            return
        os.utime(fd)
        words = json.loads(os.pread(fd, 1 << 20, 0))
        yield Entry(path, words if isinstance(words, dict) else {})
    finally:
        os.close(fd)


class Staging:
    """A cache that is being made; without ``publish`` nothing is left of it."""

    def __init__(self, digest: str, key: str, paths: tuple[str, ...], ids: str) -> None:
        self._digest, self._key, self._paths, self._ids = digest, key, paths, ids

    def __enter__(self) -> Staging:
        self._base = directory()
        self._path = f"{self._base}/{_NEW}{os.getpid()}-{time.monotonic_ns()}"
        with _alone(self._base):
            os.mkdir(self._path, 0o700)
            # Held as long as we live: what is left of a process that was killed is recognised by it.
            self._lock = os.open(f"{self._path}/cache.json", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def make(self, at: int) -> str:
        """The directory for the path number ``at``."""
        path = f"{self._path}/{at}"
        os.mkdir(path, 0o700)
        give(path, self._ids)
        return path

    def publish(self, size_bytes: int) -> None:
        """Let it be found; if somebody was faster, theirs stays."""
        words = {"key": self._key, "paths": self._paths, "bytes": size_bytes, "saved_ns": time.time_ns()}
        os.write(self._lock, json.dumps(words).encode())
        with contextlib.suppress(OSError):
            os.rename(self._path, f"{self._base}/{self._digest}")
            self._path = ""

    def __exit__(self, *_exc: object) -> None:
        os.close(self._lock)
        if self._path:
            with _alone(self._base):
                if os.path.exists(self._path):  # a prune takes what nobody holds
                    remove(self._path)
        prune(TOTAL_BYTES)


def prune(keep_bytes: int) -> list[str]:
    """Remove caches, those that were not used for longest first, until no more than ``keep_bytes`` are left.

    Returns the keys of what was removed; what is in use stays. What a killed process left behind goes too.
    """
    base = directory()
    with _alone(base):
        return _prune(base, keep_bytes)


def _prune(base: str, keep_bytes: int) -> list[str]:
    found, removed = [], []
    for name in os.listdir(base):
        try:
            fd = os.open(f"{base}/{name}/cache.json", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except NotADirectoryError:
            continue
        except FileNotFoundError:
            if name.startswith(_NEW):  # its maker, or who removed it, was killed
                remove(f"{base}/{name}")
            continue
        try:
            words = json.loads(os.pread(fd, 1 << 20, 0) or b"{}")
            found.append((not name.startswith(_NEW), os.fstat(fd).st_mtime_ns, Entry(f"{base}/{name}", words), name))
        finally:
            os.close(fd)
    total = 0
    for whole, _age, entry, name in sorted(found, key=lambda one: one[:2], reverse=True):
        total += entry.bytes
        if (not whole or total > keep_bytes) and _remove_unused(f"{base}/{name}"):
            removed.append(entry.key)
    return removed


def entries() -> list[tuple[str, int, int]]:
    """(key, bytes, when it was last used in nanoseconds since the epoch) of each cache, the latest first."""
    base, found = directory(), []
    for name in os.listdir(base):
        if name.startswith("."):
            continue
        with contextlib.suppress(OSError, ValueError):
            with open(f"{base}/{name}/cache.json", "rb") as file:
                entry = Entry(f"{base}/{name}", json.load(file))
                found.append((entry.key, entry.bytes, os.fstat(file.fileno()).st_mtime_ns))
    return sorted(found, key=lambda one: one[2], reverse=True)


def _remove_unused(path: str) -> bool:
    try:
        fd = os.open(f"{path}/cache.json", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # With one step it is none any more: half a cache could never be saved anew.
        gone = f"{os.path.dirname(path)}/{_NEW}gone-{os.urandom(8).hex()}"
        os.rename(path, gone)
        remove(gone)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)


def remove(path: str) -> None:
    """A directory of ours with whatever jobs have put into it. Raises HostError."""
    remove_tree(path)
    try:
        os.rmdir(path)
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {(error.strerror or '').lower()}", "remove it by hand") from None
