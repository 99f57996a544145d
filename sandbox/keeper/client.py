"""Find the keeper that runs, or have systemd start it; ask it for spawners.

One connection a process, made at the first need and kept: as long as it is there the keeper stays, and
with it the subtree. A child of ``os.fork()`` makes its own, for the keeper knows its callers by their pid.
"""

from __future__ import annotations

import _thread  # what threading.Lock is, without the module
import errno
import os
import select
import time

from ..errors import HostError, SupervisorError
from ..executable import executable
from ..native._core import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How long the keeper may take to answer; it takes 0.1 ms.
ANSWER_MS = 5_000
# How long it may take from the D-Bus call until somebody answers; a busy machine needs a second.
START_NS = 10_000_000_000
IDLE_MS = 300_000
IDLE_VARIABLE = "PYSANDBOX_KEEPER_IDLE"  # seconds, for tests: of a keeper that is started then
SCOPE_FIX = "run it under `systemd-run --user --scope -p Delegate=yes`"
ROOT_SCOPE_FIX = "run it under `systemd-run --scope -p Delegate=yes`"

_NAMESPACES = ("user", "mount", "pid", "network", "IPC", "UTS", "cgroup", "time")


class Keeper:
    """A connection to a keeper. ``cgroup`` is the directory of its subtree."""

    def __init__(self, connection: int, pid: int, cgroup: str) -> None:
        self.pid, self.cgroup = pid, cgroup
        self._connection = connection
        self._owner = os.getpid()
        self._lock = _thread.allocate_lock()

    def alive(self) -> bool:
        """Does it still listen to this process?"""
        if self._connection < 0 or self._owner != os.getpid():
            return False
        watch = select.poll()
        watch.register(self._connection, 0)  # POLLHUP alone
        return not watch.poll(0)

    def spawn(self, control: int, *, user: bool, net: bool, uid_map: str, gid_map: str) -> tuple[int, int]:
        """A spawner with this end of its control socket: its pid, and a pidfd that is the caller's to close.

        Raises SupervisorError if the keeper is gone, OSError where this process has no fd left.
        """
        want = ffi.new("struct pysb_keep_want *")
        answer, pidfd = ffi.new("struct pysb_keep_answer *"), ffi.new("int *", -1)
        want.flags = (lib.PYSB_KEEP_WANT_USER if user else 0) | (lib.PYSB_KEEP_WANT_NET if net else 0)
        want.uid_map, want.gid_map = uid_map.encode(), gid_map.encode()
        result = lib.core_keeper_inherit(want)
        with self._lock:
            if result == 0:
                result = lib.core_keeper_ask(self._connection, want, control, answer, pidfd)
                if result and not answer.error:
                    self.close()  # an answer that comes late must not be taken for the next one's
        if -result in (errno.EMFILE, errno.ENFILE):
            raise OSError(-result, os.strerror(-result))
        if result:
            raise SupervisorError(f"the keeper (pid {self.pid}) gives no spawner: {os.strerror(-result).lower()}")
        return answer.pid, pidfd[0]

    def close(self) -> None:
        """Hang up; spawners that were had of it live on."""
        connection, self._connection = self._connection, -1
        if connection >= 0:
            os.close(connection)


_lock = _thread.allocate_lock()
_current: Keeper | None = None


def _known() -> Keeper | None:
    global _current
    if _current is not None and not _current.alive():
        _current.close()
        _current = None
    return _current


def running() -> Keeper | None:
    """The keeper that runs, None if there is none. Raises HostError if it refuses us, or does not answer."""
    global _current
    with _lock:
        if _known() is None:
            _current = _connect(unit_name())
        return _current


def obtain(mount: str) -> Keeper:
    """The keeper that runs, or a new one; ``mount`` is where cgroup2 is mounted.

    Raises HostError where systemd cannot be asked or says no, and where the keeper refuses us.
    """
    global _current
    with _lock:
        if _known() is None:
            name = unit_name()
            _current = _connect(name) or _start(name, mount)
        assert _current is not None
        return _current


