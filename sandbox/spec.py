"""Spec: one run, exactly. ``validate.validate`` makes it of a Request.

A Spec is frozen and holds bytes, nanoseconds and absolute paths only: whatever comes after this
does not parse, does not guess and does not look at the caller's words again.
"""

from __future__ import annotations

from .errors import RequestError
from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import NetworkPlace
    from .units import Rate

NAMESPACES = ("user", "pid", "mount", "net", "ipc", "uts", "cgroup", "time")

# A tree of 2,000 dying processes took 94 s to go, one of 128 takes 34 ms.
DEFAULT_PIDS = 128
DEFAULT_DISK_BYTES = 256 << 20
DEFAULT_INODES = 16384
DEFAULT_NOFILE = 1024
DEFAULT_GRACE_NS = 2_000_000_000

DEFAULT_POLICY = "default"
DEFAULT_WORKDIR = "/work"
DEFAULT_HOSTNAME = "sandbox"
DEFAULT_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
               "HOME": DEFAULT_WORKDIR, "USER": "sandbox", "LOGNAME": "sandbox", "LANG": "C.UTF-8"}  # fmt: skip


class Limits(Record):
    """Bytes, nanoseconds, counts; None = not limited. ``asked`` are those the caller named."""

    mem_bytes: int | None = None
    swap_bytes: int = 0
    time_ns: int | None = None
    wall_ns: int | None = None
    idle_ns: int | None = None
    pids: int = DEFAULT_PIDS
    cpu_milli: int | None = None
    cpuset: str | None = None
    output_bytes: int | None = None
    disk_bytes: int = DEFAULT_DISK_BYTES
    inodes: int = DEFAULT_INODES
    fsize_bytes: int | None = None
    stack_bytes: int | None = None
    nofile: int = DEFAULT_NOFILE
    core_bytes: int = 0
    io_read: Rate | None = None
    io_write: Rate | None = None
    asked: frozenset[str] = frozenset()


class Volume(Record):
    """A host path shared into the sandbox; ``source`` is absolute and exists, ``target`` absolute and normal.

    ``inode``: device and number of what is there now. A sandbox that was made ahead shows what was there then.
    ``fd``: a detached mount instead of a path.
    """

    source: str
    target: str
    writable: bool = False
    is_dir: bool = True
    inode: tuple[int, int] = (0, 0)
    fd: int | None = None
    noexec: bool = False


class Tmpfs(Record):
    """A fresh tmpfs of its own at ``target``."""

    target: str
    size_bytes: int
    mode: int = 0o755
    noexec: bool = False


class Stack(Record):
    """Directories of the host, topmost first, with the ``inode`` of each as a Volume's, and where changes to an
    overlay of them go: a directory with ``upper`` and ``work`` in it, or None."""

    layers: tuple[str, ...]
    inodes: tuple[tuple[int, int], ...]
    upper: str | None = None
    upper_inode: tuple[int, int] = (0, 0)


class Rootfs(Record):
    """A foreign root: an overlay, whose changes go with the run unless the stack says where they are kept, or with
    ``direct`` the one directory itself, or the detached mount ``tree``. ``whole``: its /tmp is its own, and it needs no
    /work. ``files`` are shown over it."""

    stack: Stack
    writable: bool = False
    direct: bool = False
    whole: bool = False
    files: tuple[tuple[str, bytes], ...] = ()
    tree: int | None = None


class Shown(Record):
    """An overlay at a place below the root."""

    target: str
    stack: Stack


class Spec(Record):
    """One run, exactly. ``program`` is set if the program is a file of the caller's to share in; ``scratch`` is the
    run's own directory of the host, with isolation landlock only.

    ``cap_add``, ``cap_drop`` and ``kept`` are masks of capabilities; ``with_capabilities`` makes the last one.
    """

    argv: tuple[bytes, ...]
    env: tuple[tuple[bytes, bytes], ...]
    program: str | None
    limits: Limits
    volumes: tuple[Volume, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    rootfs: Rootfs | None = None
    overlays: tuple[Shown, ...] = ()
    devices: tuple[str, ...] = ()
    workdir: str = DEFAULT_WORKDIR
    hostname: str = DEFAULT_HOSTNAME
    hostname_asked: bool = False
    policy: str = "default"
    ids: str = "single"
    uid: int = 1000
    gid: int = 1000
    net: str = "none"
    proc: str = "auto"
    absent: frozenset[str] = frozenset()
    cap_add: int = 0
    cap_drop: int = 0
    kept: int = 0
    pass_fds: tuple[int, ...] = ()
    tty: bool = False
    sysinfo: str = "auto"
    denials: str = "auto"
    program_inode: tuple[int, int] = (0, 0)  # as of a Volume
    notify: bool = False
    notify_all: bool = False
    cgroup: str = "auto"
    best_effort: bool = False
    grace_ns: int = DEFAULT_GRACE_NS
    landlock: str = "auto"
    isolation: str = "namespaces"
    scratch: str | None = None
    leaf: bool = False
    joinable: bool = False
    gated: bool = False
    network: NetworkPlace | None = None
    joins: bool = False  # a sandbox that another run has made (joining.py)

    @property
    def init_uid(self) -> int:
        """The uid of the init inside: what it makes belongs to this id without a chown."""
        return 0 if self.ids == "range" else self.uid

    @property
    def init_gid(self) -> int:
        """As ``init_uid``."""
        return 0 if self.ids == "range" else self.gid

    def has(self, namespace: str) -> bool:
        """Is this namespace made anew for the run?"""
        return namespace not in self.absent

    def keeps(self, capability: int) -> bool:
        """Does the program keep it in its user namespace?"""
        return bool(self.kept >> capability & 1)

    @property
    def changes_uid(self) -> bool:
        """May the program become another uid, and so leave what the kernel counts for each uid (RLIMIT_NPROC)?"""
        return self.ids == "range" and self.keeps(7)  # CAP_SETUID

    def with_capabilities(self, policy_mask: int) -> Spec:
        """The Spec with what is kept of the policy's and of its own. Raises RequestError for what cannot be kept."""
        if not (policy_mask or self.cap_add or self.cap_drop):
            return self
        from .capabilities import kept, names, refuse_never

        mask = kept(policy_mask, self.cap_add, self.cap_drop)
        refuse_never("capabilities", mask)
        if mask and not self.has("user"):
            why = "needs a user namespace of the run's own: without it they would be the host's"
            raise RequestError("cap_add" if self.cap_add & mask else "capabilities", ",".join(names(mask)), why)
        return self.replace(kept=mask)
