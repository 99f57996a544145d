"""What the last command wanted, so that the spawner can begin before this one knows what it wants.

A command line spends most of its time importing; its spawner would wait meanwhile. So the packed setup
of the last run is kept in the user's cache, and sent to a new spawner at once: it makes a sandbox of
that kind ahead. This is a guess and nothing more: the spawner compares what is asked for later byte by
byte, and a sandbox that does not fit is thrown away unused.
"""

from __future__ import annotations

from .. import cache
from ..errors import SupervisorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spawn import Spawner

_LABEL = b"last"
_MADE_FROM = b"pysandbox setup 1\n"


def _load() -> bytes | None:
    directory = cache.open_directory("setup")
    try:
        return cache.read(directory, _LABEL, _MADE_FROM)
    finally:
        cache.close_directory(directory)


def foresee(spawner: Spawner) -> bytes | None:
    """Send the last setup, if there is one; what was sent, for ``remember``."""
    kept = _load()
    if kept is not None and len(kept) > 12:
        flags, clone_flags = int.from_bytes(kept[:4], "little"), int.from_bytes(kept[4:12], "little")
        try:
            spawner.prepare(flags, clone_flags, kept[12:])
        except SupervisorError:
            pass  # it has ended already; wait_ready() knows why
    return kept


def remember(spawner: Spawner, sent: bytes | None) -> None:
    """Keep the setup of the spawner's last run, unless it is what was sent, or needs fds of its run."""
    last = spawner.last_request
    if last is None:
        return
    flags, clone_flags, setup = last
    now = flags.to_bytes(4, "little") + clone_flags.to_bytes(8, "little") + setup
    if now == sent:
        return
    directory = cache.open_directory("setup")
    try:
        cache.store(directory, _LABEL, _MADE_FROM, now)
    finally:
        cache.close_directory(directory)
