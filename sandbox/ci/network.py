"""Networks of jobs with services."""

from __future__ import annotations


def make(base: str, *, internal: bool) -> str:
    """A network whose name begins with ``base``; its name. ``internal``: without a way out."""
    from ..errors import HostError

    raise HostError("services need named networks, which this version does not have", "leave them out")


def remove(name: str) -> None:
    """Of one network."""


def remove_all(base: str) -> None:
    """Of all networks whose names begin with ``base``."""
