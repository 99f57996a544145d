"""Python's side of the spawner: start it, hand it a plan, and read what a run reports.

One Spawner serves any number of threads and runs at a time: a request is one atomic datagram, and
everything that concerns a run comes back on that run's own report socket.
"""

from __future__ import annotations

import os

from ..errors import HostError, SetupError, SupervisorError
from ..record import Record
from ._core import ffi, lib
from .pack import pack_run, pack_setup, setup_roles, step_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..plan import LaunchPlan
    from ..steps import Step

_HERE = os.path.dirname(os.path.abspath(__file__))
_EVENT_BYTES = 64
_MAX_EVENT_BYTES = _EVENT_BYTES + lib.PYSB_MAX_BASELINE_BYTES

# A spawner that is built with sanitizers, for tests; it is executed as it is.
_OVERRIDE = "PYSANDBOX_SPAWNER"

_F_ADD_SEALS, _ALL_SEALS = 1033, 0x1F
_MFD_EXEC = 0x10


class Event(Record):
    """One message of a run; see ``struct pysb_event``. ``fd`` is ours to close, -1 if none came."""

    kind: int
    phase: int
    step: int
    error: int
    status: int
    notes: int
    pid: int
    at_ns: int
    user_us: int
    system_us: int
    maxrss_kib: int
    extra: bytes
    fd: int


def executable() -> str:
    """Path of the spawner's file. Raises HostError if the native core was not built."""
    path = os.environ.get(_OVERRIDE) or os.path.join(_HERE, "spawner")
    if not os.access(path, os.X_OK):
        raise HostError(f"the native spawner is missing at {path}", "build it: ./dev setup, or pip install pysandbox")
    return path


def _sealed_copy(path: str) -> int:
    """The executable in a memfd that nobody can write: /proc/PID/exe leads nowhere (CVE-2019-5736)."""
    import fcntl

    with open(path, "rb", buffering=0) as file:
        code = file.read()
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        fd = os.memfd_create("pysandbox-spawner", flags | _MFD_EXEC)
    except OSError:  # EINVAL before Linux 6.3, which had no MFD_EXEC and no need of it
        fd = os.memfd_create("pysandbox-spawner", flags)
    os.write(fd, code)
    fcntl.fcntl(fd, _F_ADD_SEALS, _ALL_SEALS & ~0x10)
    return fd


class Spawner:
    """A running spawner process.

    ``uid_map``/``gid_map`` are written by the spawner itself; with None the callback ``write_maps``
    is called with its pid while it waits. ``user`` False: no user namespace at all. ``net`` False:
    it stays in the caller's network namespace.
    """

    def __init__(
        self,
        *,
        prefix: str,
        uid_map: str = "",
        gid_map: str = "",
        write_maps: Callable[[int], None] | None = None,
        user: bool = True,
        net: bool = True,
    ) -> None:
        if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
            raise HostError("pysandbox refuses to run setuid or setgid", "run it as the user that owns the sandbox")
        self.owner = os.getpid()
        self._last_setup: tuple[tuple[Step, ...], bytes] | None = None
        self._maps = (uid_map, gid_map, write_maps)
        self.pid, self._control = self._start(prefix, user, net)

    def _start(self, prefix: str, user: bool, net: bool) -> tuple[int, int]:
        two = ffi.new("int[2]")
        _check(lib.core_pair(two), "socketpair")
        code = -1
        try:
            path = executable()
            if _OVERRIDE not in os.environ:
                code = _sealed_copy(path)
                path = f"/proc/self/fd/{code}"
            kinds = ("user" if user else "plain", "net" if net else "nonet")
            argv = ["pysandbox-spawner", str(self.owner), prefix, *kinds, *self._maps[:2]]
            # posix_spawn is vfork-like: no copy of this process, however large or threaded it is.
            # A session of its own keeps the terminal's Ctrl-C away from it.
            actions = [(os.POSIX_SPAWN_DUP2, two[1], 3)]
            environ = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
            pid = os.posix_spawn(path, argv, environ, file_actions=actions, setsid=True)
        except OSError as error:
            os.close(two[0])
            raise HostError(
                f"cannot start the spawner: {error.strerror}",
                "mount /proc, and allow executable memfds (sysctl vm.memfd_noexec below 2)",
            ) from error
        except BaseException:
            os.close(two[0])
            raise
        finally:
            os.close(two[1])
            if code >= 0:
                os.close(code)
        return pid, int(two[0])

    def wait_ready(self) -> None:
        """Wait until its user namespace is there. Raises HostError with ``step`` and errno words."""
        buffer = ffi.new("char[8]")
        while True:
            length = lib.core_hello(self._control, buffer, 8)
            word = bytes(ffi.buffer(buffer, max(length, 0)))
            if word[:1] == b"M" and length == 1:
                assert self._maps[2]
                self._maps[2](self.pid)
                _check(lib.core_send_bytes(self._control, b"G", 1), "the spawner's maps")
                continue
            if word[:1] == b"R":
                return
            self.close()
            from ..diagnose import spawner_failed

            raise spawner_failed(int.from_bytes(word[2:6], "little", signed=True) if len(word) == 6 else 0)

    def give_cgroups(self, directories: tuple[int, ...]) -> None:
        """Directories (fds) from which the spawner removes our leaves when we are gone."""
        request = ffi.new("struct pysb_request *", {"magic": lib.PYSB_MAGIC})
        everything = [self._control, *directories]
        _check(lib.core_send(self._control, request, everything, len(everything)), "the spawner")

    def launch(self, plan: LaunchPlan, fds: Mapping[str, int], clone_cgroup: int | None = None) -> Run:
        """Send one run. ``fds`` maps the roles in the plan to our fds; they stay ours."""
        two = ffi.new("int[2]")
        _check(lib.core_pair(two), "socketpair")
        memfd = -1
        try:
            for_setup = setup_roles(plan.setup)
            values = [fds[role] for role in for_setup]
            flags = 0
            request = ffi.new("struct pysb_request *")
            if clone_cgroup is not None:
                flags |= lib.PYSB_REQ_CGROUP
                request.cgroup_fd = len(values)
                values.append(clone_cgroup)
            request.setup_fds = len(values)
            for_run = [role for role in fds if role not in for_setup]
            values += [fds[role] for role in for_run]
            if len(values) > lib.PYSB_MAX_FDS:
                raise HostError(f"a run needs {len(values)} fds", f"share at most {lib.PYSB_MAX_FDS} files at a time")
            setup = self._pack_setup(plan, for_setup)
            run = pack_run(plan, {role: index for index, role in enumerate(for_run)})
            memfd = os.memfd_create("pysandbox-plan", os.MFD_CLOEXEC)
            os.write(memfd, setup + run)
            flags |= lib.PYSB_REQ_FRESH_NET if plan.fresh_net else 0
            flags |= lib.PYSB_REQ_WRITE_MAP if plan.user_namespace and plan.ids == "range" else 0
            request.magic = lib.PYSB_MAGIC
            request.flags = flags
            request.clone_flags = plan.clone_flags
            request.setup_bytes = len(setup)
            request.run_bytes = len(run)
            message = [two[1], memfd, *values]
            _check(lib.core_send(self._control, request, message, len(message)), "the spawner")
        except BaseException:
            os.close(two[0])
            raise
        finally:
            os.close(two[1])
            if memfd >= 0:
                os.close(memfd)
        return Run(plan, int(two[0]))

    def _pack_setup(self, plan: LaunchPlan, roles: list[str]) -> bytes:
        """The packed setup; the last one is kept, for runs in a row mostly want the same."""
        last = self._last_setup
        if last is not None and last[0] is plan.setup:
            return last[1]
        packed = pack_setup(plan.setup, {role: index for index, role in enumerate(roles)})
        self._last_setup = (plan.setup, packed)
        return packed

    def alive(self) -> bool:
        """Is it there, and ours? False in a child of ``os.fork()``, which must start its own."""
        if self._control < 0 or self.owner != os.getpid():
            return False
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:  # somebody else waits for all children of this process
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return False
            return True

    def close(self) -> None:
        """End it; runs that are still there are killed by it. Returns at once."""
        control, self._control = self._control, -1
        if control < 0:
            return
        os.close(control)
        if self.owner != os.getpid():
            return
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass


