"""``cp``: a path of a container's tree, which is at ``/target``, becomes a tar on stdout, or gets one from stdin.

Paths are resolved as the container would, below its root (openat2(2), RESOLVE_IN_ROOT), once; from there on by fds.
Where a copy goes to is decided as docker-cp(1) has it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys

from .copying import END, Copied, Packer
from .start import Refused, shown, write_all
from .tarread import TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .tarread import Member

_SYS_OPENAT2 = 437
_IN_ROOT, _NO_MAGICLINKS = 0x10, 0x02
_ROOT = "/target"


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)


def resolve(root: int, path: bytes) -> int:
    """An O_PATH fd of what the container finds at ``path``. Raises OSError."""
    how = _How(os.O_PATH | os.O_CLOEXEC, 0, _IN_ROOT | _NO_MAGICLINKS)
    for _attempt in range(100):
        fd = _libc.syscall(_SYS_OPENAT2, root, ctypes.c_char_p(path or b"/"), ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return int(fd)
        if ctypes.get_errno() != errno.EAGAIN:  # something was renamed meanwhile
            break
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def existing(root: int, path: bytes) -> int:
    """As ``resolve``; what is not there, or cannot be reached, is refused."""
    try:
        return resolve(root, path)
    except OSError as error:
        raise Refused(f"{shown(path) or '/'}: {(error.strerror or '').lower()}") from error


def split(path: bytes) -> tuple[bytes, bytes]:
    """Directory and name; no name where that is the directory itself."""
    above, _slash, name = path.rstrip(b"/").rpartition(b"/")
    return (path, b"") if name in (b"", b".", b"..") else (above, name)


def main(words: list[str]) -> dict[str, Any]:
    """``out PATH TOP FOLLOW`` or ``in PATH KIND NAME IDS LAST_ID LIMIT_BYTES LIMIT_FILES``; names in hex."""
    os.umask(0o022)
    root = os.open(_ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    path = bytes.fromhex(words[1])
    if words[0] == "out":
        return _out(root, path, bytes.fromhex(words[2]), words[3] == "1")
    kind, name, ids, *numbers = words[2:]
    last_id, limit_bytes, limit_files = (int(number) for number in numbers)
    options = {"ids": ids, "last_id": last_id, "limit_bytes": limit_bytes, "limit_files": limit_files}
    return _into(root, path, kind, bytes.fromhex(name), options)


def _out(root: int, path: bytes, top: bytes, follow: bool) -> dict[str, Any]:
    packer = Packer(owners=True)
    above, name = split(path)
    if follow or not name or path.endswith(b"/"):
        fd = existing(root, path)
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise Refused(f"{shown(path)}: neither a file nor a directory")
        chunks = packer.pack_open(fd, top)
    else:
        chunks = packer.pack(existing(root, above), name, top)
    try:
        for chunk in chunks:
            write_all(1, chunk)
    except FileNotFoundError:  # of the first: what goes away later is a note
        raise Refused(f"{shown(path)}: no such file or directory") from None
    write_all(1, END)
    return {"notes": packer.notes}


def _into(root: int, path: bytes, kind: str, name: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """``kind``: file, directory, contents (of a directory), or tar (a stream of somebody's)."""
    above, last = split(path)
    try:
        found = resolve(root, path)
    except FileNotFoundError:
        found = -1
    is_directory = found >= 0 and stat.S_ISDIR(os.fstat(found).st_mode)
    if kind == "tar" and not is_directory:
        raise Refused(f"{shown(path)}: not a directory, which - needs")
    if kind == "file":
        if is_directory:
            return _unpack(_readable(found), kind, name, options)
        if path.endswith(b"/") or not last:
            raise Refused(f"{shown(path)}: there is no such directory")
        return _unpack(_readable(existing(root, above)), kind, last, options)
    if found >= 0 and not is_directory:
        raise Refused(f"{shown(path)}: a directory cannot be copied over a file")
    if is_directory and kind != "directory":
        return _unpack(_readable(found), kind, b"", options, keep_root=True)
    if is_directory:
        return _unpack(*_make(_readable(found), name), options)
    if not last:
        raise Refused(f"{shown(path)}: there is no such directory")
    return _unpack(*_make(_readable(existing(root, above)), last), options)


def _readable(fd: int) -> int:
    """The same directory, not by O_PATH."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        raise Refused("what is to be written to is no directory") from None


def _make(above: int, name: bytes) -> tuple[int, str, bytes, bool]:
    """The directory ``name``; True if it was there."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.mkdir(name, 0o700, dir_fd=above)
        old = False
    except FileExistsError:
        old = True
    try:
        return os.open(name, flags, dir_fd=above), "directory", b"", old
    except NotADirectoryError:
        raise Refused(f"{shown(name)}: a directory cannot be copied over a file") from None


def _unpack(fd: int, kind: str, name: bytes, *rest: Any, keep_root: bool = False) -> dict[str, Any]:
    *old, options = rest
    tree = Copied(fd, **options)
    tree.keep_root = keep_root or bool(old and old[0])
    tar = TarReader(sys.stdin.buffer)
    for member in tar:
        _add(tree, tar, member, kind, name)
    tree.finish()
    return {"bytes": tree.bytes, "files": tree.files, "notes": tree.notes}


def _add(tree: Copied, tar: TarReader, member: Member, kind: str, name: bytes) -> None:
    place = tree.place(member.name)
    if kind == "file":
        place = (name,)
    elif kind != "tar":
        place = place[1:]  # what the packer called it
    tree.add(member, place, tar.data(member))
