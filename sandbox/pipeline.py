"""The path: Request -> Spec -> LaunchPlan -> spawner -> Supervision -> Result.

    run(argv, mem="256M", ...)          one run, with a spawner that this process keeps
    await arun(argv, ...)               the same from asyncio, without a thread
    with Sandbox(mem="256M") as box:    defaults of its own and a spawner of its own
        box.run(argv)
"""

from __future__ import annotations

import errno
import os
import time

from . import plan as planning
from . import procview, slots, sysinfo
from .cgroup.none import NoneBackend
from .errors import HostError, SandboxError, SetupError
from .host import probe
from .native.run import launch
from .request import BY_CGROUP, INHERIT, Request
from .seccomp import filter_for
from .spec import NAMESPACES, validate
from .streams import open_streams
from .userns import start_spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .cgroup.protocol import Backend, Leaf
    from .disks import Disks
    from .host import HostFacts
    from .keeper.client import Keeper
    from .lxcfs import PrivateLxcfs, PrivateLxcfsPool
    from .native.peel import PeelWatch
    from .native.spawn import Spawner
    from .plan import LaunchPlan
    from .procview import View
    from .result import Result
    from .spec import Spec
    from .steps import Step
    from .streams import Streams
    from .supervise import Supervision

    Kind = tuple[str, bool, bool, Keeper | None]  # of a spawner: ids, user and net namespace, who starts it

_OTHERS = {
    "wall": "supervisor", "output": "supervisor", "disk": "tmpfs size", "inodes": "tmpfs nr_inodes",
    "fsize": "RLIMIT_FSIZE", "stack": "RLIMIT_STACK", "nofile": "RLIMIT_NOFILE", "core": "RLIMIT_CORE",
}  # fmt: skip
_NPROC = "RLIMIT_NPROC in the run's own user namespace"


