"""A root file system as an image of one layer.

The directory may be hostile: it is walked by fds, links are kept as links and never followed, devices and sockets are
left out with a note, and what is mounted in it is not entered. Ids: the caller's become 0, those of the caller's
subordinate range what they are in a sandbox with ``--ids range``, all others stay.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile

from ...errors import HostError, RequestError
from ..compose import compose
from ..errors_of import unreadable
from ..manifest import LAYER, LAYER_GZIP, LAYER_ZSTD, dump
from ..model import LayerBlob
from ..staging import read_chunks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from ..layout import Entry
    from ..staging import Staging

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAX_NOTES = 20
MAX_PATH = 4095  # PATH_MAX less the NUL
HISTORY = "pysandbox image import"


def config_of(created: str = "") -> bytes:
    """The config of an image that is a root file system and nothing more; its layer is filled in later."""
    from .oci import this_platform

    return dump({"architecture": this_platform().partition("/")[2], "os": "linux", "config": {},
                 **({"created": created} if created else {})})  # fmt: skip


def take_directory(stage: Staging, path: str) -> Entry:
    """Stage an image of the directory ``path``. The same tree gives the same bytes. Raises RequestError."""
    fd = stage.anonymous()
    try:
        with open(fd, "w+b", closefd=False) as file:
            notes = _Packer(path, file).pack()
        found = hashlib.sha256()
        for chunk in read_chunks(fd):
            found.update(chunk)
        blob = LayerBlob(fd=fd, media_type=LAYER, diff_id=f"sha256:{found.hexdigest()}", history=HISTORY)
        return compose(stage, config_of(), [blob], notes)
    finally:
        os.close(fd)


def take_tar(stage: Staging, fd: int, plain: int, kind: str, diff_id: str) -> Entry:
    """Stage an image of a tar archive: ``fd`` as it came, compressed as ``kind`` says; ``plain`` what is in it."""
    media = {"": LAYER, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}
    if kind not in media:  # no layer may be compressed so (image-spec, layer.md)
        fd, kind = plain, ""
    os.lseek(fd, 0, os.SEEK_SET)
    blob = LayerBlob(fd=fd, media_type=media[kind], diff_id=diff_id, history=HISTORY)
    return compose(stage, config_of(), [blob])


class _Packer:
    def __init__(self, path: str, file: IO[bytes]) -> None:
        self.path = path
        self.tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)
        self.notes: list[str] = []
        self.left_out = 0
        self.links: dict[tuple[int, int], str] = {}
        self.owner, self.group = _ids_inside("/etc/subuid", os.geteuid()), _ids_inside("/etc/subgid", os.getegid())

    def pack(self) -> list[str]:
        try:
            # The path itself is the caller's word and may be a link.
            top = os.open(self.path, _DIRECTORY & ~os.O_NOFOLLOW)
        except OSError as error:
            raise unreadable(self.path, error) from None
        try:
            self.device = os.fstat(top).st_dev
            self._directory(top)
        finally:
            os.close(top)
        self.tar.close()
        if self.left_out:
            self.notes.append(f"and {self.left_out} more that were left out")
        return self.notes

    def _note(self, name: str, why: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(f"{name}: {why}")
        else:
            self.left_out += 1

    def _directory(self, top: int) -> None:
        """All below, parents first and names sorted; paths are opened from the top again, so depth costs no fds."""
        pending = [""]
        while pending:
            at = pending.pop()
            fd = self._reopen(top, at)
            try:
                inner = []
                for name in sorted(os.listdir(fd), key=os.fsencode):
                    if self._entry(fd, name, f"{at}/{name}" if at else name):
                        inner.append(f"{at}/{name}" if at else name)
                pending += reversed(inner)
            finally:
                os.close(fd)

    def _reopen(self, top: int, path: str) -> int:
        fd = os.dup(top)
        try:
            for part in path.split("/") if path else ():
                inner = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = inner
        except OSError as error:
            os.close(fd)
            raise unreadable(f"{self.path}/{path}", error) from None
        return fd

    def _entry(self, parent: int, name: str, path: str) -> bool:
        """Put one file into the archive; is it a directory to enter?"""
        if len(os.fsencode(path)) > MAX_PATH:
            shown = f"{self.path}/{path[:100]}…"
            raise RequestError("image", shown, f"a name of more than {MAX_PATH} bytes, which no layer can have")
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            mode = found.st_mode
            if stat.S_ISDIR(mode):
                self.tar.addfile(self._info(path, found, tarfile.DIRTYPE, parent, name))
                if found.st_dev != self.device:
                    self._note(path, "something is mounted there; it is an empty directory in the image")
                    return False
                return True
            if stat.S_ISLNK(mode):
                info = self._info(path, found, tarfile.SYMTYPE, parent, name)
                info.linkname = os.readlink(name, dir_fd=parent)
                self.tar.addfile(info)
            elif stat.S_ISREG(mode):
                self._file(parent, name, path, found)
            elif stat.S_ISFIFO(mode):
                self.tar.addfile(self._info(path, found, tarfile.FIFOTYPE, parent, name))
            else:
                self._note(path, "a socket, left out" if stat.S_ISSOCK(mode) else "a device, left out")
        except OSError as error:
            raise unreadable(f"{self.path}/{path}", error) from None
        return False

    def _file(self, parent: int, name: str, path: str, found: os.stat_result) -> None:
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self.links:
            info = self._info(path, found, tarfile.LNKTYPE, parent, name)
            info.linkname = self.links[key]
            self.tar.addfile(info)
            return
        fd = os.open(name, _FILE, dir_fd=parent)
        with open(fd, "rb") as file:
            now = os.fstat(fd)
            if not stat.S_ISREG(now.st_mode):
                raise unreadable(f"{self.path}/{path}", "it changed meanwhile")
            info = self._info(path, now, tarfile.REGTYPE, parent, name, fd)
            info.size = now.st_size
            try:
                self.tar.addfile(info, file)
            except (tarfile.ReadError, OSError, EOFError):
                raise unreadable(f"{self.path}/{path}", "it became shorter meanwhile") from None
        if found.st_nlink > 1:
            self.links[key] = path

    def _info(
        self, path: str, found: os.stat_result, kind: bytes, parent: int, name: str, fd: int = -1
    ) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.mtime = kind, stat.S_IMODE(found.st_mode), int(found.st_mtime)
        info.uid, info.gid = self.owner(found.st_uid), self.group(found.st_gid)
        if kind != tarfile.LNKTYPE:
            info.pax_headers = _attributes(fd if fd >= 0 else f"/proc/self/fd/{parent}/{name}")
        return info


def _attributes(what: int | str) -> dict[str, str]:
    """Extended attributes as GNU tar and Docker write them; those of overlayfs are orders to it, no content."""
    try:
        names = os.listxattr(what) if isinstance(what, int) else os.listxattr(what, follow_symlinks=False)
        found = {}
        for name in sorted(names):
            if (name.startswith("user.") and not name.startswith("user.overlay.")) or name == "security.capability":
                value = (
                    os.getxattr(what, name) if isinstance(what, int) else os.getxattr(what, name, follow_symlinks=False)
                )
                # tarfile writes texts; this is how it lets bytes through (surrogateescape)
                found[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
        return found
    except OSError:
        return {}


def _ids_inside(table: str, own: int) -> Callable[[int], int]:
    from ...subid import RANGE_IDS, caller_name, parse

    ranges: list[tuple[int, int]] = []
    try:
        with open(table, encoding="utf-8") as file:
            found = parse(table, file.read())
        mine = (caller_name(os.geteuid()), str(os.geteuid()))
        ranges = [(first, min(count, RANGE_IDS - 1)) for owner, first, count in found if owner in mine][:1]
    except (OSError, HostError):
        pass  # no range, nothing to translate

    def inside(number: int) -> int:
        if number == own:
            return 0
        for first, count in ranges:
            if first <= number < first + count:
                return number - first + 1
        return number

    return inside
