"""The context of a build: which of its files COPY means, what they are, and a tar of them.

The directory is the caller's own. A link in it is copied as a link; one that a source names itself is followed, but
not out of the context (Dockerfile reference, COPY: sources are "inside the context").
"""

from __future__ import annotations

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

MAX_FILES = 1_000_000
_CHUNK = 1 << 20


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
        for file in (ignore_file, f"{self.directory}/.dockerignore"):
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
        return len(matches) != 1 or os.path.isdir(self._inside(matches[0]))

    def _matches(self, parts: list[str]) -> list[str]:
        paths = [""]
        for part in parts:
            rule = pattern(part) if any(c in part for c in "*?[\\") else None
            names = []
            for path in paths:
                if rule is None:
                    inner = f"{path}/{part}".lstrip("/")
                    names += [inner] if os.path.lexists(f"{self.directory}/{inner}") else []
                elif os.path.isdir(self._inside(path)):
                    names += [f"{path}/{name}".lstrip("/") for name in sorted(os.listdir(self._inside(path)))
                              if rule.fullmatch(name)]  # fmt: skip
            paths = names
        return [path for path in paths if not self.ignored(path)]

    def _inside(self, path: str) -> str:
        """The file itself, links followed within the context."""
        real = os.path.realpath(f"{self.directory}/{path}")
        if real != self.directory and not real.startswith(self.directory.rstrip("/") + "/"):
            raise RequestError("COPY", path, f"it is a link that leads out of the context, to {real}")
        return real

    def _one(self, path: str) -> Iterator[Source]:
        real = self._inside(path)
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
        for source in sources:
            file = f"{self.directory}/{source.path}"
            found = os.lstat(file)
            head = f"{source.name}\0{found.st_mode:o}\0"
            whole.update(head.encode("utf-8", "surrogateescape"))
            if stat.S_ISLNK(found.st_mode):
                whole.update(os.fsencode(os.readlink(file)))
            elif stat.S_ISREG(found.st_mode):
                with _open(file) as content:
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
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar:
            for name, text in inline:
                content = text.encode("utf-8", "surrogateescape")
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(content), 0o644, mtime or 0
                tar.addfile(info, io.BytesIO(content))
            for source in sources:
                path = f"{self.directory}/{source.path}"
                found = os.lstat(path)
                info = tarfile.TarInfo(source.name)
                info.mode = stat.S_IMODE(found.st_mode)
                info.mtime = int(found.st_mtime) if mtime is None else min(mtime, int(found.st_mtime))
                if stat.S_ISDIR(found.st_mode):
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                elif stat.S_ISLNK(found.st_mode):
                    info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
                    tar.addfile(info)
                elif stat.S_ISREG(found.st_mode):
                    with _open(path) as opened:
                        info.size = os.fstat(opened.fileno()).st_size
                        tar.addfile(info, opened)


def _open(path: str) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
