"""Removal of containers that have ended, with their volumes that have no name."""

from __future__ import annotations

import os

from ..errors import RequestError
from . import record, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .container import Container
    from .model import ContainerConfig


def remove(container: Container, *, force: bool = False) -> None:
    """Raises RequestError if it runs and ``force`` was not said."""
    config, state = container.config, container.state
    if state.state in record.ALIVE:
        if not force:
            raise RequestError("container", state.name, f"is {state.state}; stop it first, or use rm -f")
        try:
            container.stop(grace=0)
        except RequestError:
            pass  # it has ended meanwhile
    try:
        lock = record.take_ended(container.id)
        if lock < 0:
            raise RequestError("container", state.name, "is running again, or was never ready to be removed")
        try:
            remove_anonymous(config)
            record.remove_record(container.id, config.options.get("ids", "single") == "range")
        finally:
            os.close(lock)
    except FileNotFoundError:
        pass  # it went with its end (--rm), or somebody else removed it


def remove_anonymous(config: ContainerConfig) -> None:
    """The volumes that nobody else can know of. While its record is there, which alone names them."""
    for mount in config.volumes:
        if mount.kind == volumes.ANONYMOUS:
            volumes.delete(mount.source)
