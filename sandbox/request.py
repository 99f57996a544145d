"""What the caller said, word for word; ``spec.validate`` is what makes sense of it.

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


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from .notify import Notification, Reply

    Size = int | str
    Duration = int | float | str
    Stream = None | int | str | bytes | BinaryIO | HandOver

# What to do with a stream of the program (``stdin=``, ``stdout=``, ``stderr=``).
CAPTURE = "capture"  # collect into Result.stdout / Result.stderr
DEVNULL = "devnull"  # /dev/null of the sandbox
INHERIT = "inherit"  # hand over the caller's own open file description, by name
STDOUT = "stdout"  # stderr only: the same stream as stdout

# Limits that only a cgroup can enforce for a whole sandbox.
BY_CGROUP = ("mem", "swap", "time", "idle", "cpus", "cpuset", "io_read", "io_write")


class Request(Record):
    """One run. ``argv`` is the program and its arguments; every other field has a default.

    Limits left as None are not imposed, except those with a default in ``spec.DEFAULTS``
    (processes, scratch space, inodes, open files, core files).

    Streams: ``stdin`` is bytes, a path, a binary file, an fd, DEVNULL or INHERIT; ``stdout`` and
    ``stderr`` are CAPTURE, DEVNULL, INHERIT, a path, a binary file or an fd that what passes is
    written to, or HandOver(fd) for the description itself.
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

    volumes: Sequence[str] = ()
    tmpfs: Sequence[str] = ()
    rootfs: str | None = None
    workdir: str | None = None
    hostname: str | None = None

    policy: str = "default"
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
