"""A private lxcfs of the caller's own, without root: where it lives, what its root is, how it ends.

One for each spawner, started at the first run that wants it and shared by its runs. Its cgroup namespace
begins at a cgroup of its own in the backend's directory; the runs that it serves have their leaves there,
for it sees nothing else: ``backend`` is where to open them.

    <base>/pysandbox-….1                   around: the root that lxcfs sees
    <base>/pysandbox-….1/pysandbox-….2     on v2 lxcfs and its server (on v1 they live in the one around)
    <base>/pysandbox-….1/pysandbox-….3     the leaf of a run

``native/lxcfs.c`` says why each namespace is as it is.
"""

from __future__ import annotations

import os

from .cgroup import files
from .cgroup.names import new_name
from .errors import HostError
from .native.lxcfs import LxcfsServer
from .steps import (
    NODEV,
    NOEXEC,
    NOSUID,
    RDONLY,
    Attach,
    Bind,
    Export,
    Mkdir,
    MountFs,
    PrivateMounts,
    RootTmpfs,
    Step,
    SwitchRoot,
    Symlink,
    UnshareCgroup,
    WriteFile,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .cgroup.protocol import Backend
    from .host import HostFacts
    from .native.spawn import Spawner

# Where distributions put it; all of them are in what the root shares (host.SYSTEM).
PROGRAMS = ("/usr/bin/lxcfs", "/usr/local/bin/lxcfs", "/usr/sbin/lxcfs", "/bin/lxcfs")
# What lxcfs serves that a sandbox may want, as relative paths (sysfs_fuse.c and proc_fuse.c of lxcfs 4 and later).
FILES = ("proc/cpuinfo", "proc/diskstats", "proc/loadavg", "proc/meminfo", "proc/stat", "proc/swaps", "proc/uptime",
         "sys/devices/system/cpu")  # fmt: skip
MOUNT_POINT = "/lx"
# lxcfs takes 2.4 MiB and ten threads, and a child for a moment at a reader's first read. It parses nothing that a
# program writes, but it works at a program's wish.
MEMORY_BYTES = 64 << 20
TASKS = 64
# Its orphaned children wait 2 s for an answer at most, and cgroup.kill ends them at once where it is there.
PATIENCE_NS = 3_000_000_000

_QUIET = RDONLY | NOSUID | NODEV | NOEXEC


class PrivateLxcfs:
    """A running private lxcfs. ``backend``: where the leaves of its runs go; ``pidfd``: readable when it is dead."""

    def __init__(self, server: LxcfsServer, backend: Backend, around: tuple[str, ...], own: tuple[str, ...]) -> None:
        self._server, self.backend = server, backend
        self._around, self._own = around, own

    @property
    def pidfd(self) -> int:
        return self._server.pidfd

    @property
    def pid(self) -> int:
        """Of lxcfs itself."""
        return self._server.lxcfs_pid

    @property
    def server_pid(self) -> int:
        return self._server.pid

    def alive(self) -> bool:
        return self._server.alive()

    def files(self, names: Iterable[str] = FILES) -> dict[str, int]:
        """Detached mounts for one run, by name; the caller closes them. Raises HostError if lxcfs has died."""
        wanted = set(names)
        known = [name for name in FILES if name in wanted]
        mask = sum(1 << FILES.index(name) for name in known)
        return dict(zip(known, self._server.clones(mask), strict=True))

    def close(self, final: bool = True) -> bool:
        """End it and remove its cgroups; False if some are still there: call it again later.

        Not ``final``: a run that it served may be under way, or about to enter its leaf.
        """
        self._server.close()
        for directory in self._own:
            try:
                files.write(f"{directory}/cgroup.kill", b"1")
            except OSError:  # v1, a kernel before 5.14, or gone: its processes end by themselves
                pass
        if final:
            gone = [files.remove_with_children(directory, PATIENCE_NS) for directory in self._around]
        else:
            gone = [files.remove(directory, 0) for directory in dict.fromkeys((*self._own, *self._around))]
        return all(gone)


class PrivateLxcfsPool:
    """Those of one caller: started at the first run that wants one, kept, replaced where one has died.

    Safe in threads.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], tuple[Spawner, PrivateLxcfs]] = {}
        self._dead: list[PrivateLxcfs] = []  # but runs that they served may be under way
        self._lock = _new_lock()
        self._pid = os.getpid()

    def serve(
        self, spawner: Spawner, backend: Backend, host: HostFacts, names: Iterable[str]
    ) -> tuple[PrivateLxcfs, dict[str, int], int]:
        """One that runs beside ``spawner``, its files for one run, and a pidfd of it; the caller closes the fds.

        Raises HostError.
        """
        key = (str(spawner.pid), *backend.parents())
        with self._lock:
            if self._pid != os.getpid():  # after os.fork(): those are the parent's
                self._pid, self._kept, self._dead = os.getpid(), {}, []
            kept = self._kept.get(key)
            if kept is None or kept[0] is not spawner or not kept[1].alive():
                if kept is not None:
                    self._dead.append(self._kept.pop(key)[1])
                self._bury()
                kept = self._kept[key] = (spawner, start(spawner, backend, host))
            pidfd = os.dup(kept[1].pidfd)
            try:
                return kept[1], kept[1].files(names), pidfd
            except BaseException:
                os.close(pidfd)
                raise

    def _bury(self) -> None:
        """Clean up after those that have died, as one does with its spawner, as far as their runs allow."""
        for key, (_spawner, one) in list(self._kept.items()):
            if not one.alive():
                self._dead.append(self._kept.pop(key)[1])
        self._dead = [one for one in self._dead if not one.close(final=False)]

    def close(self) -> None:
        """End all of them. Runs that they served must have been ended before."""
        with self._lock:
            mine = self._pid == os.getpid()
            every, self._kept, self._dead = [*(k[1] for k in self._kept.values()), *self._dead], {}, []
        for one in every if mine else ():
            one.close()


def start(spawner: Spawner, backend: Backend, host: HostFacts) -> PrivateLxcfs:
    """Start one for the runs of ``spawner``, whose limits ``backend`` enforces.

    Raises HostError that says what is missing: lxcfs, /dev/fuse, a cgroup, a user namespace.
    """
    program = _program(host, backend)
    made: list[str] = []
    opened: list[int] = []
    server: LxcfsServer | None = None
    try:
        name = new_name(backend.family)
        for base in backend.parents():
            made.append(_make(f"{base}/{name}"))
        around = tuple(made)
        below = backend.below(name)
        fds: dict[str, int] = {}
        cgroups: tuple[int, int] | None = None
        own = around
        if backend.name == "v2":
            inside = _make(f"{around[0]}/{new_name(backend.family)}")
            opened += [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in (around[0], inside)]
            cgroups, own = (opened[0], opened[1]), (inside,)
        else:
            for number, directory in enumerate(around):
                opened.append(os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC))
                fds[f"cgroup:{number}"] = opened[-1]
        argv = (program, "-f", "-l", "--enable-cfs", "-p", "/run/lxcfs.pid", MOUNT_POINT)
        root, command = root_steps(host, tuple(fds)), tuple(word.encode() for word in argv)
        server = LxcfsServer(spawner, root, export_steps(), command, fds, cgroups)
        below.enable()  # lxcfs lives below already, and nobody is in the way
        if backend.name == "v2":
            _bound(own[0])
        return PrivateLxcfs(server, below, around, own)
    except BaseException as fault:
        if server is not None:
            server.close()
        for directory in made:
            files.remove_with_children(directory, PATIENCE_NS)
        if isinstance(fault, OSError):
            raise files.failed("prepare", str(fault.filename or made[-1:]), b"", fault) from fault
        raise
    finally:
        for fd in opened:
            os.close(fd)


def _program(host: HostFacts, backend: Backend) -> str:
    if backend.name == "none":
        raise HostError(f"a private lxcfs needs a cgroup to show the limits of, and there is {backend.where}",
                        "use --proc static")  # fmt: skip
    if host.is_root:
        raise HostError("a private lxcfs of root's would run as another user, who may not enter root's cgroups",
                        "start it as an ordinary user, or start the system's lxcfs")  # fmt: skip
    program = next((p for p in PROGRAMS if os.access(p, os.X_OK)), "")
    if not program:
        why = f"--proc private: lxcfs is not installed (looked at {', '.join(PROGRAMS)})"
        raise HostError(why, "install the package lxcfs")
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as fault:
        fix = "chmod 666 /dev/fuse" if os.path.exists("/dev/fuse") else "modprobe fuse"
        why = f"--proc private: /dev/fuse cannot be opened: {(fault.strerror or '').lower()}"
        raise HostError(why, f"an administrator: {fix}; or use --proc static") from fault
    return program


def root_steps(host: HostFacts, attach: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """The root of lxcfs: the system and the kernel's files read-only, and a little tmpfs. ``attach``: on v1 the
    roles of the ``tasks`` files to enter by first."""
    steps: list[Step] = []
    if attach:
        steps += [*(Attach(fd=role) for role in attach), UnshareCgroup()]
    steps += [PrivateMounts(), RootTmpfs()]
    for entry in host.system:
        if entry.kind == "link":
            steps.append(Symlink(target=entry.target, path=entry.path))
        else:
            steps.append(Bind(source=entry.path, path=entry.path))
    if any(e.path == "/etc/ld.so.cache" for e in host.etc):
        steps.append(Bind(source="/etc/ld.so.cache", path="/etc/ld.so.cache", recursive=False, make="file"))
    steps += [Mkdir(path=path) for path in ("/run", "/tmp", MOUNT_POINT)]
    for name in ("null", "fuse"):
        steps.append(Bind(source=f"/dev/{name}", path=f"/dev/{name}", attributes=0, recursive=False, make="file",
                          chardev=True))  # fmt: skip
    steps.append(Bind(source="/proc", path="/proc", attributes=_QUIET))
    steps.append(Bind(source="/sys/devices/system/cpu", path="/sys/devices/system/cpu", attributes=_QUIET))
    if attach:
        steps.append(Bind(source="/sys/fs/cgroup", path="/sys/fs/cgroup", attributes=_QUIET))
    else:
        steps.append(MountFs(path="/sys/fs/cgroup", fstype="cgroup2", attributes=_QUIET))
        # It looks for its controllers in the cgroup of pid 1 (cg_unified_init), which here is the host's and
        # out of its cgroup namespace: what is said of pid 1 is the root of the namespace instead.
        steps.append(WriteFile(path="/cgroup", content=b"0::/\n"))
        steps.append(Bind(source="cgroup", path="/proc/1/cgroup", attributes=_QUIET, recursive=False, origin="root",
                          make=""))  # fmt: skip
    steps.append(SwitchRoot())
    return tuple(steps)


def export_steps() -> tuple[Step, ...]:
    """What its server gives out, in the order of ``FILES``."""
    return tuple(Export(path=f"{MOUNT_POINT}/{name}") for name in FILES)


def _make(directory: str) -> str:
    try:
        os.mkdir(directory, 0o755)
    except OSError as fault:
        raise files.failed("make", directory, b"", fault) from fault
    return directory


def _bound(directory: str) -> None:
    """Nobody asked for these limits of lxcfs' own cgroup, so where the controller is off there is none."""
    for file, value in (("memory.max", MEMORY_BYTES), ("pids.max", TASKS)):
        try:
            files.write(f"{directory}/{file}", b"%d" % value)
        except FileNotFoundError:
            continue


def _new_lock() -> Any:
    import _thread  # what threading.Lock is, without the module

    return _thread.allocate_lock()
