"""Be in a network namespace of the engine's for a moment: who is started then stays in it."""

from __future__ import annotations

import contextlib
import os

from ..errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000  # linux/sched.h


@contextlib.contextmanager
def network_of(path: str) -> Iterator[None]:
    """In the namespace at ``path``; nothing for "". Raises HostError.

    setns(2) wants CAP_SYS_ADMIN in the user namespace that owns it, which root of an engine's user namespace has.
    """
    if not path:
        yield
        return
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        os.close(own)
        raise _refused(path, error.errno or 0) from None
    try:
        if why := _setns(other):
            raise _refused(path, why)
        try:
            yield
        finally:
            if why := _setns(own):
                raise _refused("the engine's own", why)
    finally:
        os.close(own)
        os.close(other)


def _setns(fd: int) -> int:
    """0, or errno. Python has os.setns since 3.12."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.setns(fd, _CLONE_NEWNET) == 0 else ctypes.get_errno()


def _refused(path: str, error: int) -> HostError:
    return HostError(f"the network namespace {path} cannot be entered: {os.strerror(error).lower()}",
                     "start the engine that made it as the same user")  # fmt: skip
