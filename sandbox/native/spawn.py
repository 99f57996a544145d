"""The spawner's process: start it, wait until it is ready, send it requests, end it.

One Spawner serves any number of threads and runs at a time: a request is one atomic datagram. The
command line starts it before it imports the rest, so that both happen at once; hence few imports here.
"""

from __future__ import annotations

import errno
import os

from ..errors import HostError, SupervisorError
from ..executable import environment, executable
from ._core import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..keeper.client import Keeper
    from ..request import NetworkPlace
    from ..steps import Step


class Spawner:
    """A running spawner process.

    ``uid_map``/``gid_map`` are written by the spawner itself; with None the callback ``write_maps``
    is called with its pid while it waits. ``user`` False: no user namespace at all. ``net`` False:
    it stays in the caller's network namespace. With a ``place`` it enters those two namespaces and makes neither; the
    fds are needed until it is ready. With a ``keeper`` it is that one's child, in its cgroup
    subtree; else it is ours, in our cgroup.
    """

    def __init__(
        self,
        *,
        uid_map: str = "",
        gid_map: str = "",
        write_maps: Callable[[int], None] | None = None,
        user: bool = True,
        net: bool = True,
        keeper: Keeper | None = None,
        place: NetworkPlace | None = None,
    ) -> None:
        if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
            raise HostError("pysandbox refuses to run setuid or setgid", "run it as the user that owns the sandbox")
        self.owner = os.getpid()
        self.last_setup: tuple[tuple[Step, ...], bytes] | None = None
        self.last_request: tuple[int, int, bytes] | None = None
        self.writes_own_maps = write_maps is None and place is None
        self._place = place
        if place is not None:
            uid_map, net = "join", False
        self._maps = (uid_map, gid_map, write_maps)
        self._ready = self._closed = False
        self._pidfd = -1  # of a keeper's child; ours is known to us by its number
        two = ffi.new("int[2]")
        check(lib.core_pair(two), "socketpair")
        self._control = int(two[0])
        try:
            if keeper is None:
                self.pid = self._start(two[1], user, net)
            else:
                maps = {"uid_map": uid_map, "gid_map": gid_map}
                self.pid, self._pidfd = keeper.spawn(two[1], user=user, net=net, **maps)
        except BaseException:
            os.close(two[0])
            raise
        finally:
            os.close(two[1])

    def _start(self, control: int, user: bool, net: bool) -> int:
        path = executable()
        kinds = ("user" if user else "plain", "net" if net else "nonet")
        argv = ["pysandbox-spawner", str(self.owner), *kinds, *self._maps[:2]]
        # posix_spawn is vfork-like: no copy of this process, however large or threaded it is.
        # A session of its own keeps the terminal's Ctrl-C away from it.
        actions = [(os.POSIX_SPAWN_DUP2, control, 3)]
        try:
            return os.posix_spawn(path, argv, environment(), file_actions=actions, setsid=True)
        except OSError as error:
            raise HostError(f"cannot start {path}: {error.strerror}", "build it again: ./dev setup") from error

    def wait_ready(self) -> None:
        """Wait until its user namespace is there. Raises HostError with the reason if it cannot be."""
        if self._ready:
            return
        buffer = ffi.new("char[8]")
        while True:
            length = lib.core_hello(self._control, buffer, 8)
            word = bytes(ffi.buffer(buffer, max(length, 0)))
            if word[:1] == b"M" and length == 1:
                if self._place is not None:
                    request = ffi.new("struct pysb_request *", {"magic": lib.PYSB_MAGIC})
                    two = [self._place.user_fd, self._place.net_fd]
                    check(lib.core_send(self._control, request, two, 2), "the spawner's namespaces")
                    self._place = None
                    continue
                assert self._maps[2]
                self._maps[2](self.pid)
                check(lib.core_send_bytes(self._control, b"G", 1), "the spawner's maps")
                continue
            if word[:1] == b"R":
                self._ready = True
                return
            status = self.close()
            from ..diagnose import spawner_failed

            number = int.from_bytes(word[2:6], "little", signed=True) if len(word) == 6 else 0
            raise spawner_failed(word[1:2].decode(), number, status)

    def give_cgroups(self, prefix: str, directories: tuple[int, ...]) -> None:
        """Directories (fds) from which the spawner removes leaves with this prefix when we are gone or close it."""
        request = ffi.new("struct pysb_request *", {"magic": lib.PYSB_MAGIC})
        self.send(request, prefix.encode(), self._control, directories)

    def send(self, request: object, content: bytes, answers: int, fds: Sequence[int] = ()) -> None:
        """One ``struct pysb_request``: ``content`` goes in a memfd, ``answers`` is where they are to go.

        Raises SupervisorError if the spawner is gone.
        """
        memfd = os.memfd_create("pysandbox-request", os.MFD_CLOEXEC)
        try:
            os.write(memfd, content)
            check(lib.core_send(self._control, request, [answers, memfd, *fds], len(fds) + 2), "the spawner")
        finally:
            os.close(memfd)

    def ask(self, request: object, content: bytes, fds: Sequence[int] = ()) -> int:
        """As ``send``, with a new socket for the answers, whose other end this is."""
        two = ffi.new("int[2]")
        check(lib.core_pair(two), "socketpair")
        try:
            self.send(request, content, two[1], fds)
        except BaseException:
            os.close(two[0])
            raise
        finally:
            os.close(two[1])
        return int(two[0])

    def prepare(self, flags: int, clone_flags: int, setup: bytes) -> None:
        """Ask for a sandbox with this packed setup ahead of its run. Not before ``wait_ready()`` unless the
        spawner writes its own maps: until then it listens for those only."""
        request = ffi.new("struct pysb_request *", {"magic": lib.PYSB_MAGIC, "flags": flags,
                          "clone_flags": clone_flags, "setup_bytes": len(setup)})  # fmt: skip
        self.send(request, setup, self._control)

    def alive(self) -> bool:
        """Is it there, and ours? False in a child of ``os.fork()``, which must start its own."""
        if self._control < 0 or self.owner != os.getpid():
            return False
        if self._pidfd >= 0:
            return not _ended(self._pidfd, 0)
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:  # somebody else waits for all children of this process
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return False
            return True

    def end(self) -> None:
        """Have it end, with all runs that are still there; ``close`` waits for that."""
        control, self._control = self._control, -1
        if control < 0:
            return
        if self._ready and self.owner == os.getpid():
            # The end of file alone would mean our death, after which it removes more of our cgroups.
            request = ffi.new("struct pysb_request *", {"magic": lib.PYSB_MAGIC, "flags": lib.PYSB_REQ_END})
            lib.core_send_bytes(control, request, ffi.sizeof("struct pysb_request"))
        os.close(control)

    def close(self) -> int | None:
        """End it, with all runs that are still there, and wait for that; its wait status if it was ours to have."""
        if self._closed:
            return None
        self._closed = True
        self.end()
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd >= 0:
            if self.owner == os.getpid():
                _ended(pidfd, None)
            os.close(pidfd)
            return None
        if self.owner != os.getpid():
            return None
        try:
            return os.waitpid(self.pid, 0)[1]
        except ChildProcessError:
            return None


def _ended(pidfd: int, timeout_ms: int | None) -> bool:
    from select import POLLIN, poll  # with a keeper only

    watch = poll()
    watch.register(pidfd, POLLIN)
    return bool(watch.poll(timeout_ms))


def check(result: int, what: str) -> None:
    """Raise what a negative result means: OSError where fds are used up, else SupervisorError."""
    if -result in (errno.EMFILE, errno.ENFILE):
        raise OSError(-result, os.strerror(-result))
    if result < 0:
        raise SupervisorError(f"{what}: {os.strerror(-result)}")