class Sandbox:
    """Defaults for many runs, and the warm processes that make them fast.

    Safe to use from several threads and event loops at once. Close it (or leave its ``with`` block) to
    end its spawner; runs that are still there are killed.
    """

    def __init__(self, **defaults: Any) -> None:
        Request(argv=("true",), **defaults)  # an unknown name is refused here, not at the first run
        self._defaults = defaults
        self._spawners: dict[Kind, Spawner] = {}
        self._backends: dict[str, Backend] = {}
        self._found: dict[str, Backend] = {}  # by somebody else, not swept yet
        self._host: HostFacts | None = None
        self._figures = procview.Source()
        self._lxcfs: PrivateLxcfsPool | None = None
        # Where the CPUs of the next run begin: another place in each process, and further on with each run.
        self._cpu_position = int.from_bytes(os.urandom(4), "little")
        self._setup: tuple[object, tuple[Step, ...]] | None = None  # of the last run: most want the same
        self._lock = _new_lock()
        self._pid = os.getpid()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the spawner. The object may be used again: it starts a new one."""
        with self._lock:
            spawners, self._spawners = list(self._spawners.values()), {}
        for spawner in spawners:
            spawner.close()
        if self._lxcfs is not None:
            self._lxcfs.close()
        self._figures.close()

    def adopt(self, spawner: Spawner, *, ids: str, user: bool, net: bool, keeper: Keeper | None = None) -> None:
        """Use a spawner that was started before; it is closed along with this Sandbox."""
        self._spawners[ids, user, net, keeper] = spawner

    def adopt_backend(self, where: str, backend: Backend) -> None:
        """Use what ``delegation.find(where)`` has found before."""
        self._found[where] = backend

    # ---- running ----

    def run(self, argv: Sequence[str | bytes], **options: Any) -> Result:
        """Run a program and wait for its end.

        Options are the fields of Request. Raises RequestError, PolicyError, HostError, SetupError or
        SupervisorError; a program that fails is a Result. An exception that arrives while it waits
        (KeyboardInterrupt) kills the run first.
        """
        slots.take()
        try:
            with self.start(argv, **options) as running:
                return running.wait()
        finally:
            slots.give()

    async def arun(self, argv: Sequence[str | bytes], **options: Any) -> Result:
        """As ``run``, for asyncio; cancelling the task kills the run and waits until it is gone."""
        from .aio import wait

        await slots.take_async()
        try:
            with self.start(argv, **options) as running:
                return await wait(running)
        finally:
            slots.give()

    def start(self, argv: Sequence[str | bytes], **options: Any) -> Running:
        """Launch and return at once; the caller drives the returned object and closes it."""
        return self.start_request(Request(argv=argv, **{**self._defaults, **options}))

    def start_request(self, request: Request) -> Running:
        """As ``start``, with a Request."""
        try:
            return self._start(request)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            fix = f"raise the limit of open files (ulimit -n, now {os.sysconf('SC_OPEN_MAX')}), or start fewer at once"
            raise HostError("a run finds no free file descriptor", fix) from error

    def _start(self, request: Request) -> Running:
        spec = validate(request)
        host = self._facts()
        backend = self._backend(spec)
        disks = _disks(spec, host, _inherited(request))
        enforced, not_enforced = enforcement(spec, backend, disks)
        filter_bytes = filter_for(spec.policy)
        answers = sysinfo.wanted(spec, host, "mem" in enforced)
        streams = open_streams(request, spec.limits.output_bytes)
        leaf: Leaf | None = None
        mounts: dict[str, int] = {}
        lxcfs_pidfd = -1
        try:
            cpus, view = self._view(spec, backend, enforced)
            limits = spec.limits.replace(cpuset=view.cpuset) if view.cpuset else spec.limits
            place = backend
            if view.kind == "private":
                private, mounts, lxcfs_pidfd = self._private_lxcfs(spec, host, backend, view)
                place = private.backend
            elif view.served:
                lxcfs_pidfd = self._figures.lxcfs_pidfd(view.source)
            if place.name != "none":
                leaf = place.open(limits, disks.numbers if disks is not None else ())
            running = self._launch(
                spec, host, backend, leaf, streams, filter_bytes, enforced, not_enforced, answers, cpus, view,
                mounts, lxcfs_pidfd,
            )  # fmt: skip
            running.notes = (*_disk_notes(backend, disks, enforced), *view.notes)
            return running
        except BaseException:
            streams.close()
            if leaf is not None:
                leaf.close()
            raise
        finally:
            for fd in (*mounts.values(), lxcfs_pidfd):
                if fd >= 0:
                    os.close(fd)

    def plan(self, argv: Sequence[str | bytes], **options: Any) -> LaunchPlan:
        """Every step that ``run`` with these options would take; makes and starts nothing."""
        request = Request(argv=argv, **{**self._defaults, **options})
        spec = validate(request)
        backend = self._backend(spec, prepare=False)
        enforced, _ = enforcement(spec, backend, _disks(spec, self._facts(), _inherited(request)))
        gauges = None
        if sysinfo.wanted(spec, self._facts(), "mem" in enforced):
            offered = backend.enforces()
            gauges = {"memory": False} if "mem" in offered else {}
            if gauges and spec.limits.swap_bytes:
                gauges["swap"] = backend.name == "v1"
            if "pids" in offered:
                gauges["tasks"] = False
        cpus, view = self._view(spec, backend, enforced)
        attach = tuple(f"cgroup {c}" for c in _controllers(backend, spec, view)) if backend.name == "v1" else ()
        return planning.build(
            spec, self._facts(), seccomp=filter_for(spec.policy), attach=attach, baseline=backend.name != "none",
            cpus=cpus, rlimit_nproc="pids" not in backend.enforces(), clocks_ns=_clocks(), gauges=gauges,
            view=view,
        )  # fmt: skip

    def _launch(
        self, spec: Spec, host: HostFacts, backend: Backend, leaf: Leaf | None, streams: Streams,
        filter_bytes: bytes | None, enforced: dict[str, str], not_enforced: dict[str, str], answers: bool,
        affinity: tuple[int, ...], view: View, mounts: dict[str, int], lxcfs_pidfd: int,
    ) -> Running:  # fmt: skip
        fds = {**streams.fds, **{f"lxcfs:{name}": fd for name, fd in mounts.items()}}
        opened: list[int] = []
        attach: list[str] = []
        gauges: dict[str, bool] | None = {} if answers else None
        try:
            if leaf is not None:
                for number, fd in enumerate(leaf.attach_fds()):
                    attach.append(f"cgroup:{number}")
                    fds[attach[-1]] = fd
                baseline = leaf.baseline_fd()
                if baseline is not None:
                    fds["baseline"] = baseline
                if gauges is not None:
                    for what, (fd, with_memory) in leaf.open_gauges(spec.limits.swap_bytes > 0).items():
                        opened.append(fd)
                        fds[f"gauge:{what}"], gauges[what] = fd, with_memory
            if host.opens_trees and spec.has("mount"):
                _open_trees(spec, fds, opened)
            launch_plan = planning.build(
                spec, host, seccomp=filter_bytes, attach=tuple(attach), baseline="baseline" in fds,
                cpus=affinity, rlimit_nproc="pids" not in backend.enforces(), clocks_ns=_clocks(),
                window=_window() if spec.tty else (0, 0), setup=self._setup_steps(spec, host, view), view=view,
                gauges=gauges,
            )  # fmt: skip
            spawner = self._spawner(spec, host, backend)
            run = launch(spawner, launch_plan, fds, leaf.clone_fd() if leaf is not None else None)
        finally:
            for fd in opened:
                os.close(fd)
        peel: PeelWatch | None = None
        try:
            from .supervise import Supervision  # while the sandbox is made: 1 ms that nobody waits for

            streams.given()
            if view.served and spec.has("user"):
                from .native.peel import Peel, PeelWatch

                paths = tuple(f"/{name}" for name in view.served)
                file = f"{view.source}/{view.served[0]}"
                peel = PeelWatch(Peel(spawner=spawner, pidfd=lxcfs_pidfd, paths=paths, file=file))
            cpus = min(host.cpus, -(-(spec.limits.cpu_milli or 1_000_000) // 1000))
            supervision = Supervision(run, spec, leaf, streams, cpus, filter_bytes is not None, peel)
            return Running(spec, host, backend, leaf, streams, supervision, enforced, not_enforced, view, self._figures)
        except BaseException:  # Ctrl-C: its init ends at the end of file, or the cgroup would stay busy
            run.close()
            if peel is not None:
                peel.close()
            raise

    # ---- what is kept between runs ----

    def _facts(self) -> HostFacts:
        if self._host is None:
            self._host = probe()
        return self._host

    def _setup_steps(self, spec: Spec, host: HostFacts, view: View) -> tuple[Step, ...]:
        key, last = planning.setup_key(spec, view), self._setup
        if last is None or last[0] != key:
            last = self._setup = (key, planning.setup_steps(spec, host, view))
        return last[1]

    def _view(self, spec: Spec, backend: Backend, enforced: dict[str, str]) -> tuple[tuple[int, ...], View]:
        """The program's CPUs, () for the caller's, and the figures that /proc shows."""
        limits = spec.limits
        cpus: tuple[int, ...] = ()
        if limits.cpuset is not None or limits.cpu_milli is not None:
            cpus = procview.affinity(limits, sorted(os.sched_getaffinity(0)), self._cpu_position)
            self._cpu_position += len(cpus)
        return cpus, procview.choose(spec, self._figures, enforced=enforced, backend=backend.name, affinity=cpus,
                                     leaf_cpus=backend.cpus)  # fmt: skip

    def _private_lxcfs(
        self, spec: Spec, host: HostFacts, backend: Backend, view: View
    ) -> tuple[PrivateLxcfs, dict[str, int], int]:
        """The one beside this run's spawner, its files for this run, as detached mounts, and its pidfd."""
        from .lxcfs import PrivateLxcfsPool

        if not spec.has("user"):
            raise HostError("--proc private: without a user namespace nobody may mount lxcfs", "use --proc static")
        with self._lock:
            if self._lxcfs is None:
                self._lxcfs = PrivateLxcfsPool()
        return self._lxcfs.serve(self._spawner(spec, host, backend), backend, host, view.served)

    def _backend(self, spec: Spec, prepare: bool = True) -> Backend:
        """The backend for this run: none at all unless a limit that was asked for needs one."""
        needed = [n for n in BY_CGROUP if n in spec.limits.asked]
        if spec.cgroup == "auto" and not needed and spec.proc != "private":
            return NoneBackend("no limit that was asked for needs a cgroup", "")
        from .cgroup import delegation, sweep

        with self._lock:
            backend = self._backends.get(spec.cgroup)
            if backend is not None and backend.keeper is not None and not backend.keeper.alive():
                backend = None  # and its subtree with it, or we are a child of os.fork()
            if backend is None:
                backend = self._found.pop(spec.cgroup, None) or delegation.find(spec.cgroup, prepare=prepare)
                if prepare:
                    sweep.sweep(backend)
                    self._backends[spec.cgroup] = backend
            return backend

    def _spawner(self, spec: Spec, host: HostFacts, backend: Backend) -> Spawner:
        key = (spec.ids, spec.has("user"), spec.has("net"), backend.keeper)
        with self._lock:
            if self._pid != os.getpid():  # after os.fork(): those are the parent's
                self._pid = os.getpid()
                self._spawners = {}
            self._forget_dead_keepers()
            spawner = self._spawners.pop(key, None)
            if spawner is not None and not spawner.alive():
                spawner.close()  # it has died; its socket is still ours
                spawner = None
            if spawner is None:
                spawner = start_spawner(ids=key[0], user=key[1], net=key[2], keeper=key[3])
            try:
                spawner.wait_ready()  # under the lock: its first word is for one reader
                _give(spawner, backend)
            except BaseException:
                spawner.close()
                raise
            self._spawners[key] = spawner
            return spawner

    def _forget_dead_keepers(self) -> None:
        """Nobody will ask for their spawners by that key again."""
        for key, spawner in list(self._spawners.items()):
            if key[3] is not None and not key[3].alive() and not spawner.alive():
                self._spawners.pop(key).close()


