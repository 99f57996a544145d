"""What is known of a container before anything is made: data."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Caller(Record):
    """Who starts the runtime. ``inside``: it is root of a user namespace with ids of its own, as podman makes one;
    ``uids`` and ``gids`` are that one's ranges (first, count). ``subuid`` and ``subgid``: the first subordinate id
    of an ordinary user, 0 without any."""

    uid: int
    gid: int
    inside: bool = False
    uids: tuple[tuple[int, int], ...] = ()
    gids: tuple[tuple[int, int], ...] = ()
    subuid: int = 0
    subgid: int = 0
    oom_score_adj: int = 0


class Hook(Record):
    """A program of the host's that is run as the caller; ``timeout_s`` None: as long as it takes."""

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout_s: int | None = None


class Container(Record):
    """A bundle, translated.

    ``request`` holds fields of a Request: all but the streams, the gate and the network's fds. ``join`` is the path of
    the network namespace to enter, "" for none; ``maps`` says that the user namespace is the caller's own, id by id;
    ``profile`` is the seccomp profile as JSON, None for the policy named in ``request``; ``notes`` are sentences on
    what is not as the bundle has it.
    """

    version: str
    bundle: str
    request: Mapping[str, Any]
    join: str = ""
    maps: bool = False
    profile: str | None = None
    oom_score_adj: int | None = None
    console_size: tuple[int, int] = (0, 0)
    hooks: Mapping[str, tuple[Hook, ...]] = {}
    annotations: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