class Run:
    """Our end of one run: its report socket, and the pidfd of its init once it is known."""

    def __init__(self, plan: LaunchPlan, report: int) -> None:
        self.plan, self.report = plan, report
        self.pidfd = -1
        self._buffer = ffi.new("char[]", _MAX_EVENT_BYTES)
        self._fd = ffi.new("int *")

    def receive(self) -> Event | None | bool:
        """The next event; None if there is none yet; False at the end of file."""
        length = lib.core_receive(self.report, self._buffer, _MAX_EVENT_BYTES, self._fd)
        if length == -11:  # EAGAIN
            return None
        if length <= 0:
            return False
        raw = ffi.cast("struct pysb_event *", self._buffer)
        event = Event(
            kind=raw.kind, phase=raw.phase, step=raw.step, error=raw.error, status=raw.status, notes=raw.notes,
            pid=raw.pid, at_ns=raw.at_ns, user_us=raw.user_us, system_us=raw.system_us, maxrss_kib=raw.maxrss_kib,
            extra=bytes(ffi.buffer(self._buffer, length)[_EVENT_BYTES:]), fd=self._fd[0],
        )  # fmt: skip
        if event.kind == lib.PYSB_SPAWNED:
            self.pidfd = event.fd
        return event

    def failure(self, event: Event) -> SetupError:
        """The sentence for a PYSB_FAILED event."""
        if event.phase == lib.PYSB_PHASE_SPAWN:
            from ..diagnose import spawn_hint

            return SetupError("spawn", 0, "make the namespaces of the run", event.error, spawn_hint(event.error))
        step = step_at(self.plan, event.phase, event.step)
        subject = step.describe() if step else "start the program"
        return SetupError(type(step).__name__, event.step, subject, event.error)

    def command(self, kind: int, number: int = 0) -> bool:
        """Tell the init; False if it is gone."""
        words = ffi.new("struct pysb_command *", {"kind": kind, "number": number})
        return bool(lib.core_send_bytes(self.report, words, ffi.sizeof("struct pysb_command")) == 0)

    def kill(self) -> None:
        """SIGKILL for the init, and with it for all of its pid namespace."""
        if self.pidfd >= 0:
            lib.core_signal(self.pidfd, 9)

    def close(self) -> None:
        for fd in (self.report, self.pidfd):
            if fd >= 0:
                os.close(fd)
        self.report = self.pidfd = -1


def _check(result: int, what: str) -> None:
    if result < 0:
        raise SupervisorError(f"{what}: {os.strerror(-result)}")


if TYPE_CHECKING:
    from collections.abc import Callable
