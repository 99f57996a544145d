"""Archives: an image layout, what ``docker save`` writes, or a root file system; compressed or not.

A compressed archive is unpacked to a file without a name first: what it holds is known only at its end.
"""

from __future__ import annotations

import hashlib
import os

from ..compressed import LIMIT_BYTES, compression, decompress, too_large
from ..errors_of import unreadable
from ..manifest import Bad, bad
from ..staging import read_chunks, write_all
from .source import Source
from .tarread import Member, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..layout import Entry
    from ..staging import Staging

# An archive with one of these at its top is a root file system; it need not be read to its end to know.
_ROOT = frozenset(("bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
                   "sbin", "srv", "sys", "tmp", "usr", "var"))  # fmt: skip
# Files of one image: a few a layer.
_MAX_FILES = 100_000


class Archive(Source):
    """A tar archive that is open and not compressed; the fd stays the caller's."""

    def __init__(self, subject: str, fd: int) -> None:
        """Raises Bad."""
        self.subject, self._fd = subject, fd
        self.members: dict[str, Member] = {}
        self.is_root = False
        for member in members(fd):
            if member.name.partition("/")[0] in _ROOT:
                self.is_root = True
                return
            if member.kind != "directory" and member.name:
                self.members[member.name] = member
            if len(self.members) > _MAX_FILES:
                self.is_root = True
                return

    def has(self, name: str) -> bool:
        """Is it a file there?"""
        return name in self.members

    def open(self, name: str) -> tuple[int, int, int]:
        """Links are followed within the archive, once: older ``docker save`` has them for layers that are equal."""
        member = self.members.get(name)
        if member is not None and member.kind in ("link", "hard"):
            above = name.rpartition("/")[0] if member.kind == "link" else ""
            parts: list[str] = above.split("/") if above else []
            for part in member.target.split("/"):
                if part == "..":
                    parts = parts[:-1]
                elif part not in ("", "."):
                    parts.append(part)
            member = self.members.get("/".join(parts))
        if member is None or member.kind != "file":
            raise Bad(f"it has no file {name}")
        if member.offset + member.size > os.fstat(self._fd).st_size:
            raise Bad(f"it ends in the middle of {name}")
        return os.dup(self._fd), member.offset, member.size


def take_archive(stage: Staging, path: str, ref: str = "", limit: int = LIMIT_BYTES) -> tuple[Entry, list[str]]:
    """Stage the image of an archive, ``-`` for stdin: (its line for the index, the names that it brings along).

    Raises RequestError.
    """
    subject = "standard input" if path == "-" else path
    plain = -1
    fd = _opened(stage, path, subject, limit)
    try:
        kind = compression(fd)
        found = hashlib.sha256()
        if kind:
            plain = stage.anonymous()
            decompress(fd, kind, plain, subject=subject, limit=limit, see=found.update)
        elif os.fstat(fd).st_size > limit:
            raise too_large(subject, limit)
        try:
            source = Archive(subject, plain if kind else fd)
        except Bad as error:
            raise bad(subject, error) from None
        if not source.is_root and source.has("oci-layout") and source.has("index.json"):
            from .oci import take

            return take(stage, source, ref)
        if not source.is_root and source.has("manifest.json"):
            from .docker import take as take_docker

            return take_docker(stage, source, ref)
        if not source.is_root and source.has("repositories"):
            raise bad(subject, Bad("it is an archive of Docker before 1.10, without manifest.json; save it again"))
        if not kind:
            for chunk in read_chunks(fd):
                found.update(chunk)
        from .rootfs import take_tar

        return take_tar(stage, fd, plain, kind, f"sha256:{found.hexdigest()}"), []
    finally:
        os.close(fd)
        if plain >= 0:
            os.close(plain)


def _opened(stage: Staging, path: str, subject: str, limit: int) -> int:
    """An fd that can be read at any place: what comes through a pipe is kept in a file first."""
    import stat

    try:
        fd = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise unreadable(subject, error) from None
    except ValueError:  # a NUL in it
        raise unreadable(subject, "it is no path") from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    try:
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise unreadable(subject, "it is no file, no directory and no pipe")
        kept, total = stage.anonymous(), 0
        for chunk in read_chunks(fd):
            total += len(chunk)
            if total > limit:
                os.close(kept)
                raise too_large(subject, limit)
            write_all(kept, chunk)
        return kept
    finally:
        os.close(fd)
