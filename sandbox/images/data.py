"""The user's data directory: images, volumes, containers and networks lie in it.

``$PYSANDBOX_DATA``, else ``$XDG_DATA_HOME/pysandbox``, else ``~/.local/share/pysandbox``; 0700 and the caller's own, or
it is not used: whoever else could write there would choose what runs.
"""

from __future__ import annotations

import os

from ..cache import home_directory
from ..errors import HostError


def data_directory() -> str:
    """Its path, made if it was not there. Raises HostError where it is not ours alone."""
    path = os.environ.get("PYSANDBOX_DATA", "")
    if path and not path.startswith("/"):
        raise HostError(f"PYSANDBOX_DATA is no absolute path: {path[:120]!r}", "set it to one, or unset it")
    if not path:
        base = os.environ.get("XDG_DATA_HOME", "")
        if not base.startswith("/"):
            if not (home := home_directory()):
                raise HostError("this user has no home directory", "set PYSANDBOX_DATA")
            base = f"{home}/.local/share"
        path = f"{base}/pysandbox"
    check(path)
    return path


def check(path: str) -> None:
    """Make a directory that only the caller can enter, or see that it is one. Raises HostError."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        try:
            os.makedirs(path, 0o700, exist_ok=True)
            found = os.lstat(path)
        except OSError as error:
            raise HostError(f"the data directory {path} cannot be made: {(error.strerror or '').lower()}",
                            "set PYSANDBOX_DATA to a directory that this user may write to") from error  # fmt: skip
    except OSError as error:
        raise HostError(f"the data directory {path} cannot be used: {(error.strerror or '').lower()}",
                        "set PYSANDBOX_DATA to a directory of your own") from error  # fmt: skip
    if found.st_mode & 0o170000 != 0o040000:
        raise HostError(f"{path} is not a directory", "set PYSANDBOX_DATA to a directory of your own")
    if found.st_uid != os.geteuid():
        raise HostError(f"{path} belongs to the user {found.st_uid}", "set PYSANDBOX_DATA to a directory of your own")
    if found.st_mode & 0o077:
        raise HostError(f"{path} is open to others (mode {found.st_mode & 0o777:04o})", f"run: chmod 700 {path}")
