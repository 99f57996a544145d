"""Containers: sandboxes with a name, that can be entered, watched, stopped and kept.

    config = options.configure(["sleep", "100"], image="alpine", name="x", mem="256M")
    container = start(config)                   detached: a monitor process of its own watches it
    container.exec(["ls", "/"]).stdout
    find("x").stop()
    for container in list_containers(): ...

A Container is a name for one that may be anywhere in its life; each method looks for itself. No daemon, no thread: what
runs is watched by its monitor (monitor.py), asked over its control socket (control.py), and written down (record.py).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .container import Container, find, list_containers, start

_NAMES = ("Container", "find", "list_containers", "start")
__all__ = ["Container", "find", "list_containers", "start"]


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(__import__(f"{__name__}.container", fromlist=[name]), name)
