"""What is written down of a container: plain values that go to JSON and come back equal."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Where a container is in its life; ``state`` of a record.
CREATED, RUNNING, PAUSED, EXITED, LOST = "created", "running", "paused", "exited", "lost"


class VolumeMount(Record):
    """``-v``: a host path or a named volume at ``target``. ``kind``: "bind", "volume" or "anonymous"."""

    kind: str
    source: str
    target: str
    writable: bool = True


class ContainerConfig(Record):
    """What was asked, after image and words were put together; never changed once the container is made.

    ``options`` are the fields of Request by name that the caller gave (limits, policy, ids, …), still unchecked;
    ``argv``, ``env``, ``user`` and ``workdir`` are final. ``image`` is the image's id, "" for the host's system.
    """

    argv: tuple[str, ...]
    image: str = ""
    image_name: str = ""
    name: str = ""  # "": a made-up one
    env: Mapping[str, str] = {}
    user: str = ""  # as asked or as the image has it: name or number, with :group
    workdir: str = ""
    hostname: str = ""
    volumes: tuple[VolumeMount, ...] = ()
    upper: str = "disk"  # or tmpfs; or fuse: on disk by fuse-overlayfs, which disk does where it has to (fuseroot.py)
    read_only: bool = False
    net: str = "none"  # none, host, user, container:NAME, or the name of a network
    publish: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    bandwidth: str = ""
    stop_signal: str = "TERM"
    remove: bool = False
    tty: bool = False
    detached: bool = False
    labels: Mapping[str, str] = {}
    options: Mapping[str, Any] = {}


class ContainerState(Record):
    """How a container is doing. Times are nanoseconds since the epoch; ``pid`` the init's number on the host."""

    id: str
    name: str
    state: str = CREATED
    created_ns: int = 0
    started_ns: int | None = None
    ended_ns: int | None = None
    pid: int | None = None
    monitor_pid: int | None = None
    exit_status: int | None = None  # as ``pysandbox run`` returns it
    outcome: str = ""
    error: str = ""  # of ours, if it could not be run
    limits: Mapping[str, Any] = {}  # fields of Request that ``update`` has changed since the start, as they were said
