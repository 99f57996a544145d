"""Paths as the root at ``/root`` means them: its own symlinks, its own ``..``; nothing outside is ever reached.

openat2(2), Linux 5.6, with RESOLVE_IN_ROOT: the kernel resolves, so no rename in a running container can come between
(CVE-2018-15664).
"""

from __future__ import annotations

import ctypes
import errno
import os

from .start import Refused, shown

ROOT = b"/root"
_OPENAT2 = 437  # on every architecture
_IN_ROOT, _NO_MAGICLINKS = 0x10, 0x02
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in(root: int, path: bytes, flags: int) -> int:
    """open(2) of ``path`` with ``root`` as the root directory. Raises OSError."""
    how = _How(flags | os.O_CLOEXEC, 0, _IN_ROOT | _NO_MAGICLINKS)
    for _attempt in range(100):  # EAGAIN: something was renamed while ".." was resolved
        fd = _libc.syscall(_OPENAT2, root, ctypes.c_char_p(path or b"."), ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return int(fd)
        code = ctypes.get_errno()
        if code != errno.EAGAIN:
            break
    raise OSError(code, os.strerror(code), path)


def existing(root: int, path: bytes, flags: int = os.O_PATH) -> int:
    """As ``open_in``; what is not there, or cannot be reached, is refused."""
    try:
        return open_in(root, path, flags)
    except OSError as error:
        raise Refused(f"{shown(path) or '/'}: {(error.strerror or '').lower()}") from error


def make_directory(root: int, path: bytes) -> int:
    """An fd of the directory ``path``, made with those above it (0755) where they are missing."""
    missing: list[bytes] = []
    at = b"/" + path.strip(b"/")
    while True:
        try:
            fd = open_in(root, at, os.O_RDONLY | os.O_DIRECTORY)
            break
        except FileNotFoundError:
            at, _, name = at.rpartition(b"/")
            if name in (b".", b".."):
                raise Refused(f"{shown(path)}: \"{name.decode()}\" below a directory that is not there") from None
            missing.append(name)
        except NotADirectoryError:
            raise Refused(f"{shown(path)}: {shown(at)} is no directory") from None
    for name in reversed(missing):
        if not name:
            continue
        above = fd
        try:
            os.mkdir(name, 0o755, dir_fd=above)
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except FileExistsError:
            raise Refused(f"{shown(path)}: {shown(name)} is a link to what is not there") from None
        finally:
            os.close(above)
    return fd


def split(path: bytes) -> tuple[bytes, bytes]:
    """What it is in, and its name. Raises Refused where the name is none, the root's for one."""
    folder, _, name = path.rstrip(b"/").rpartition(b"/")
    if name in (b"", b".", b".."):
        raise Refused(f"{shown(path)}: not the name of a file")
    return folder or b"/", name
