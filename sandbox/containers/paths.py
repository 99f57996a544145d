"""Where containers and volumes lie below the data directory.

    containers/.lock          taken for a moment to make, name or remove a container
    containers/.names/NAME    holds the id of who has the name
    containers/.live/ID       there from the making of a container to its orderly end
    containers/.gone/ID       a container that is being removed
    containers/ID/            config.json, state.json, lock, control, log, log.1, upper/, work/
    volumes/NAME/data
"""

from __future__ import annotations

import os

from ..images.data import data_directory

SHORT = 12  # how many digits of an id are shown


def containers() -> str:
    """The directory of all containers, made if it was not there. Raises HostError."""
    return _made(f"{data_directory()}/containers", (".names", ".live", ".gone"))


def volumes() -> str:
    """The directory of all named volumes. Raises HostError."""
    return _made(f"{data_directory()}/volumes", ())


def _made(path: str, inner: tuple[str, ...]) -> str:
    if not os.path.isdir(f"{path}/{inner[-1]}" if inner else path):
        for name in (path, *(f"{path}/{name}" for name in inner)):
            try:
                os.mkdir(name, 0o700)
            except FileExistsError:
                pass
    return path
