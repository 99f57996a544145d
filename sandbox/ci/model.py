"""A job file as values: what it says, checked, before the axes of a matrix are put in."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# ``if:`` of a step.
ALWAYS, ON_SUCCESS, ON_FAILURE = "always", "success", "failure"

# Limits that belong to a container from its start to its end: exact names of fields of Request.
CONTAINER_LIMITS = (
    "mem",
    "swap",
    "pids",
    "cpus",
    "cpuset",
    "disk",
    "inodes",
    "fsize",
    "stack",
    "nofile",
    "core",
    "io_read",
    "io_write",
)
# Those that a step may change for as long as it lasts, and those that belong to its own program.
CHANGEABLE = ("mem", "pids", "cpus")
OF_A_PROGRAM = ("time", "wall", "output")


class Ready(Record):
    """When a service can be used: ``run``, a shell script in its container, has ended with 0 within ``timeout_ns``.

    It is tried every ``interval_ns``.
    """

    run: str
    timeout_ns: int = 30_000_000_000
    interval_ns: int = 200_000_000


class Service(Record):
    """A container beside the job's, on the same network, where it is found as ``name``."""

    image: str
    name: str
    env: Mapping[str, str] = {}
    command: tuple[str, ...] = ()  # () as the image has it
    ready: Ready | None = None
    limits: Mapping[str, str] = {}
    line: int = 0


class Step(Record):
    """A script, run by ``shell`` with the script as its last argument. ``condition``: when it is run."""

    name: str
    run: str
    shell: tuple[str, ...] = ("sh", "-e", "-c")
    env: Mapping[str, str] = {}
    workdir: str = ""
    limits: Mapping[str, str] = {}
    timeout_ns: int | None = None
    continue_on_error: bool = False
    condition: str = ON_SUCCESS
    line: int = 0


class Artifacts(Record):
    """Files to take out: ``paths`` are patterns inside, relative to the job's workdir. ``when``: as a step's ``if``."""

    paths: tuple[str, ...]
    when: str = ON_SUCCESS
    limit_bytes: int = 1 << 30
    line: int = 0


class Cache(Record):
    """Files that outlive a job: ``paths`` inside, kept under ``key`` and the digests of ``files`` of the host."""

    key: str
    paths: tuple[str, ...]
    files: tuple[str, ...] = ()  # patterns, relative to the job file
    limit_bytes: int = 1 << 30
    line: int = 0


class Copy(Record):
    """``source``, relative to the job file, is copied to ``target`` in the container before the first step."""

    source: str
    target: str
    line: int = 0


class Need(Record):
    """Another job that must have succeeded; with ``artifacts`` its files are put into the workdir."""

    job: str
    artifacts: bool = False
    line: int = 0


class Job(Record):
    """One job, of one combination of its matrix (``axes``; {} without one)."""

    name: str  # as in the file
    image: str
    steps: tuple[Step, ...]
    axes: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    volumes: tuple[str, ...] = ()
    copies: tuple[Copy, ...] = ()
    workdir: str = "/work"
    user: str = ""
    policy: str = "ci"
    ids: str = "single"
    net: str = ""  # "": none, or a network of the job's own where it has services
    services: tuple[Service, ...] = ()
    limits: Mapping[str, str] = {}
    timeout_ns: int = 3_600_000_000_000
    retry: int = 0
    needs: tuple[Need, ...] = ()
    artifacts: Artifacts | None = None
    caches: tuple[Cache, ...] = ()
    line: int = 0

    @property
    def title(self) -> str:
        """``test (python=3.11, cc=gcc)``."""
        axes = ", ".join(f"{name}={value}" for name, value in self.axes.items())
        return f"{self.name} ({axes})" if axes else self.name

    @property
    def directory(self) -> str:
        """A file name of its own for this job: ``test-3.11-gcc``."""
        words = [self.name, *self.axes.values()]
        return "-".join("".join(c if c.isalnum() or c in "._+" else "_" for c in word) for word in words).lstrip(".")


class JobFile(Record):
    """A whole file; ``jobs`` in its order, matrices expanded. ``path`` as it was given."""

    path: str
    name: str
    jobs: tuple[Job, ...]
