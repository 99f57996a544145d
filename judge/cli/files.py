"""Files that reports go to: opened before the work, so that hours are not lost to a name that cannot be written."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from sandbox import RequestError


class Target:
    """``--json FILE|-`` and its kin; ``field`` is the flag. Nothing is done where ``path`` is None.

    The file is emptied at the end only: if the judging fails, what was there stays, and nothing is there that was not.
    """

    def __init__(self, field: str, path: str | None) -> None:
        self.field, self.path = field, path
        self._fd = -1
        self._ours = False  # made by us, and nothing written yet
        if path is not None and path != "-":
            try:
                self._fd = self._open(path)
            except (OSError, ValueError) as error:
                raise self._cannot(error) from None

    def _open(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        try:
            fd = os.open(path, flags | os.O_EXCL, 0o666)
        except FileExistsError:
            return os.open(path, flags, 0o666)
        self._ours = True
        return fd

    @property
    def wanted(self) -> bool:
        return self.path is not None

    @property
    def is_stdout(self) -> bool:
        return self.path == "-"

    def write(self, text: str) -> None:
        """All of it. BrokenPipeError is the reader's wish."""
        data = text.encode("utf-8", "backslashreplace")
        self._ours = False
        if self.is_stdout:
            sys.stdout.flush()
        fd = 1 if self.is_stdout else self._fd
        try:
            if fd != 1 and os.lseek(fd, 0, os.SEEK_CUR) == 0:
                os.ftruncate(fd, 0)
        except OSError:
            pass  # a pipe or a terminal
        try:
            while data:
                data = data[os.write(fd, data) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._cannot(error) from None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._ours and self.path is not None:
            self._ours = False
            with suppress(OSError):
                os.unlink(self.path)

    def _cannot(self, error: Exception) -> RequestError:
        return RequestError(self.field, self.path, f"cannot write: {getattr(error, 'strerror', None) or error}")
