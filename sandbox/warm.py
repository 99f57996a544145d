"""What is kept between the runs of a Sandbox: host facts, backends, spawners, a private lxcfs, the last setup.

Safe to use from several threads; after os.fork() the child starts anew.
"""

from __future__ import annotations

import os

from . import plan as planning
from .cgroup.none import NoneBackend
from .errors import HostError
from .host import probe
from .record import Record
from .request import BY_CGROUP
from .userns import check_place, start_spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cgroup.protocol import Backend
    from .host import HostFacts
    from .keeper.client import Keeper
    from .lxcfs import PrivateLxcfsPool
    from .native.spawn import Spawner
    from .procview import View
    from .procview.choose import Source
    from .request import NetworkPlace
    from .spec import Spec
    from .steps import Step

    # Of a spawner: ids, user and net namespace, who starts it, which network of others it is in.
    Kind = tuple[str, bool, bool, Keeper | None, tuple[int, ...]]


class Served(Record):
    """``place``: where the leaf is to be made; ``mounts``: files of a private lxcfs by name, detached, as fds;
    ``pidfd``: of the lxcfs, -1 if there is none or its process is not known."""

    place: Backend
    mounts: dict[str, int]
    pidfd: int

    def close(self) -> None:
        """The fds; what was mounted of them stays."""
        for fd in (*self.mounts.values(), self.pidfd):
            if fd >= 0:
                os.close(fd)


class Warm:
    """Processes and answers that outlive a run; ``close()`` ends the processes."""

    def __init__(self) -> None:
        self._spawners: dict[Kind, Spawner] = {}
        self._backends: dict[str, Backend] = {}
        self._found: dict[str, Backend] = {}  # by somebody else, not swept yet
        self._host: HostFacts | None = None
        self._figures: Source | None = None
        self._lxcfs: PrivateLxcfsPool | None = None
        # Where the CPUs of the next run begin: another place in each process, and further on with each run.
        self.cpu_position = int.from_bytes(os.urandom(4), "little")
        self._setup: tuple[object, tuple[Step, ...]] | None = None  # of the last run: most want the same
        self._lock = _new_lock()
        self._family = 0  # of our cgroups; a number when there are some
        self._pid = os.getpid()

    def close(self) -> None:
        """End the processes. It may be used again: new ones are started."""
        with self._lock:
            spawners, self._spawners = list(self._spawners.values()), {}
        for spawner in spawners:
            spawner.close()
        if self._lxcfs is not None:
            self._lxcfs.close()
        if self._figures is not None:
            self._figures.close()

    def end(self) -> None:
        """Have the spawners end; ``close`` waits for that."""
        with self._lock:
            for spawner in self._spawners.values():
                spawner.end()

    def adopt(self, spawner: Spawner, *, ids: str, user: bool, net: bool, keeper: Keeper | None = None) -> None:
        """Use a spawner that was started before; it is closed along with this Sandbox."""
        self._spawners[ids, user, net, keeper, ()] = spawner

    def adopt_backend(self, where: str, backend: Backend) -> None:
        """Use what ``delegation.find(where)`` has found before."""
        self._found[where] = backend

    def facts(self) -> HostFacts:
        """Of this host, asked once."""
        if self._host is None:
            self._host = probe()
        return self._host

    def figures(self) -> Source:
        """What views are made from."""
        if self._figures is None:
            from .procview.choose import Source

            self._figures = Source()
        return self._figures

    def forget_lxcfs(self) -> None:
        """Look for it again at the next run."""
        if self._figures is not None:
            self._figures.forget()

    def setup_steps(self, spec: Spec, host: HostFacts, view: View, listens: bool) -> tuple[Step, ...]:
        """The steps that make the sandbox: those of the last run, if it wanted the same."""
        key, last = planning.setup_key(spec, view, listens), self._setup
        if last is None or last[0] != key:
            last = self._setup = (key, planning.setup_steps(spec, host, view, listens))
        return last[1]

    def backend(self, spec: Spec, prepare: bool = True) -> Backend:
        """The backend for this run: none at all unless a limit that was asked for needs one, or ``leaf`` is set."""
        needed = [n for n in BY_CGROUP if n in spec.limits.asked]
        # With isolation landlock nothing but a cgroup bounds the number of processes.
        namespaces = spec.isolation == "namespaces" and not spec.changes_uid
        if spec.cgroup == "auto" and not needed and not spec.leaf and spec.proc != "private" and namespaces:
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
                    if not self._family:
                        from .cgroup.names import new_family

                        self._family = new_family()
                    backend.family = self._family
                    self._backends[spec.cgroup] = backend
            return backend

    def spawner(self, spec: Spec, backend: Backend) -> Spawner:
        """One that is ready, with these ids and namespaces, in the backend's subtree."""
        place = spec.network
        key = (spec.ids, spec.has("user"), spec.has("net"), backend.keeper, inodes(place) if place is not None else ())
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
                spawner = start_spawner(ids=key[0], user=key[1], net=key[2], keeper=key[3], place=place)
            try:
                spawner.wait_ready()  # under the lock: its first word is for one reader
                if place is not None:
                    check_place(spawner.pid, spec.ids)
                _give(spawner, backend)
            except BaseException:
                spawner.close()
                raise
            self._spawners[key] = spawner
            return spawner

    def lxcfs(self, spec: Spec, host: HostFacts, backend: Backend, view: View) -> Served:
        """What the run needs of the lxcfs in its view, if there is one; the fds are the caller's to close."""
        if view.kind != "private":
            pidfd = self.figures().lxcfs_pidfd(view.source) if view.served else -1
            return Served(place=backend, mounts={}, pidfd=pidfd)
        from .lxcfs import PrivateLxcfsPool

        if not spec.has("user"):
            raise HostError("--proc private: without a user namespace nobody may mount lxcfs", "use --proc static")
        with self._lock:
            if self._lxcfs is None:
                self._lxcfs = PrivateLxcfsPool()
        spawner = self.spawner(spec, backend)
        private, mounts, pidfd = self._lxcfs.serve(spawner, backend, host, view.served)
        return Served(place=private.backend, mounts=mounts, pidfd=pidfd)

    def _forget_dead_keepers(self) -> None:
        """Nobody will ask for their spawners by that key again."""
        for key, spawner in list(self._spawners.items()):
            if key[3] is not None and not key[3].alive() and not spawner.alive():
                self._spawners.pop(key).close()


def inodes(place: NetworkPlace) -> tuple[int, ...]:
    """Which two namespaces these are, as long as they are there: a spawner in them sees to that."""
    return tuple(number for fd in (place.user_fd, place.net_fd) for number in _identity(fd))


def _identity(fd: int) -> tuple[int, int]:
    stat = os.fstat(fd)
    return stat.st_dev, stat.st_ino


def _give(spawner: Spawner, backend: Backend) -> None:
    """Tell the spawner where our leaves are, once."""
    known: set[str] = spawner.__dict__.setdefault("given", set())
    paths = [p for p in backend.parents() if p not in known]
    if not paths:
        return
    from .cgroup.names import prefix_of

    fds = []
    try:
        for path in paths:
            fds.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        spawner.give_cgroups(prefix_of(backend.family), tuple(fds))
        known.update(paths)
    finally:
        for fd in fds:
            os.close(fd)


def _new_lock() -> Any:
    import _thread  # what threading.Lock is, without the module

    return _thread.allocate_lock()