class Running:
    """A run that has been launched: drive it with ``wait()``, or by ``fileno``, ``timeout`` and ``step``.

    ``close()`` kills what is left and removes the cgroup; it is safe to call at any time.
    """

    def __init__(
        self, spec: Spec, host: HostFacts, backend: Backend, leaf: Leaf | None, streams: Streams,
        supervision: Supervision, enforced: dict[str, str], not_enforced: dict[str, str], view: View,
        figures: procview.Source,
    ) -> None:  # fmt: skip
        self.spec, self.supervision = spec, supervision
        self._host, self._backend, self._leaf, self._streams = host, backend, leaf, streams
        self._enforced, self._not_enforced = enforced, not_enforced
        self._view, self._figures = view, figures
        self.notes: tuple[str, ...] = ()  # known before the run
        self._closed = False

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def wait(self) -> Result:
        """Wait for the end. Raises SetupError and SupervisorError."""
        watch = self.supervision
        while not watch.done:
            watch.step(watch.timeout())
        return self.result()

    def result(self) -> Result:
        """The Result, once ``supervision.done``."""
        try:
            found = self.supervision.result()
        except SetupError as error:
            from .diagnose import explain_setup

            self._figures.forget()  # it may have been lxcfs
            hint = error.hint or explain_setup(error.step, error.subject, error.errno)
            raise SetupError(error.step, error.index, error.subject, error.errno, hint) from None
        notes, proc = [*self.notes, *found.notes], self._view.kind
        if self.supervision.lxcfs_died:
            self._figures.forget()
        if self.supervision.view_lost:
            self._figures.forget()
            proc = "static"
            notes.append(f"lxcfs at {self._view.source} died before the run: /proc shows our own files instead")
        if self.supervision.groups_kept and self._host.groups:
            notes.append(f"{len(self._host.groups)} supplementary groups of the caller are kept: a single-id map "
                         "forbids setgroups(2); use ids=range to drop them")  # fmt: skip
        hints: tuple[str, ...] = ()
        if found.exit_code:
            from .hints import hints_for

            hints = hints_for(self.spec, found)
        absent = tuple(n for n in NAMESPACES if n in self.spec.absent)
        return found.replace(
            enforced=self._enforced, not_enforced=self._not_enforced, backend=self._backend.name,
            policy=self.spec.policy, proc=proc, absent=absent, notes=tuple(notes), hints=hints,
        )  # fmt: skip

    def close(self) -> None:
        """Leave nothing behind. Raises SupervisorError if the cgroup stays busy."""
        if self._closed:
            return
        self._closed = True
        try:
            self.supervision.close()
        finally:
            self._streams.close()
            if self._leaf is not None:
                self._leaf.close()


