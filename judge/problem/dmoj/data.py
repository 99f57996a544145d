"""The files that init.yml names: in the directory, else in its archive."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ArchiveError
from ..archive import unpack
from ..tree import Tree
from .config import Scope

if TYPE_CHECKING:
    from ..faults import Faults

_CHUNK = 1 << 20


class Data:
    """``into``: for what is unpacked and for copies; None: there is no such place."""

    def __init__(self, root: Path, tree: Tree, faults: Faults, into: Path | None) -> None:
        self.root = root
        self._faults, self._into = faults, into
        self._files = {entry.relative: entry.path for entry in tree.files("")}
        self._archive: dict[str, Path] | None = None
        self._told = self._broken = False
        self._copies: Path | None = None
        self._normal: dict[Path, Path | None] = {}
        self._empty: Path | None = None

    def open_archive(self, top: Scope) -> None:
        """Unpacks what ``archive`` names."""
        name = top.text("archive")
        if not name:
            return
        path = self.file(name, top, "archive")
        if path is None:
            self._broken = True
            return
        if self._into is None:
            self._broken = True
            self._need_into(top, "archive", "an archive must be unpacked somewhere")
            return
        try:
            unpacked = unpack(path, self._into, strip=False)
        except ArchiveError as error:
            self._broken = True
            top.wrong("archive", f"{name}: {error.why}")
            return
        self._archive = {entry.relative: entry.path for entry in Tree(unpacked, self._faults).files("")}

    def archive_names(self) -> list[str] | None:
        """What is in the archive; None without one."""
        return None if self._archive is None else list(self._archive)

    @property
    def archive_is_broken(self) -> bool:
        """A fault of the archive itself is enough: nothing in it need be missed."""
        return self._broken

    def file(self, name: str, scope: Scope, key: str) -> Path | None:
        """A regular file of the package without links; None after a fault at ``key``."""
        place = posixpath.normpath(name)
        if place.startswith(("/", "../")) or place in (".", ".."):
            scope.wrong(key, f"{_cut(name)!r} leads out of the package")
            return None
        path = self._files.get(place) or (self._archive or {}).get(place)
        if path is None and not self._broken:
            there = " and not in its archive" if self._archive is not None else ""
            scope.wrong(key, f"{_cut(name)!r} is not in the package{there}")
        return path

    def beside(self, name: str, near: str) -> Path | None:
        """``name`` in the directory of the package's file ``near``."""
        return self._files.get(posixpath.normpath(posixpath.join(posixpath.dirname(near), name)))

    def test_file(self, name: str, scope: Scope, key: str) -> Path | None:
        """Input or answer, with \\n as its line ends and one at its end unless the data is binary (dmoj/problem.py,
        TestCase._normalize)."""
        path = self.file(name, scope, key)
        if path is None or scope.boolean("binary_data", False):
            return path
        if path not in self._normal:
            self._normal[path] = self._normalized(path, scope, key)
        return self._normal[path]

    def empty(self, scope: Scope) -> Path | None:
        """For a case without input."""
        if self._empty is None:
            try:
                directory = self._copy_directory(scope, "in", "a case without input needs an empty file")
                if directory is not None:
                    (directory / "empty").touch()
                    self._empty = directory / "empty"
            except OSError as error:
                scope.wrong("in", f"an empty file cannot be made: {error.strerror}")
        return self._empty

    def _normalized(self, path: Path, scope: Scope, key: str) -> Path | None:
        try:
            with open(path, "rb") as file:
                odd, last = False, b""
                while chunk := file.read(_CHUNK):
                    odd, last = odd or b"\r" in chunk, chunk[-1:]
                if not odd and last in (b"", b"\n"):
                    return path
                directory = self._copy_directory(scope, key, f"{path.name} has other line ends than \\n")
                if directory is None:
                    return None
                file.seek(0)
                copy = directory / str(len(self._normal))
                with open(copy, "xb") as out:
                    held, last = b"", b""
                    while chunk := file.read(_CHUNK):
                        chunk, held = held + chunk, b""
                        if chunk.endswith(b"\r"):
                            chunk, held = chunk[:-1], b"\r"
                        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                        last = chunk[-1:] or last
                        out.write(chunk)
                    if held or last != b"\n":
                        out.write(b"\n")
                return copy
        except OSError as error:
            scope.wrong(key, f"{path.name}: {error.strerror}")
            return None

    def _copy_directory(self, scope: Scope, key: str, why: str) -> Path | None:
        if self._copies is None:
            if self._into is None:
                self._need_into(scope, key, why)
                return None
            self._copies = Path(tempfile.mkdtemp(prefix="dmoj-", dir=self._into))
            self._copies.chmod(0o755)
        return self._copies

    def _need_into(self, scope: Scope, key: str, why: str) -> None:
        if not self._told:
            scope.wrong(key, f"{why}, and no directory was given for that", "open_problem(..., into=DIRECTORY)")
        self._told = True


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
