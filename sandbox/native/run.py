"""One run: hand a plan to a spawner, read what the run reports, send it commands.

Everything that concerns a run comes back on its own report socket, so runs do not wait for each other.
"""

from __future__ import annotations

import os

from ..errors import HostError, SetupError
from ..record import Record
from ._core import ffi, lib
from .pack import pack_run, pack_setup, setup_roles, step_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..plan import LaunchPlan
    from .spawn import Spawner

_EVENT_BYTES = 64
_MAX_EVENT_BYTES = _EVENT_BYTES + lib.PYSB_MAX_EXTRA_BYTES


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


def launch(spawner: Spawner, plan: LaunchPlan, fds: Mapping[str, int], clone_cgroup: int | None = None) -> Run:
    """Send one run. ``fds`` maps the roles in the plan to our fds; they stay ours."""
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
    setup = _packed_setup(spawner, plan, for_setup)
    run = pack_run(plan, {role: index for index, role in enumerate(for_run)})
    flags |= lib.PYSB_REQ_FRESH_NET if plan.fresh_net else 0
    flags |= lib.PYSB_REQ_JOIN if plan.joins else 0
    flags |= lib.PYSB_REQ_WRITE_MAP if plan.user_namespace and plan.ids == "range" else 0
    request.magic = lib.PYSB_MAGIC
    request.flags = flags
    request.clone_flags = plan.clone_flags
    request.setup_bytes = len(setup)
    request.run_bytes = len(run)
    if not request.setup_fds:
        spawner.last_request = (flags, plan.clone_flags, setup)
    return Run(plan, spawner.ask(request, setup + run, values))


def _packed_setup(spawner: Spawner, plan: LaunchPlan, roles: list[str]) -> bytes:
    """The packed setup; the last one is kept, for runs in a row mostly want the same."""
    last = spawner.last_setup
    if last is not None and last[0] is plan.setup:
        return last[1]
    packed = pack_setup(plan.setup, {role: index for index, role in enumerate(roles)})
    spawner.last_setup = (plan.setup, packed)
    return packed


class Run:
    """Our end of one run: its report socket, and the pidfd of its init once it is known."""

    def __init__(self, plan: LaunchPlan, report: int) -> None:
        self.plan, self.report = plan, report
        self.pidfd = -1
        self.pid = 0
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
            self.pidfd, self.pid = event.fd, event.pid
        return event

    def failure(self, event: Event) -> SetupError:
        """The sentence for a PYSB_FAILED event."""
        if event.phase == lib.PYSB_PHASE_SPAWN:
            if self.plan.joins:
                return SetupError("spawn", 0, "start a program in the sandbox", event.error, "it may have ended")
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