def enforcement(
    spec: Spec, backend: Backend, disks: Disks | None = None
) -> tuple[dict[str, str], dict[str, str]]:  # fmt: skip
    """What enforces each limit, and (best effort only) which ones nothing does. ``disks``: where I/O is limited.

    Raises HostError, naming what is missing and the fix, for a limit that was asked for and that
    nothing here can enforce.
    """
    limits, offered = spec.limits, backend.enforces()
    always = ("disk", "inodes", "nofile", "core")
    enforced = {name: by for name, by in _OTHERS.items() if name in limits.asked or name in always}
    missing: dict[str, str] = {}
    for name in ("pids", *BY_CGROUP):
        provider = "time" if name == "idle" else name
        if disks is not None and name in limits.asked and disks.nothing(name):
            enforced[name] = disks.nothing(name)
        elif disks is not None and name in limits.asked and disks.fault(name):
            missing[name] = f"{name} cannot be enforced: {disks.fault(name)}"
        elif provider in offered and (name in limits.asked or name == "pids"):
            enforced[name] = offered[provider]
            if disks is not None and name in ("io_read", "io_write"):
                enforced[name] += f" on {disks.on()}"
        elif name == "pids" and spec.has("user"):
            enforced[name] = _NPROC
        elif name in limits.asked:
            missing[name] = backend.missing(provider)
    if "mem" in enforced and "swap" in offered:
        enforced.setdefault("swap", offered["swap"])
    if missing and not spec.best_effort:
        name, why = next(iter(missing.items()))
        raise HostError(f"--{name.replace('_', '-')}: {why}", "or add --best-effort to run without it")
    return enforced, missing


