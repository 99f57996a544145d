"""The directory of a job's artifacts, whole or not at all: filled beside its place and renamed to it.

Who fills one holds its flock(2); what nobody holds was left by a death, and goes with the next. The place itself may
have been written to by a job that was given the directory above: a link there is removed, never followed.
"""

from __future__ import annotations

import fcntl
import os

from ..containers.tree import remove_tree
from ..errors import HostError, RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_PREFIX = ".new-"  # no job's directory begins with a dot
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """A context manager; ``path`` is to be filled. Without ``publish`` nothing is left of it. Raises HostError."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        above = os.path.dirname(directory)
        try:
            os.makedirs(above, exist_ok=True)
            _sweep(above)
            self.path, self._lock = _locked(above)
        except OSError as error:
            raise _failed(directory, error) from None

    def __enter__(self) -> Staging:
        return self

    def publish(self) -> None:
        """It is whole: let it take the place of what is there."""
        try:
            remove_tree(self._directory)
            os.rename(self.path, self._directory)
        except OSError as error:
            raise _failed(self._directory, error) from None
        self.path = ""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self.path:
                remove_tree(self.path)
        finally:
            os.close(self._lock)


def check(directory: str) -> str:
    """It, if it is still a directory and no link. Raises RequestError."""
    if os.path.islink(directory):
        raise RequestError("needs", directory, "somebody has made a symlink of the artifacts")
    return directory


def _locked(above: str) -> tuple[str, int]:
    while True:
        path = f"{above}/{_PREFIX}{os.urandom(8).hex()}"
        os.mkdir(path, 0o755)
        try:
            fd = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            continue  # swept between the lines above and below
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)


def _sweep(above: str) -> None:
    for name in os.listdir(above):
        if not name.startswith(_PREFIX):
            continue
        try:
            fd = os.open(f"{above}/{name}", _DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(f"{above}/{name}")
        except OSError:
            pass  # somebody fills it
        finally:
            os.close(fd)


def _failed(directory: str, error: OSError) -> HostError:
    why = (error.strerror or str(error)).lower()
    return HostError(f"the artifacts {directory} cannot be written: {why}", "name another directory with --artifacts")
