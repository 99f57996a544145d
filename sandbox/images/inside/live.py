"""A tree that others change while it is read becomes members of a tar: what goes away is left out and noted."""

from __future__ import annotations

import os
import stat

from .place import MAX_NOTES
from .scan import CHUNK, Scan
from .start import shown
from .tarread import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .directories import Place
    from .tarread import Member

_WORDS = {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFLNK: "symlink", stat.S_IFDIR: "directory"}


class Live(Scan):
    """Files, directories and symlinks alone, without attributes; a hard link is a file of its own. ``skipped``: names
    of what is none of these."""

    links = True  # symlinks are taken along

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.skipped: list[str] = []
        self.leaves = 0  # members but directories

    def visit(self, place: Place) -> bool:
        """As a Scan's; what cannot be read is left out."""
        try:
            return super().visit(place)
        except BrokenPipeError:  # of the tar: nobody reads it any more
            raise
        except OSError as error:
            self._left_out(place, error)
            return False

    def _left_out(self, place: Place, error: OSError) -> None:
        # ELOOP, ENOTDIR: it became something else between two looks
        why = "it has gone meanwhile" if isinstance(error, FileNotFoundError) else (error.strerror or "").lower()
        self.note(f"{shown(self.called(place))}: left out, {why}")

    def _names(self, place: Place) -> Iterator[bytes]:
        try:
            return super()._names(place)
        except OSError as error:
            self._left_out(place, error)
            return iter(())

    def write(self, place: Place, found: os.stat_result) -> bool:
        """As a Scan's."""
        kind = stat.S_IFMT(found.st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK) or (kind == stat.S_IFLNK and not self.links):
            self._of_no_kind(self.called(place), kind)
            return False
        return super().write(place, found)

    def _add(self, member: Member, data: Iterator[bytes] | None = None) -> None:
        self.leaves += member.kind != DIRECTORY
        super()._add(member, data)

    def _first(self, found: os.stat_result) -> bytes | None:
        return None

    def _of_no_kind(self, name: bytes, kind: int) -> None:
        if len(self.skipped) < MAX_NOTES:
            self.skipped.append(shown(name))
        self.note(f"{shown(name)}: left out, it is a {_WORDS.get(kind, 'device')}")

    def content(self, fd: int, member: Member, found: os.stat_result) -> None:
        """As long as it was when it was opened: what is cut off meanwhile becomes zeros."""
        again = os.fstat(fd)
        if not stat.S_ISREG(again.st_mode):
            self._of_no_kind(member.name, stat.S_IFMT(again.st_mode))
            return
        member.mode, member.mtime_ns = stat.S_IMODE(again.st_mode), again.st_mtime_ns
        if self.ids == "range":
            member.uid, member.gid = again.st_uid, again.st_gid
        super().content(fd, member, again)

    def _data(self, fd: int, member: Member) -> Iterator[bytes]:
        left = member.size
        while left:
            try:
                chunk, why = os.read(fd, min(left, CHUNK)), "became shorter while it was copied"
            except OSError as error:  # its header is written already
                chunk, why = b"", (error.strerror or "").lower()
            if not chunk:
                self.note(f"{shown(member.name)}: {why}; zeros are in place of {left} bytes")
                break
            left -= len(chunk)
            yield chunk
        while left:
            yield bytes(min(left, CHUNK))
            left -= min(left, CHUNK)

    def _xattrs(self, fd: int, member: Member) -> dict[bytes, bytes]:
        return {}