def _controllers(backend: Backend, spec: Spec, view: View) -> list[str]:
    """The v1 hierarchies that a leaf of this run has a directory in."""
    from .cgroup.blockio import wanted

    limits = spec.limits
    names = [p.split("/")[-1] if p.count("/") < 5 else p.split("/")[4] for p in backend.parents()]
    needed = {"cpu": limits.cpu_milli is not None, "cpuset": (limits.cpuset or view.cpuset) is not None,
              "blkio": wanted(limits)}  # fmt: skip
    return [name for name in names if needed.get(name, True)]


def _inherited(request: Request) -> tuple[int, ...]:
    """The open files that the program is handed itself; all else passes through pipes."""
    standard = enumerate((request.stdin, request.stdout, request.stderr))
    return (*(number for number, stream in standard if isinstance(stream, str) and stream == INHERIT),
            *request.pass_fds)  # fmt: skip


def _disks(spec: Spec, host: HostFacts, fds: tuple[int, ...]) -> Disks | None:
    """The disks that this run can reach, None unless a limit is for them."""
    if not {"io_read", "io_write"} & spec.limits.asked:
        return None
    from .disks import find

    return find(spec, host, fds)


def _disk_notes(backend: Backend, disks: Disks | None, enforced: dict[str, str]) -> tuple[str, ...]:
    """What a limit on writing does not catch here."""
    if disks is None or not disks.written or "io_write" not in enforced:
        return ()
    from .disks import CGROUP_WRITEBACK

    uncharged = sorted(disks.written - CGROUP_WRITEBACK)
    if backend.charges_writeback and not uncharged:
        return ()
    if backend.charges_writeback:
        why = f"on {', '.join(uncharged)}"
    else:
        why = "in cgroup v1" if backend.name == "v1" else "in a cgroup without the memory controller"
    return (f"io_write limits direct and synchronous writes only: {why} what the kernel writes back later is not "
            "charged to the program",)  # fmt: skip


