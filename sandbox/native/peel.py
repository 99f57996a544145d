"""Taking the files of an lxcfs that died away from a running sandbox (``peel.c``).

They answer ENOTCONN for ever; what they were bound over, our own files, is right still. A Supervision watches
``PeelWatch.pidfd``, or has it asked every second where there is none, and when that lxcfs is gone it sends what
the init handed out at its start: its namespaces.
"""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from ..errors import SupervisorError
from ..procview.process import Question
from ..record import Record
from ._core import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spawn import Spawner


# How often lxcfs is asked whether it is there, where its process cannot be watched.
ASK_NS = 1_000_000_000
# Taking it away takes 0.2 ms.
SETTLE_MS = 500


class Peel(Record):
    """``paths`` are what lxcfs serves in the sandbox, absolute; ``spawner`` is the sandbox's. ``pidfd`` becomes
    readable when lxcfs is gone (ours to read, not to close); where that is -1 ``file`` is one to be read."""

    spawner: Spawner
    pidfd: int
    paths: tuple[str, ...]
    file: str = ""

    def begin(self, user_namespace: int, mount_namespace: int) -> int:
        """Have them taken away. A socket, on which one event comes: PYSB_PEELED or PYSB_FAILED.

        Raises SupervisorError if the spawner is gone.
        """
        text = b"".join(os.fsencode(path) + b"\0" for path in self.paths)
        request = ffi.new("struct pysb_request *", {
            "magic": lib.PYSB_MAGIC, "flags": lib.PYSB_REQ_PEEL, "setup_bytes": len(text),
        })  # fmt: skip
        return self.spawner.ask(request, text, (user_namespace, mount_namespace))


def result_of(socket: int) -> tuple[int, int]:
    """How many paths were freed, and errno of the first that was not (or of the whole), from ``begin``'s socket."""
    event = ffi.new("struct pysb_event *")
    count = ffi.new("int *", 0)
    length = lib.core_receive_fds(socket, event, ffi.sizeof("struct pysb_event"), ffi.NULL, count)
    if length <= 0:
        return 0, -length or 32  # EPIPE: it was ended (by its own clock) before it could say anything
    return (event.step if event.kind == lib.PYSB_PEELED else 0), event.error


class PeelWatch:
    """One run's share in it, from the launch to the end: what was handed out, what was noticed, how it went."""

    def __init__(self, peel: Peel) -> None:
        self._peel = peel
        self.pidfd = os.dup(peel.pidfd) if peel.pidfd >= 0 else -1
        self.next_ns = None if peel.pidfd >= 0 else monotonic_ns() + ASK_NS
        self._question: Question | None = None
        self._namespaces = [-1, -1]
        self._gone = self._finished = False
        self.socket = -1
        self.note = ""

    def wants(self, which: int) -> bool:
        """Is this one of the two, and not here yet?"""
        return which < 2 and self._namespaces[which] < 0

    def give(self, which: int, fd: int) -> None:
        """From the init: its user namespace (0), its mount namespace (1)."""
        self._namespaces[which] = fd

    def lost(self) -> None:
        """That lxcfs is gone."""
        self._gone = True
        self.note = "lxcfs died during the run: figures in /proc that it showed answered with errors"

    def ask(self) -> int:
        """It is ``next_ns``: ask it. An fd that is readable when there is an answer, -1 if that is not known yet."""
        self.next_ns = monotonic_ns() + ASK_NS
        if self._question is not None:
            return -1
        try:
            self._question = Question(self._peel.file)
        except OSError:  # no process to be had just now
            return -1
        return self._question.pidfd

    def heard(self) -> bool:
        """The answer to ``ask``: is it there still?"""
        question, self._question = self._question, None
        assert question is not None
        answered = question.answered()
        question.close()
        if not answered:
            self.next_ns = None
        return answered

    def begin(self) -> bool:
        """Begin if it is time to, once; True if ``socket`` is to be watched from now on."""
        if not self._gone or -1 in self._namespaces or self.socket >= 0:
            return False
        try:
            self.socket = self._peel.begin(*self._namespaces)
        except SupervisorError:  # the spawner is gone, and with it the run: that is what is to be told
            return False
        return True

    def settle(self) -> None:
        """The run has ended: the answer may be there or come at once, for what the program saw was done by then."""
        if self.socket < 0 or self._finished:
            return
        waiting = select.poll()
        waiting.register(self.socket, select.POLLIN)
        if waiting.poll(SETTLE_MS):
            self.finish()

    def finish(self) -> None:
        """The answer is there."""
        self._finished = True
        freed, error = result_of(self.socket)
        if freed == len(self._peel.paths):
            self.note = "lxcfs died during the run: /proc has shown our own files since then"
        else:
            self.note += f", which could not be taken away: {os.strerror(error).lower()}"

    def close(self) -> None:
        for fd in (self.pidfd, self.socket, *self._namespaces):
            if fd >= 0:
                os.close(fd)
        if self._question is not None:
            self._question.close()
        self._question = self.next_ns = None
        self.pidfd = self.socket = -1
        self._namespaces = [-1, -1]
        self._gone = False
