"""The path: Request -> Decision -> LaunchPlan -> spawner -> Supervision -> Result.

    run(argv, mem="256M", ...)          one run, with a spawner that this process keeps
    await arun(argv, ...)               the same from asyncio, without a thread
    with Sandbox(mem="256M") as box:    defaults of its own and a spawner of its own
        box.run(argv)

decide.py makes the decision, warm.py keeps what outlives a run, running.py is the run under way.
"""

from __future__ import annotations

import errno
import os

from . import slots
from .decide import Decision, decide
from .errors import HostError, SandboxError, SetupError
from .native.run import launch
from .request import Request
from .streams import open_streams
from .warm import Served, Warm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .cgroup.protocol import Backend, Leaf
    from .keeper.client import Keeper
    from .native.peel import PeelWatch
    from .native.spawn import Spawner
    from .notify import Listener, Notification, Reply
    from .plan import LaunchPlan
    from .result import Result
    from .running import Running
    from .scratch import Scratch
    from .streams import Streams


class Sandbox:
    """Defaults for many runs, and the warm processes that make them fast.

    Safe to use from several threads and event loops at once. Close it (or leave its ``with`` block) to
    end its spawner; runs that are still there are killed.
    """

    def __init__(self, **defaults: Any) -> None:
        Request(argv=("true",), **defaults)  # an unknown name is refused here, not at the first run
        self._defaults = defaults
        self._warm = Warm()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the spawner. The object may be used again: it starts a new one."""
        self._warm.close()

    def end(self) -> None:
        """Have the spawner end, with all runs that are still there; ``close`` waits for that."""
        self._warm.end()

    def adopt(self, spawner: Spawner, *, ids: str, user: bool, net: bool, keeper: Keeper | None = None) -> None:
        """Use a spawner that was started before; it is closed along with this Sandbox."""
        self._warm.adopt(spawner, ids=ids, user=user, net=net, keeper=keeper)

    def adopt_backend(self, where: str, backend: Backend) -> None:
        """Use what ``delegation.find(where)`` has found before."""
        self._warm.adopt_backend(where, backend)

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
        decision = decide(request, self._warm)
        streams = open_streams(request, decision.spec.limits.output_bytes)
        leaf: Leaf | None = None
        scratch: Scratch | None = None
        served: Served | None = None
        try:
            if decision.spec.scratch is not None:
                scratch, decision = _place(decision)
            served = self._warm.lxcfs(decision.spec, decision.host, decision.backend, decision.view)
            if served.place.name != "none":
                disks = decision.disks.numbers if decision.disks is not None else ()
                leaf = served.place.open(decision.limits, disks, decision.spec.leaf)
            return self._launch(decision, leaf, streams, served, request.notify, scratch, request.gate)
        except BaseException:
            streams.close()
            if scratch is not None:
                scratch.close()
            if leaf is not None:
                leaf.close()
            raise
        finally:
            if served is not None:
                served.close()

    def plan(self, argv: Sequence[str | bytes], **options: Any) -> LaunchPlan:
        """Every step that ``run`` with these options would take; makes and starts nothing."""
        request = Request(argv=argv, **{**self._defaults, **options})
        return decide(request, self._warm, prepare=False).foreseen_plan()

    def _launch(self, decision: Decision, leaf: Leaf | None, streams: Streams, served: Served,
                notify: Callable[[Notification], Reply] | None, scratch: Scratch | None,
                gate: int | None) -> Running:  # fmt: skip
        spec = decision.spec
        fds = {**streams.fds, **{f"lxcfs:{name}": fd for name, fd in served.mounts.items()}}
        if scratch is not None:
            fds["scratch"] = scratch.fd
        if gate is not None:
            fds["gate"] = gate
        opened: list[int] = []
        attach: list[str] = []
        gauges: dict[str, bool] | None = {} if decision.answers else None
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
            for number, volume in enumerate(spec.volumes):
                if volume.fd is not None:
                    fds[f"volume:{number}"] = volume.fd
            if spec.rootfs is not None and spec.rootfs.tree is not None:
                fds["layer:0"] = spec.rootfs.tree
            if decision.host.opens_trees and spec.has("mount"):
                _open_trees(decision, fds, opened)
            setup = self._warm.setup_steps(spec, decision.host, decision.view, decision.listens)
            plan = decision.plan(tuple(attach), "baseline" in fds, gauges, setup)
            spawner = self._warm.spawner(spec, decision.backend)
            run = launch(spawner, plan, fds, leaf.clone_fd() if leaf is not None else None)
        finally:
            for fd in opened:
                os.close(fd)
        peel: PeelWatch | None = None
        try:
            # while the sandbox is made: 1 ms that nobody waits for
            from .running import Running
            from .supervise import Supervision

            streams.given()
            peel = _watch_lxcfs(decision, spawner, served)
            cpus = min(decision.host.cpus, -(-(spec.limits.cpu_milli or 1_000_000) // 1000))
            listen = _listener(notify, 1 + spec.has("pid")) if notify is not None else None
            filtered = bool(decision.filter.program)
            supervision = Supervision(run, spec, leaf, streams, cpus, filtered, peel, listen)
            return Running(decision, leaf, streams, supervision, self._warm.forget_lxcfs, scratch, spawner)
        except BaseException:  # Ctrl-C: its init ends at the end of file, or the cgroup would stay busy
            run.close()
            if peel is not None:
                peel.close()
            raise


def _place(decision: Decision) -> tuple[Scratch, Decision]:
    """A directory for this run alone, and the decision with its path."""
    from .isolation import placed
    from .scratch import Scratch

    scratch = Scratch()
    return scratch, decision.replace(spec=placed(decision.spec, scratch.path))


def _listener(handler: Callable[[Notification], Reply], depth: int) -> Callable[[int, int], Listener]:
    from .notify import Listener

    return lambda fd, program: Listener(fd, handler, program=program, depth=depth)


def _watch_lxcfs(decision: Decision, spawner: Spawner, served: Served) -> PeelWatch | None:
    """Who looks after the lxcfs in the view; None if there is none."""
    view = decision.view
    if not view.served or not decision.spec.has("user"):
        return None
    from .native.peel import Peel, PeelWatch

    paths = tuple(f"/{name}" for name in view.served)
    return PeelWatch(Peel(spawner=spawner, pidfd=served.pidfd, paths=paths, file=f"{view.source}/{view.served[0]}"))


def _open_trees(decision: Decision, fds: dict[str, int], opened: list[int]) -> None:
    """Root's shares as detached mounts: the sandbox's own id may not be able to reach them by path."""
    from .native._core import lib

    spec = decision.spec
    sources = [(f"volume:{n}", v.source, True) for n, v in enumerate(spec.volumes) if v.fd is None]
    if spec.program:
        sources.append(("program", spec.program, False))
    first = 0
    for stack in (*((spec.rootfs.stack,) if spec.rootfs else ()), *(o.stack for o in spec.overlays)):
        whole = bool(spec.rootfs and spec.rootfs.direct and first == 0)
        sources += [(f"layer:{number}", path, whole) for number, path in enumerate(stack.layers, first)]
        if stack.upper is not None:
            sources.append((f"upper:{first}", stack.upper, False))
        first += len(stack.layers)
    for role, source, recursive in sources:
        if role in fds:  # the caller's own
            continue
        fd = lib.core_open_tree(os.fsencode(source), int(recursive))
        if fd < 0:
            raise SetupError("Bind", 0, f"share {source}", -fd)
        opened.append(fd)
        fds[role] = fd


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


__all__ = ["Sandbox", "SandboxError", "arun", "default", "run"]