def _open_trees(spec: Spec, fds: dict[str, int], opened: list[int]) -> None:
    """Root's shares as detached mounts: the sandbox's own id may not be able to reach them by path."""
    from .native._core import lib

    sources = [(f"volume:{n}", v.source, True) for n, v in enumerate(spec.volumes)]
    if spec.program:
        sources.append(("program", spec.program, False))
    for role, source, recursive in sources:
        fd = lib.core_open_tree(os.fsencode(source), int(recursive))
        if fd < 0:
            raise SetupError("Bind", 0, f"share {source}", -fd)
        opened.append(fd)
        fds[role] = fd


def _give(spawner: Spawner, backend: Backend) -> None:
    """Tell the spawner where our leaves are, once."""
    known: set[str] = spawner.__dict__.setdefault("given", set())
    paths = [p for p in backend.parents() if p not in known]
    if not paths:
        return
    from .cgroup.names import own_prefix

    fds = []
    try:
        for path in paths:
            fds.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        spawner.give_cgroups(own_prefix(), tuple(fds))
        known.update(paths)
    finally:
        for fd in fds:
            os.close(fd)


def _clocks() -> tuple[int, int]:
    """The monotonic and the boot clock, which the sandbox's time namespace sets back to zero."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC), time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _window() -> tuple[int, int]:
    """Rows and columns of our terminal, for the program's own."""
    try:
        size = os.get_terminal_size(0)
    except OSError:  # no terminal: the program's has no size until somebody sets one
        return 0, 0
    return size.lines, size.columns


def _new_lock() -> Any:
    import _thread  # what threading.Lock is, without the module

    return _thread.allocate_lock()


_default: Sandbox | None = None


def default() -> Sandbox:
    """The Sandbox behind ``run`` and ``arun``; its spawner lives until this process ends."""
    global _default
    if _default is None:
        import atexit

        _default = Sandbox()
        atexit.register(_default.close)  # or its spawner is a zombie where pid 1 reaps nobody
    return _default


def run(argv: Sequence[str | bytes], **options: Any) -> Result:
    """Run a program in a sandbox and return what happened.

    ``run(["python3", "-c", "print(6*7)"], mem="256M", time=1)``. Options are the fields of Request;
    see docs/api.md. Raises RequestError for what cannot be asked, PolicyError for a bad policy file,
    HostError for what this host cannot do (a limit that nothing enforces, say), SetupError and
    SupervisorError for faults of the sandbox; a program that fails is a Result.
    """
    return default().run(argv, **options)


async def arun(argv: Sequence[str | bytes], **options: Any) -> Result:
    """``run`` for asyncio. Cancelling the task kills the run and waits until it is gone."""
    return await default().arun(argv, **options)


__all__ = ["Running", "Sandbox", "SandboxError", "arun", "default", "enforcement", "run"]
