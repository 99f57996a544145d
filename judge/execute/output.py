"""Where the output of a run goes: files without a name, so that the judge's memory stays flat and nothing of them can
be opened by name or be left behind."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# How much of stderr is kept.
STDERR_BYTES = 4096


@contextmanager
def nameless(directory: Path) -> Iterator[int]:
    """The fd of a new empty file below ``directory``, for reading and writing; it is gone when it is closed."""
    fd = _open(directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _open(directory: Path) -> int:
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # open(2), O_TMPFILE: EOPNOTSUPP of the file system; EISDIR of a kernel or overlay that does not know it
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
            raise
    fd, name = tempfile.mkstemp(prefix="output-", dir=directory)
    os.unlink(name)
    return fd


def start_of(fd: int, limit: int = STDERR_BYTES) -> str:
    """The first bytes as text; what is no UTF-8 becomes U+FFFD."""
    return os.pread(fd, limit, 0).decode("utf-8", "replace")
