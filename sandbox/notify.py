"""A seccomp listener served by a caller's handler: seccomp_unotify(2).

The Supervision of a run has the listener in its epoll object and calls ``ready`` when a call waits.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NOTIF = Struct("=QII64s")  # struct seccomp_notif: id, pid, flags, struct seccomp_data
_RESP = Struct("=QqiI")  # struct seccomp_notif_resp: id, val, error, flags
_RECV, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND
_CONTINUE = 1


class Listener:
    """``handler(pid, data)`` gets the number of the calling thread and its struct seccomp_data, and returns the
    errno to answer with, or None to let the call go on. What it raises ends the run."""

    def __init__(self, fd: int, handler: Callable[..., object]) -> None:
        self.fd, self._handler = fd, handler

    def ready(self) -> bool:
        """Answer one call that waits. False when nobody is left under the filter."""
        waiting = select.poll()
        waiting.register(self.fd, select.POLLIN)
        events = dict(waiting.poll(0)).get(self.fd, 0)
        if not events & select.POLLIN:
            return not events & select.POLLHUP
        asked = bytearray(_NOTIF.size)
        try:
            fcntl.ioctl(self.fd, _RECV, asked)
            number, pid, _flags, data = _NOTIF.unpack(asked)
            answer = self._handler(pid, data)
            error, flags = (0, _CONTINUE) if answer is None else (-int(answer), 0)  # type: ignore[call-overload]
            fcntl.ioctl(self.fd, _SEND, _RESP.pack(number, 0, error, flags))
        except OSError as failed:
            if failed.errno not in (errno.ENOENT, errno.EINTR):  # it was killed meanwhile
                raise
        return True

    def close(self) -> None:
        """Who still waits, or calls later, gets ENOSYS."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
