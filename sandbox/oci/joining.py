"""The network namespace of an engine, which is entered for good: who is started then is in it as well.

There is no way back, for the one around belongs to the host (setns(2) wants CAP_SYS_ADMIN in the user namespace that
owns it). A namespace is a thread's; so a thread that was there before stays outside, and hooks are run from it.
"""

from __future__ import annotations

import os

from ..errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CLONE_NEWNET = 0x40000000  # linux/sched.h


def enter(path: str) -> Callable[..., None]:
    """Enter the namespace at ``path``. What is returned calls a function from outside of it. Raises HostError."""
    from concurrent.futures import ThreadPoolExecutor

    outside = ThreadPoolExecutor(1)
    outside.submit(int).result()  # the thread begins now
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(path, error.errno or 0) from None
    try:
        if why := _setns(fd):
            raise _refused(path, why)
    finally:
        os.close(fd)

    def call(function: Callable[..., None], *arguments: object) -> None:
        outside.submit(function, *arguments).result()

    return call


def _setns(fd: int) -> int:
    """0, or errno. Python has os.setns since 3.12."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.setns(fd, _CLONE_NEWNET) == 0 else ctypes.get_errno()


def _refused(path: str, error: int) -> HostError:
    return HostError(f"the network namespace {path} cannot be entered: {os.strerror(error).lower()}",
                     "start the engine that made it as the same user")  # fmt: skip
