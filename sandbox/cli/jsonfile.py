"""``--json FILE|-`` of every command: opened before the work, written after it."""

from __future__ import annotations

import os

from ..errors import RequestError


def open_for(path: str | None, field: str = "--json") -> int:
    """An fd to write to, stdout for ``-`` and None. Opened first: what cannot be written should cost no work."""
    if path in (None, "-"):
        return 1
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
    except (OSError, ValueError) as error:
        raise RequestError(field, path, f"cannot write: {getattr(error, 'strerror', None) or error}") from None


def write(fd: int, text: str, path: str, field: str = "--json") -> None:
    """All of it. Raises RequestError naming ``field``; BrokenPipeError is the reader's wish."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RequestError(field, path, f"cannot write: {error.strerror}") from None
