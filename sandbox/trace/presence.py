"""Is a file there, as the caller of a waiting call would find it? Asked in its root, at the moment of the call.

openat2(2) with RESOLVE_IN_ROOT keeps absolute symlinks and ".." below the sandbox's root, as for the program itself.
Python has no face of it, hence ctypes.
"""

from __future__ import annotations

import ctypes
import errno
import os
from struct import Struct

_SYS_OPENAT2 = 437
_HOW = Struct("=3Q")  # struct open_how: flags, mode, resolve
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
# "self" is whoever asks, and we have no number in the sandbox
_OUR_OWN = ("/proc/self/", "/proc/thread-self/", "/dev/fd/", "/dev/std")
_MISSING = (errno.ENOENT, errno.ENOTDIR)

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def is_missing(pid: int, path: str, *, follow: bool = True) -> bool:
    """True if nothing has that name in the root of this process; False if something has, or we may not know."""
    if not path.startswith("/") or f"{path}/".startswith(_OUR_OWN):
        return False
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        how = _HOW.pack(flags, 0, _RESOLVE_NO_MAGICLINKS | _RESOLVE_IN_ROOT)
        fd = _syscall(ctypes.c_long(_SYS_OPENAT2), ctypes.c_long(root), ctypes.c_char_p(os.fsencode(path)),
                      ctypes.c_char_p(how), ctypes.c_long(_HOW.size))  # fmt: skip
        if fd < 0:
            return ctypes.get_errno() in _MISSING
        os.close(fd)
        return False
    finally:
        os.close(root)
