"""Where the files of an image layout are read from: a directory, or an archive. Only by names that we make ourselves.

A directory may be somebody else's and may change while it is read: files are opened without following a link, must be
regular, and whoever reads a blob checks its size and digest on the way.
"""

from __future__ import annotations

import os

from ..errors_of import unreadable
from ..manifest import Bad

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Source:
    """A context manager; ``subject`` is what the caller calls it."""

    subject: str

    def open(self, name: str) -> tuple[int, int, int]:
        """(fd, offset, size) of a file; the fd is the caller's. Raises Bad if there is none."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""

    def small(self, name: str, limit: int) -> bytes:
        """All of a file. Raises Bad if it is larger than ``limit`` bytes."""
        fd, offset, size = self.open(name)
        try:
            if size > limit:
                raise Bad(f"{name} is larger than {limit} bytes")
            data = b""
            while len(data) < size and (part := os.pread(fd, size - len(data), offset + len(data))):
                data += part
            return data
        finally:
            os.close(fd)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Layout(Source):
    """An image layout in a directory."""

    def __init__(self, path: str) -> None:
        """Raises RequestError."""
        self.subject = path
        try:
            self._fd = os.open(path, _DIRECTORY)
        except OSError as error:
            raise unreadable(path, error) from None

    def close(self) -> None:
        """Let go of it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def open(self, name: str) -> tuple[int, int, int]:
        """Component by component, no link followed; the directory itself may have been named by one."""
        held = os.dup(self._fd)
        try:
            *above, last = name.split("/")
            for part in above:
                inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=held)
                os.close(held)
                held = inner
            fd = os.open(last, _FILE, dir_fd=held)
        except OSError as error:
            raise Bad(f"{name} cannot be read: {(error.strerror or '').lower()}") from None
        finally:
            os.close(held)
        found = os.fstat(fd)
        if found.st_mode & 0o170000 != 0o100000:
            os.close(fd)
            raise Bad(f"{name} is not a regular file")
        return fd, 0, found.st_size
