"""The context of a build: which of its files COPY means, what they are, and a tar of them.

The directory is the caller's own. A link in it is copied as a link; one that a source names itself is followed, but
not out of the context (Dockerfile reference, COPY: sources are "inside the context"). So are the Dockerfile and
.dockerignore: a checkout is to learn nothing of other files by what the build says, or leaves out.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tarfile

from ..errors import RequestError
from ..record import Record
from .ignore import pattern, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

IGNORE_FILE = ".dockerignore"
MAX_FILES = 1_000_000
_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Source(Record):
    """One file: ``path`` in the context, ``name`` at the destination."""

    path: str
    name: str


class Context:
    """A directory, less what its .dockerignore names."""

    def __init__(self, directory: str, ignore_file: str = "") -> None:
        self.directory = os.path.realpath(directory)
        if not os.path.isdir(self.directory):
            raise RequestError("build", directory, "the context is no directory")
        self.ignored: Callable[[str], bool] = reader("")
        for file in (ignore_file, self.inside(IGNORE_FILE, "build")):
            if file and os.path.isfile(file):
                with open(file, encoding="utf-8", errors="surrogateescape") as text:
                    self.ignored = reader(text.read(1 << 20))
                break

    def sources(self, wanted: str) -> list[Source]:
        """The files one source of COPY means; of a directory its contents. Raises RequestError if it means none."""
        parts = [part for part in wanted.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise RequestError("COPY", wanted, "'..' leads out of the context")
        found: list[Source] = []
        for path in [""] if not parts else self._matches(parts):
            found += self._one(path)
        if not found and parts and not self._matches(parts):
            raise RequestError("COPY", wanted, f"there is no such file in the context {self.directory}")
        return found

    def is_directory(self, wanted: str) -> bool:
        """Does it mean one directory, whose contents are copied, or several things?"""
        parts = [part for part in wanted.split("/") if part not in ("", ".")]
        matches = [""] if not parts else self._matches(parts)
        return len(matches) != 1 or os.path.isdir(self.inside(matches[0]))

    def _matches(self, parts: list[str]) -> list[str]:
        paths = [""]
        for part in parts:
            rule = pattern(part) if any(c in part for c in "*?[\\") else None
            names = []
            for path in paths:
                if rule is None:
                    inner = f"{path}/{part}".lstrip("/")
                    names += [inner] if os.path.lexists(f"{self.directory}/{inner}") else []
                elif os.path.isdir(self.inside(path)):
                    names += [f"{path}/{name}".lstrip("/") for name in sorted(os.listdir(self.inside(path)))
                              if rule.fullmatch(name)]  # fmt: skip
            paths = names
        return [path for path in paths if not self.ignored(path)]

    def inside(self, path: str, field: str = "COPY") -> str:
        """The file itself, links followed within the context. Raises RequestError."""
        real = os.path.realpath(f"{self.directory}/{path}")
        if real != self.directory and not real.startswith(self.directory.rstrip("/") + "/"):
            raise RequestError(field, path, f"it is a link that leads out of the context, to {real}")
        return real

    def _one(self, path: str) -> Iterator[Source]:
        real = self.inside(path)
        if not os.path.isdir(real):
            yield Source(path=os.path.relpath(real, self.directory), name=os.path.basename(path))
            return
        top = os.path.relpath(real, self.directory)
        for folder, folders, files in os.walk(real):
            below = os.path.relpath(folder, real)
            here = "" if below == "." else below
            folders.sort()
            for name in sorted([*folders, *files]):
                inner = f"{here}/{name}".lstrip("/")
                file = inner if top == "." else f"{top}/{inner}"
                if not self.ignored(f"{path}/{inner}".lstrip("/")):
                    yield Source(path=file, name=inner)

    # ---- content ------------------------------------------------------------------------------------

    def digest(self, sources: list[Source], stamp: str = "") -> str:
        """Of names, modes, links and contents, not of times and owners: what COPY makes does not depend on them."""
        whole = hashlib.sha256(stamp.encode("utf-8", "surrogateescape"))
        with _Beneath(self.directory) as beneath:
            for source in sources:
                found = beneath.stat(source.path)
                head = f"{source.name}\0{found.st_mode:o}\0"
                whole.update(head.encode("utf-8", "surrogateescape"))
                if stat.S_ISLNK(found.st_mode):
                    whole.update(os.fsencode(beneath.readlink(source.path)))
                elif stat.S_ISREG(found.st_mode):
                    with beneath.open(source.path) as content:
                        while chunk := content.read(_CHUNK):
                            whole.update(chunk)
                whole.update(b"\0")
        return whole.hexdigest()

    def write_tar(
        self, sources: list[Source], file: BinaryIO, mtime: int | None = None, inline: Sequence[tuple[str, str]] = ()
    ) -> None:  # fmt: skip
        """A tar of them, owned by root; what is neither file, directory nor link is left out. ``mtime``: nothing is
        newer, seconds since the epoch; ``inline``: (name, content) of more files."""
        if len(sources) > MAX_FILES:
            raise RequestError("COPY", f"{len(sources)} files", f"more than {MAX_FILES}")
        with (
            tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar,
            _Beneath(self.directory) as beneath,
        ):
            for name, text in inline:
                content = text.encode("utf-8", "surrogateescape")
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(content), 0o644, mtime or 0
                tar.addfile(info, io.BytesIO(content))
            for source in sources:
                found = beneath.stat(source.path)
                info = tarfile.TarInfo(source.name)
                info.mode = stat.S_IMODE(found.st_mode)
                info.mtime = int(found.st_mtime) if mtime is None else min(mtime, int(found.st_mtime))
                if stat.S_ISDIR(found.st_mode):
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                elif stat.S_ISLNK(found.st_mode):
                    info.type, info.linkname = tarfile.SYMTYPE, beneath.readlink(source.path)
                    tar.addfile(info)
                elif stat.S_ISREG(found.st_mode):
                    with beneath.open(source.path) as opened:
                        info.size = os.fstat(opened.fileno()).st_size
                        tar.addfile(info, opened)


class _Beneath:
    """Files below a directory by fds, no link on the way followed: whoever changes the context meanwhile leads nobody
    out of it. A context manager; its methods raise RequestError."""

    def __init__(self, directory: str) -> None:
        self._top = os.open(directory, _DIRECTORY)
        self._at, self._fd = "", os.dup(self._top)

    def __enter__(self) -> _Beneath:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self._fd)
        os.close(self._top)

    def stat(self, path: str) -> os.stat_result:
        """Of a link its own."""
        with _told(path):
            return os.stat(self._enter(path), dir_fd=self._fd, follow_symlinks=False)

    def readlink(self, path: str) -> str:
        with _told(path):
            return os.readlink(self._enter(path), dir_fd=self._fd)

    def open(self, path: str) -> BinaryIO:
        """A regular file."""
        with _told(path):
            fd = os.open(self._enter(path), _FILE, dir_fd=self._fd)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return os.fdopen(fd, "rb")
        os.close(fd)
        raise RequestError("COPY", path, "is no regular file any more")

    def _enter(self, path: str) -> str:
        """Be in the directory of it, where most of the time we are already; its name there."""
        above, _slash, name = path.rpartition("/")
        if above != self._at:
            fd = os.dup(self._top)
            try:
                for part in above.split("/") if above else ():
                    inner = os.open(part, _DIRECTORY, dir_fd=fd)
                    os.close(fd)
                    fd = inner
            except BaseException:
                os.close(fd)
                raise
            os.close(self._fd)
            self._at, self._fd = above, fd
        return name


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError("COPY", path, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
