"""Children that do not outlive the driver, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_driver = os.getpid()


def die_with_parent() -> None:
    """For preexec_fn: SIGKILL when the driver is gone, also by kill -9. The driver has one thread."""
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != _driver:  # gone before the call
        os._exit(1)
