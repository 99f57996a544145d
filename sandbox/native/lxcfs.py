"""Our end of a private lxcfs (``lxcfs.c``): start it, ask its server for files, end it."""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from ..errors import HostError
from ._core import ffi, lib
from .pack import pack_lxcfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..steps import Step
    from .spawn import Spawner

# It is there after 15 ms; in an emulated machine after 400.
START_NS = 20_000_000_000
# The server answers without asking lxcfs: 0.1 ms.
ANSWER_NS = 5_000_000_000
# From its SIGKILL or the end of its socket until the server is gone.
END_MS = 2000
LOG_SHOWN_BYTES = 400

_FIX = "use --proc static, or have an administrator start the system's lxcfs"
_EVENT_BYTES = ffi.sizeof("struct pysb_event")
_COMMAND_BYTES = ffi.sizeof("struct pysb_command")


class LxcfsServer:
    """The server process beside a running lxcfs. ``pidfd`` becomes readable when either is gone.

    ``root`` makes the root of lxcfs, ``exports`` are paths below the last word of ``argv``; ``fds`` are
    those that ``root`` names; ``cgroups`` on v2 the one around and the one inside (see ``lxcfs.c``). Raises
    HostError with what the kernel or lxcfs itself said if it cannot be started.
    """

    def __init__(
        self,
        spawner: Spawner,
        root: tuple[Step, ...],
        exports: tuple[Step, ...],
        argv: tuple[bytes, ...],
        fds: Mapping[str, int],
        cgroups: tuple[int, int] | None,
    ) -> None:
        self.pid = self.lxcfs_pid = self.pidfd = self._socket = -1
        self._root, self._exports = root, exports
        self._buffer = ffi.new("struct pysb_event *")
        self._fds = ffi.new("int[]", lib.PYSB_MAX_EXPORTS)
        self._lock = _new_lock()
        self._log = os.memfd_create("pysandbox-lxcfs-log", os.MFD_CLOEXEC)
        try:
            self._send(spawner, argv, fds, cgroups)
            deadline_ns = monotonic_ns() + START_NS
            while self.lxcfs_pid < 0 or self.pidfd < 0:  # two processes say it
                kind, given = self._receive(deadline_ns)
                if kind == lib.PYSB_SPAWNED and given:
                    self.pid, self.pidfd = self._buffer.pid, given[0]
                elif kind == lib.PYSB_READY:
                    self.lxcfs_pid = self._buffer.pid
                else:
                    raise HostError(f"a private lxcfs cannot be started: {self._reason(kind)}", _FIX)
        except BaseException:
            self.close()
            raise

    def _send(
        self, spawner: Spawner, argv: tuple[bytes, ...], fds: Mapping[str, int], cgroups: tuple[int, int] | None
    ) -> None:
        roles = list(fds)
        plan = pack_lxcfs(self._root, self._exports, {r: n + 1 for n, r in enumerate(roles)}, argv, (b"PATH=/usr/bin",))
        values = [self._log, *(fds[r] for r in roles), *(cgroups or ())]
        request = ffi.new("struct pysb_request *", {
            "magic": lib.PYSB_MAGIC, "flags": lib.PYSB_REQ_LXCFS | (lib.PYSB_REQ_CGROUP if cgroups else 0),
            "setup_bytes": len(plan), "setup_fds": len(values), "cgroup_fd": len(values) - 2 if cgroups else 0,
        })  # fmt: skip
        self._socket = spawner.ask(request, plan, values)

    def _receive(self, deadline_ns: int) -> tuple[int, list[int]]:
        """The kind of the next event and its fds; 0 at the end of file, -1 when the time is over."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        while True:
            if not waiting.poll(max(0, deadline_ns - monotonic_ns()) // 1_000_000 + 1):
                return -1, []
            count = ffi.new("int *", lib.PYSB_MAX_EXPORTS)
            length = lib.core_receive_fds(self._socket, self._buffer, _EVENT_BYTES, self._fds, count)
            if length == -11:  # EAGAIN
                continue
            if length <= 0:
                return 0, []
            return int(self._buffer.kind), [int(self._fds[n]) for n in range(count[0])]

    def _reason(self, kind: int) -> str:
        event: Any = self._buffer
        if kind == -1:
            return "it does not answer"
        said = self._last_words()
        if kind == lib.PYSB_ENDED:
            status = event.status
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
            return f"lxcfs ended with {how}{said}"
        if kind != lib.PYSB_FAILED:
            return f"its server died{said}"
        fault = os.strerror(event.error).lower()
        if event.phase == lib.PYSB_PHASE_SETUP:
            return f"{self._root[event.step].describe()}: {fault}"
        if event.phase == lib.PYSB_PHASE_PROGRAM and event.step < len(self._exports):
            return f"{self._exports[event.step].describe()}: {fault}{said}"
        what = "lxcfs cannot be executed" if event.phase == lib.PYSB_PHASE_PROGRAM else "its process cannot be made"
        return f"{what}: {fault}"

    def _last_words(self) -> str:
        """What lxcfs wrote last."""
        size = os.fstat(self._log).st_size
        text = os.pread(self._log, LOG_SHOWN_BYTES, max(0, size - LOG_SHOWN_BYTES))
        lines = text.decode(errors="replace").split("\n")
        words = [line.strip() for line in lines if line.strip()]
        return f" (it says: {words[-1]})" if words else ""

    def alive(self) -> bool:
        """Are the server and lxcfs there?"""
        if self.pidfd < 0:
            return False
        waiting = select.poll()
        waiting.register(self.pidfd, select.POLLIN)
        return not waiting.poll(0)

    def clones(self, mask: int) -> list[int]:
        """Detached mounts of those exports whose bits are set, in order; the caller closes them.

        Each can be attached once. Raises HostError if lxcfs or its server is gone or does not answer.
        """
        words = ffi.new("struct pysb_command *", {"kind": lib.PYSB_CLONE, "number": mask})
        with self._lock:
            sent = lib.core_send_bytes(self._socket, words, _COMMAND_BYTES) if self._socket >= 0 else -1
            kind, given = self._receive(monotonic_ns() + ANSWER_NS) if sent == 0 else (0, [])
            error = self._buffer.error if kind == lib.PYSB_CLONED else 0
            if kind != lib.PYSB_CLONED:  # what came later would be taken for the answer to the next question
                self._kill()
        if kind == lib.PYSB_CLONED and not error:
            return given
        for fd in given:
            os.close(fd)
        reason = os.strerror(error).lower() if error else self._reason(kind)
        raise HostError(f"the private lxcfs is lost: {reason}", "run it again: another one will be started")

    def _kill(self) -> None:
        if self.pidfd >= 0:
            lib.core_signal(self.pidfd, 9)

    def close(self) -> None:
        """End both; returns when the server is gone. Mounts that were handed out are dead from now on."""
        sock, self._socket = self._socket, -1
        if sock >= 0:
            os.close(sock)
        if self.pidfd >= 0:
            self._kill()
            waiting = select.poll()
            waiting.register(self.pidfd, select.POLLIN)
            waiting.poll(END_MS)
            os.close(self.pidfd)
            self.pidfd = -1
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


def _new_lock() -> Any:
    import _thread  # what threading.Lock is, without the module

    return _thread.allocate_lock()
