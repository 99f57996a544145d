"""Who is at the other end of a Unix socket of ours.

A socket in a directory that a sandbox sees can be connected to, also where the mount is read-only, and with one id its
program is this user. What tells it from this user's other processes is its user namespace.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SOL_SOCKET, _SO_PEERCRED, _SO_PEERPIDFD = 1, 17, 77  # asm-generic/socket.h; the last since Linux 6.5


def is_ours(sock: Any) -> bool:
    """Did a process of this user, in this user namespace, connect? False too where it cannot be known."""
    pid, uid, same, _confined = _look(sock)
    return pid > 0 and uid == os.geteuid() and same


def is_unconfined(sock: Any) -> bool:
    """As ``is_ours``, or one of this user's in another user namespace without no_new_privs, which every sandbox has: an
    engine may make its namespace anew between two commands."""
    pid, uid, same, confined = _look(sock)
    return pid > 0 and uid == os.geteuid() and (same or not confined)


def _look(sock: Any) -> tuple[int, int, bool, bool]:
    """pid (0: unknown), uid, whether its user namespace is ours, whether it has no_new_privs."""
    found = sock.getsockopt(_SOL_SOCKET, _SO_PEERCRED, 12)  # struct ucred: pid, uid, gid
    pid, uid = (int.from_bytes(found[n : n + 4], sys.byteorder) for n in (0, 4))
    pidfd = -1
    try:
        pidfd = _pidfd(sock, pid)
        theirs, ours = os.stat(f"/proc/{pid}/ns/user"), os.stat("/proc/self/ns/user")
        with open(f"/proc/{pid}/status", "rb") as file:
            confined = b"\nNoNewPrivs:\t0\n" not in file.read()
        if _ended(pidfd):  # what was seen may be somebody else's
            return 0, uid, False, True
        return pid, uid, (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino), confined
    except OSError:
        return 0, uid, False, True
    finally:
        if pidfd >= 0:
            os.close(pidfd)


def _pidfd(sock: Any, pid: int) -> int:
    try:
        found = int.from_bytes(sock.getsockopt(_SOL_SOCKET, _SO_PEERPIDFD, 4), sys.byteorder)
    except OSError:
        return os.pidfd_open(pid)
    os.set_inheritable(found, False)
    return found


def _ended(pidfd: int) -> bool:
    import select

    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(0))
