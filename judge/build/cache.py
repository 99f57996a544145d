"""What was built, by content: an entry's key is a digest of everything that it was made from.

    DIRECTORY/entries/KEY/meta.json      what it is, and the digest of every file
    DIRECTORY/entries/KEY/files/...
    DIRECTORY/tmp/PID-START-N/           entries that are being made; those of dead processes are removed
    DIRECTORY/versions/KEY               what a compiler says of itself
    DIRECTORY/locks/NN                   so that two do not build the same thing at once

An entry appears by rename(2), whole. It is read again only if it belongs to us, nobody else may write to it and every
file has its digest: a machine that lost power can have an entry with empty files. Entries that somebody uses are
locked (flock(2), which the kernel gives up with the process) and are not thrown away when the cache is full.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import HostError

DEFAULT_BYTES = 2 << 30

_numbers = itertools.count()


@dataclass(frozen=True)
class Entry:
    """files: the directory to show; meta: what its maker said."""

    files: Path
    meta: dict[str, Any]


class Cache:
    """Safe for any number of threads and processes. Close it when its programs are no longer run.

    ``limit_bytes``: those used longest ago are thrown away beyond it. Raises HostError if the directory cannot be made
    or somebody else may write to it.
    """

    def __init__(self, directory: Path | None = None, limit_bytes: int = DEFAULT_BYTES) -> None:
        self.directory = directory or _default()
        self._limit = limit_bytes
        self._held: dict[str, int] = {}
        self._seen: set[str] = set()
        self._put = 0
        for name in ("", "entries", "tmp", "versions", "locks"):
            _own(self.directory / name)
        self._sweep()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the entries that were given out: another process may throw them away now."""
        while self._held:
            os.close(self._held.popitem()[1])
        self._seen.clear()

    @property
    def versions(self) -> MutableMapping[str, str]:
        """Small texts by key, for ``language.probe``."""
        return _Versions(self.directory / "versions", self.scratch)

    @contextmanager
    def building(self, key: str) -> Iterator[None]:
        """Wait until nobody else builds this; locks are shared by keys, so do not nest."""
        fd = os.open(self.directory / "locks" / key[:2], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory on the cache's file system, removed at the end or, after a kill -9, by the next process."""
        path = self.directory / "tmp" / f"{os.getpid()}-{_started(os.getpid())}-{next(_numbers)}"
        path.mkdir(mode=0o755)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def get(self, key: str) -> Entry | None:
        """The entry, held until ``close``. One that is not as it was made is thrown away."""
        path = self._path(key)
        if not self._hold(key, path):
            return None
        try:
            meta = json.loads((path / "meta.json").read_bytes())
            whole = key in self._seen or _is_whole(path, meta)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            self._let_go(key)
            self._throw_away(path)
            return None
        self._seen.add(key)
        os.utime(path)
        return Entry(path / "files", meta["meta"])

    def put(self, key: str, files: Path, meta: dict[str, Any]) -> Entry:
        """Make an entry of a directory inside ``scratch()``, which is moved. If another was quicker, that one."""
        inventory = _inventory(files)
        with self.scratch() as made:
            files.rename(made / "files")
            data = {"meta": meta, "files": inventory, "bytes": sum(entry[0] for entry in inventory.values())}
            (made / "meta.json").write_text(json.dumps(data))
            found = self._place(key, made)
        self._put += 1
        if self._put % 16 == 1:
            self._shrink()
        return found

    # ---- inside ----

    def _place(self, key: str, made: Path) -> Entry:
        """Held before it is there, so that nobody throws it away in between."""
        fd = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            for _attempt in range(10):
                try:
                    made.rename(self._path(key))
                    break
                except OSError as error:
                    if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                        raise
                found = self.get(key)
                if found is not None:
                    return found
            else:
                raise HostError(f"the judge cannot put {key} into its cache {self.directory}", "remove that directory")
            self._let_go(key)
            self._held[key] = os.dup(fd)
            self._seen.add(key)
        finally:
            os.close(fd)
        meta = json.loads((self._path(key) / "meta.json").read_bytes())
        return Entry(self._path(key) / "files", meta["meta"])

    def _path(self, key: str) -> Path:
        return self.directory / "entries" / key

    def _hold(self, key: str, path: Path) -> bool:
        """Share the entry's lock. Whoever throws it away holds it alone, and has moved it when we get it."""
        if key in self._held:
            return True
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        fcntl.flock(fd, fcntl.LOCK_SH)
        try:
            same = os.path.samestat(os.fstat(fd), os.lstat(path))
        except OSError:
            same = False
        if not same:
            os.close(fd)
            return False
        other = self._held.setdefault(key, fd)  # two threads at once
        if other != fd:
            os.close(fd)
        return True

    def _let_go(self, key: str) -> None:
        fd = self._held.pop(key, None)
        if fd is not None:
            os.close(fd)

    def _throw_away(self, path: Path) -> bool:
        """Unless somebody uses it."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(fd), os.lstat(path)):
                return False
            with self.scratch() as grave:
                path.rename(grave / "entry")
            return True
        except OSError:
            return False  # in use, or another process was quicker
        finally:
            os.close(fd)

    def _shrink(self) -> None:
        found = []
        for path in (self.directory / "entries").iterdir():
            try:
                found.append((path.stat().st_mtime_ns, json.loads((path / "meta.json").read_bytes())["bytes"], path))
            except (OSError, ValueError, KeyError, TypeError):
                found.append((0, 0, path))
        total = sum(size for _used, size, _path in found)
        for _used, size, path in sorted(found):
            if total <= self._limit:
                return
            if path.name not in self._held and self._throw_away(path):
                total -= size

    def _sweep(self) -> None:
        for path in (self.directory / "tmp").iterdir():
            pid, _, rest = path.name.partition("-")
            if not pid.isdigit() or _started(int(pid)) != rest.partition("-")[0]:
                shutil.rmtree(path, ignore_errors=True)


class _Versions(MutableMapping[str, str]):
    def __init__(self, directory: Path, scratch: Any) -> None:
        self._directory, self._scratch = directory, scratch

    def __getitem__(self, key: str) -> str:
        try:
            text = (self._directory / key).read_text()
        except OSError:
            raise KeyError(key) from None
        if not text.endswith("\n"):  # cut by a loss of power
            raise KeyError(key)
        return text[:-1]

    def __setitem__(self, key: str, value: str) -> None:
        with self._scratch() as made:
            (made / "version").write_text(value + "\n")
            (made / "version").rename(self._directory / key)

    def __delitem__(self, key: str) -> None:
        (self._directory / key).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        return iter(os.listdir(self._directory))

    def __len__(self) -> int:
        return len(os.listdir(self._directory))


def _default() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # XDG Base Directory Specification: a relative path is to be ignored.
    return Path(base if base.startswith("/") else Path.home() / ".cache") / "pysandbox" / "judge"


def _own(path: Path) -> None:
    fix = "set XDG_CACHE_HOME to a directory of your own"
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise HostError(f"the judge cannot make its cache {path}: {error.strerror}", fix) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise HostError(f"somebody else may write to the judge's cache {path}", fix)


def _started(pid: int) -> str:
    """Start time of a process in clock ticks after boot (proc(5)), "" if there is none: with the pid, who it is."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _inventory(files: Path) -> dict[str, list[Any]]:
    """Relative path -> size, mode, digest; directories are not listed."""
    found: dict[str, list[Any]] = {}
    for directory, _names, names in os.walk(files):
        for name in names:
            path = Path(directory, name)
            info = path.lstat()
            if not stat.S_ISREG(info.st_mode):
                raise HostError(f"{path} is no regular file", "report this")
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(files))] = [info.st_size, stat.S_IMODE(info.st_mode), digest]
    return found


def _is_whole(path: Path, meta: dict[str, Any]) -> bool:
    for directory in (path, path / "files"):
        info = directory.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022:
            return False
    try:
        return bool(_inventory(path / "files") == meta["files"])
    except HostError:
        return False
