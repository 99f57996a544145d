"""What the caller said, word for word; ``validate.validate`` is what makes sense of it.

Values may be texts ("256M", "1.5s") or numbers (bytes, seconds), as they come from a command
line, from JSON or from Python. Nothing here is checked yet.
"""

from __future__ import annotations

from .record import Record


class HandOver:
    """``stdout=HandOver(fd)``: the program gets this open file description itself, of a pipe to another run, say.

    What it writes passes us by: it is neither counted nor kept, so no output limit can go with it. It shares offset
    and flags with whoever else has the description. Close your copy when ``Sandbox.start`` has returned, or the
    reader sees no end.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __repr__(self) -> str:
        return f"HandOver({self.fd})"


class Tap:
    """``stdout=Tap(sink, fd)``: each chunk goes to ``sink(bytes)``, and to ``fd`` if there is one.

    The chunks count as output. ``sink`` is called between the events of a run and must not wait."""

    def __init__(self, sink: Callable[[bytes], None], fd: int | None = None) -> None:
        self.sink, self.fd = sink, fd

    def __repr__(self) -> str:
        return f"Tap({self.sink!r}, {self.fd})"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from .notify import Notification, Reply

    Size = int | str
    Duration = int | float | str
    Stream = None | int | str | bytes | BinaryIO | HandOver | Tap


class LayeredRoot(Record):
    """A root file system made of directories of the host.

    ``layers``: absolute paths, topmost first; none of them is ever written to. ``upper``: a directory of the caller's
    with ``upper`` and ``work`` in it, both empty or left by an earlier run, which gets all changes (overlayfs; it must
    be on a file system with user.* attributes). None: changes go to the run's scratch space (``disk``, ``inodes``).
    ``direct``: ``layers`` is one directory, used as it is; changes go to it.
    ``files``: absolute path inside -> content, shown over whatever the layers have there; never in ``upper``.
    ``tree``: with ``direct``, the fd of a detached mount that is the root in place of that directory; stays yours.
    """

    layers: tuple[str, ...]
    upper: str | None = None
    read_only: bool = False
    direct: bool = False
    files: Mapping[str, bytes] = {}
    tree: int | None = None


class Mount(Record):
    """A volume by parts, for a path with a colon in it or for no path at all: ``source`` may be the fd of a detached
    mount (``Running.open_tree``), which stays the caller's. ``noexec``: nothing in it can be executed."""

    source: str | int
    target: str
    writable: bool = False
    noexec: bool = False


class Overlay(Record):
    """An overlay shown at ``target``: ``layers`` and ``upper`` as in a LayeredRoot; without ``upper`` read-only."""

    target: str
    layers: tuple[str, ...]
    upper: str | None = None


class NetworkPlace(Record):
    """Two fds, of a user namespace and of a network namespace that it owns: the run's network (``net="join"``).

    The user namespace must be one that the caller made, mapped as a spawner's is (userns.py)."""

    user_fd: int
    net_fd: int


# What to do with a stream of the program (``stdin=``, ``stdout=``, ``stderr=``).
CAPTURE = "capture"  # collect into Result.stdout / Result.stderr
DEVNULL = "devnull"  # /dev/null of the sandbox
INHERIT = "inherit"  # hand over the caller's own open file description, by name
STDOUT = "stdout"  # stderr only: the same stream as stdout

# Limits that only a cgroup can enforce for a whole sandbox.
BY_CGROUP = ("mem", "swap", "time", "idle", "cpus", "cpuset", "io_read", "io_write")


class Request(Record):
    """One run. ``argv`` is the program and its arguments; every other field has a default.

    Limits left as None are not imposed, except those with a default in ``spec.Limits``
    (processes, scratch space, inodes, open files, core files). ``policy`` None is the default one, or for
    ``Running.exec`` that of the sandbox.

    Streams: ``stdin`` is bytes, a path, a binary file, an fd, DEVNULL or INHERIT; ``stdout`` and
    ``stderr`` are CAPTURE, DEVNULL, INHERIT, a path, a binary file or an fd that what passes is
    written to, or HandOver(fd) for the description itself.

    ``leaf``: a cgroup of its own, where one can be had, even if no limit needs it. ``joinable``: ``Running.exec`` and
    ``Running.open_tree`` will be used. ``gate``: an fd of a pipe; the program begins when a byte has come out of it.
    ``network``: with ``net="join"``, where. ``exact_env``: ``env`` is all of the environment, nothing is added.
    """

    argv: Sequence[str | bytes]
    env: Mapping[str, str] = {}
    stdin: Stream = DEVNULL
    stdout: Stream = CAPTURE
    stderr: Stream = CAPTURE
    pass_fds: Sequence[int] = ()
    tty: bool = False

    mem: Size | None = None
    swap: Size | None = None
    time: Duration | None = None
    wall: Duration | None = None
    idle: Duration | None = None
    pids: int | str | None = None
    cpus: int | float | str | None = None
    cpuset: str | None = None
    output: Size | None = None
    disk: Size | None = None
    inodes: int | str | None = None
    fsize: Size | None = None
    stack: Size | None = None
    nofile: int | str | None = None
    core: Size | None = None
    io_read: Size | None = None
    io_write: Size | None = None

    volumes: Sequence[str | Mount] = ()
    tmpfs: Sequence[str] = ()
    rootfs: str | LayeredRoot | None = None
    overlays: Sequence[Overlay] = ()
    devices: Sequence[str] = ()
    workdir: str | None = None
    hostname: str | None = None

    policy: str | None = None
    ids: str = "single"
    user: int | str | None = None
    net: str = "none"
    proc: str = "auto"
    without: Sequence[str] = ()
    landlock: str = "auto"
    isolation: str = "namespaces"
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()

    sysinfo: str = "auto"
    denials: str = "auto"
    notify: Callable[[Notification], Reply] | None = None
    notify_all: bool = False
    cgroup: str = "auto"
    best_effort: bool = False
    grace: Duration | None = None

    leaf: bool = False
    joinable: bool = False
    gate: int | None = None
    network: NetworkPlace | None = None
    exact_env: bool = False