def _after_fork() -> None:
    """The parent's lock may be held by a thread that does not exist here."""
    global _lock
    _lock = _thread.allocate_lock()


os.register_at_fork(after_in_child=_after_fork)


def unit_name() -> str:
    """Of its service, without the suffix: another build, another keeper."""
    # Which file it is and when it was written; a digest of the file would cost more than the connection.
    # hash() of integers is the same in every process (object.__hash__: only str and bytes are salted).
    stat = os.stat(executable())
    mark = hash((stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)) & (1 << 64) - 1
    return f"pysandbox-keeper-{lib.PYSB_KEEP_PROTOCOL}-{mark:016x}"


def runtime_directory() -> str:
    """Where the service's own directory is made: nobody else can enter it, and no sandbox sees it."""
    return f"/run/user/{os.geteuid()}" if os.geteuid() else "/run"


def connect(path: str) -> Keeper | None:
    """The keeper that listens at ``path``, None if nobody does. Raises HostError as ``running``."""
    hello = ffi.new("struct pysb_keep_hello *")
    result = lib.core_keeper_connect(os.fsencode(path), ANSWER_MS, hello)
    if -result in (errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE):
        return None  # never there, dead, or on its way out for want of work
    if -result in (errno.EMFILE, errno.ENFILE):
        raise OSError(-result, os.strerror(-result))
    if result < 0 or hello.protocol != lib.PYSB_KEEP_PROTOCOL:
        why = os.strerror(-result).lower() if result < 0 else f"it speaks protocol {hello.protocol}"
        if result >= 0:
            os.close(result)
        raise HostError(f"the keeper at {path} does not answer as it should: {why}", scope_fix())
    if hello.refusal:
        os.close(result)
        raise _refused(hello)
    return Keeper(int(result), hello.pid, os.fsdecode(ffi.string(hello.cgroup)))


def scope_fix() -> str:
    """What always works: a scope holds the caller itself, in whatever namespaces it is."""
    return SCOPE_FIX if os.geteuid() else ROOT_SCOPE_FIX


def _connect(name: str) -> Keeper | None:
    return connect(f"{runtime_directory()}/{name}/socket")


def _refused(hello: Any) -> HostError:
    whose = "the user's systemd" if os.geteuid() else "systemd"
    kind = hello.refusal
    if kind == lib.PYSB_KEEP_FULL:
        return HostError(f"the keeper of {whose} serves {lib.PYSB_KEEP_CLIENTS} callers already", scope_fix())
    if kind == lib.PYSB_KEEP_IDS:
        what = f"runs with uid {os.geteuid()} and gid {os.getegid()}, {whose} with others"
    elif kind == lib.PYSB_KEEP_GROUPS:
        what = f"has other supplementary groups than {whose}"
    elif kind == lib.PYSB_KEEP_HIDDEN:
        what = f"hides its namespaces from the keeper: {os.strerror(hello.error).lower()}"
    elif kind == lib.PYSB_KEEP_ROOT:
        what = f"has another root directory than {whose}"
    else:
        what = f"is in another {_NAMESPACES[kind - lib.PYSB_KEEP_USER_NS]} namespace than {whose}"
    return HostError(f"this process {what}", scope_fix())


def _start(name: str, mount: str) -> Keeper:
    from . import systemd

    end_ns = time.monotonic_ns() + START_NS
    command = [executable(), "keep", f"{runtime_directory()}/{name}/socket", mount, str(_idle_ms())]
    while True:
        # False: there is such a unit. Somebody else is starting it, or it is on its way out.
        systemd.start_service(name, command)
        keeper = _connect(name)
        if keeper is not None:
            return keeper
        if time.monotonic_ns() > end_ns:
            raise HostError(f"{name}.service was started by systemd, but nobody answers", systemd.journal_fix(name))
        time.sleep(0.02)


def _idle_ms() -> int:
    seconds = os.environ.get(IDLE_VARIABLE, "")
    return int(seconds) * 1000 if seconds.isascii() and seconds.isdigit() else IDLE_MS
