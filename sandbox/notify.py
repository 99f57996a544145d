"""System calls answered by a Python callable: seccomp_unotify(2).

    def handler(call: Notification) -> Reply:
        if call.name == "connect" and b"\\x00\\x50" not in call.read(call.args[1], 8):
            return Refuse(errno.EACCES)
        return Allow()

    run(argv, policy="./asks.toml", notify=handler)

Theory of operation. The program's process loads a filter and sends its listener to us before it executes the
program. A call that the filter asks about waits in the kernel until we answer; of our epoll loop one turn answers
a few of them, so that no number of callers keeps a run from its deadlines.

Whose memory is read. The number in a notification may be another process by the time it is used. /proc/PID/mem is
opened, which pins the address space, and only then is the kernel asked whether the call still waits
(SECCOMP_IOCTL_NOTIF_ID_VALID): if it does, its thread has held the number all the time, and what is open is its
memory. A page that a userfaultfd is to fill is never waited for (access_remote_vm() does not let a fault sleep
there). Where the file is closed to us because the program has another id or is not dumpable, process_vm_readv(2)
asks for less: the creator of its user namespace may. It does wait for a userfaultfd, which an unprivileged one can
make of it only if vm.unprivileged_userfaultfd is 1; then the answer is no.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
from struct import Struct
from time import monotonic_ns

from .errors import HostError
from .record import Record
from .syscalls import abi_of, name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# <linux/seccomp.h>. The sizes are part of the numbers: a kernel whose structs are larger keeps these or says ENOTTY.
_NOTIF = Struct("=QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags; seccomp_data: nr, arch, instruction_pointer, args
_RESP = Struct("=QqiI")  # struct seccomp_notif_resp: id, val, error, flags
_ID = Struct("=Q")
_RECV, _SEND, _ID_VALID, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40082104
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
_SYNC_WAKE_UP = 1  # SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6: caller and listener take turns on one CPU
_EMPTY = bytes(_NOTIF.size)  # the kernel insists on zeros
_MAX_ERRNO = 4095
_PF_FORKNOEXEC = 0x40  # include/linux/sched.h; field 9 of /proc/PID/stat, proc(5)

# One turn of the loop: deadlines and output come next.
TURN_CALLS = 64
TURN_NS = 2_000_000
PATH_MAX = 4096
_PAGE = 4096
_MAX_READ = 1 << 20


class Reply:
    """What becomes of a call: Allow, Refuse, Return or Kill."""

    __slots__ = ()

    def packed(self, number: int) -> bytes:
        """struct seccomp_notif_resp."""
        raise NotImplementedError


class Allow(Reply):
    """Let the kernel carry the call out.

    Safe as far as the registers go (``abi``, ``number``, ``args``): those cannot change while the call waits. What
    memory held (a path, an address) is no ground for it: another thread can write there before the kernel
    reads it again, seccomp_unotify(2).
    """

    __slots__ = ()

    def packed(self, number: int) -> bytes:
        return _RESP.pack(number, 0, 0, _CONTINUE)


class Refuse(Reply):
    """The call fails with this errno (1 to 4095) and is not carried out."""

    __slots__ = ("errno",)

    def __init__(self, errno: int) -> None:
        if not 0 < errno <= _MAX_ERRNO:
            raise ValueError(f"an errno is 1 to {_MAX_ERRNO} (got {errno})")
        self.errno = errno

    def packed(self, number: int) -> bytes:
        return _RESP.pack(number, 0, -self.errno, 0)


class Return(Reply):
    """The call returns this number and is not carried out."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"a call returns 64 bits (got {value})")
        self.value = value

    def packed(self, number: int) -> bytes:
        return _RESP.pack(number, self.value, 0, 0)


class Kill(Reply):
    """End the whole run: outcome "syscall". The call is not carried out and never returns."""

    __slots__ = ()


class Notification(Record):
    """A system call that waits for an answer.

    pid: its thread, as our pid namespace numbers it. abi: "x86_64", "i386", "x32", "aarch64", "arm" or "".
    number and args: as the kernel was given them, all of them unsigned. name: "" if it is not known. ip: address of
    the instruction behind the call. start: this is the execve by which pysandbox starts the program, made once for
    each directory of PATH until one has it; the memory of its caller is closed to us.
    """

    id: int
    pid: int
    abi: str
    number: int
    name: str
    args: tuple[int, ...]
    ip: int
    start: bool = False

    def read(self, address: int, length: int) -> bytes:
        """Up to ``length`` bytes (at most 1 MiB) of the caller's memory, fewer where less of it is there.

        Raises ProcessLookupError if the caller is gone, PermissionError if its memory is closed to us.
        """
        return self._listener.read(self, address, length)

    def string(self, address: int, limit: int = PATH_MAX) -> bytes:
        """The text at an address up to its NUL. Raises as ``read``."""
        return self.read(address, limit).partition(b"\0")[0]

    @property
    def waits(self) -> bool:
        """Does the caller still wait? If so, ``pid`` has been its number up to now."""
        return self._listener.waits(self)

    @property
    def _listener(self) -> Listener:
        listener = self.__dict__.get("listener")
        if listener is None:
            raise ProcessLookupError(errno.ESRCH, "the call has been answered")
        assert isinstance(listener, Listener)
        return listener


class Listener:
    """``fd`` is ours from now on. What the handler raises comes out of ``ready``. ``program`` is the number of the
    program in its own pid namespace, 0 if it is not known, ``depth`` 2 if that is not ours but one below it."""

    def __init__(
        self, fd: int, handler: Callable[[Notification], Reply], *, program: int = 0, depth: int = 1
    ) -> None:  # fmt: skip
        self.fd, self._handler = fd, handler
        self._program, self._depth = program, depth
        self._starting = program > 0
        self.killed = ""  # the call that Kill was the answer to
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        try:
            fcntl.ioctl(fd, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:  # slower, no more
            pass

    def ready(self) -> bool:
        """Answer what waits, for a turn of the loop. False if it need not be called again: nobody is left under the
        filter, or ``killed``. Raises what the handler raises, TypeError for an answer that is none, HostError."""
        until = monotonic_ns() + TURN_NS
        for _ in range(TURN_CALLS):
            # RECV waits if nothing is there. Only we take calls, so what poll has seen can at most die: ENOENT
            events = self._poll.poll(0)
            if not events:
                return True
            if not events[0][1] & select.POLLIN:
                return False
            self._answer_one()
            if self.killed:
                return False
            if monotonic_ns() >= until:
                return True
        return True

    def _answer_one(self) -> None:
        try:
            raw = fcntl.ioctl(self.fd, _RECV, _EMPTY)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):  # whoever called is gone
                return
            if error.errno == errno.ENOTTY:
                raise HostError("this kernel has other structs for seccomp notifications",
                                "run without notify") from error  # fmt: skip
            raise
        number, pid, _flags, nr, arch, ip, *args = _NOTIF.unpack(raw)
        abi = abi_of(arch, nr)
        word = call_name(abi, nr)
        if self._starting:  # no other process is there before it has executed the program
            self._starting = word == "execve" and self._has_not_executed(pid)
        call = Notification(id=number, pid=pid, abi=abi, number=nr & 0xFFFFFFFF, name=word, args=tuple(args), ip=ip,
                            start=self._starting)  # fmt: skip
        call.__dict__["listener"] = self
        try:
            reply = self._handler(call)
        finally:
            del call.__dict__["listener"]
        if isinstance(reply, Kill):
            self.killed = call.name or f"{abi or 'unknown'} call {nr}"
            return
        if not isinstance(reply, Reply):
            raise TypeError(f"the notify handler answered {call.name or nr} with {reply!r}; "
                            "it must return Allow(), Refuse(errno), Return(value) or Kill()")  # fmt: skip
        try:
            fcntl.ioctl(self.fd, _SEND, reply.packed(number))
        except OSError as error:
            if error.errno != errno.ENOENT:  # it was killed meanwhile
                raise

    def close(self) -> None:
        """Whoever still waits, or calls later, gets ENOSYS."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _has_not_executed(self, pid: int) -> bool:
        """Is this the program's process, forked and not yet another program? The kernel's word for it, for what the
        program could make look the same: a flag that no execve leaves, and its number in the sandbox."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                flags = int(file.read().rpartition(b")")[2].split()[6])
            with open(f"/proc/{pid}/status", "rb") as file:
                numbers = file.read().partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
        except (OSError, ValueError, IndexError):  # gone, or a /proc that hides it
            return False
        return bool(flags & _PF_FORKNOEXEC) and len(numbers) == self._depth and int(numbers[-1]) == self._program

    # ---- the caller ----

    def waits(self, call: Notification) -> bool:
        """SECCOMP_IOCTL_NOTIF_ID_VALID."""
        try:
            fcntl.ioctl(self.fd, _ID_VALID, _ID.pack(call.id))
        except OSError:
            return False
        return True

    def read(self, call: Notification, address: int, length: int) -> bytes:
        """As Notification.read."""
        length = min(length, _MAX_READ)
        if length <= 0 or not 0 <= address < 1 << 63:
            return b""
        if call.pid <= 0 or not _numbers_are_ours():
            raise PermissionError(errno.EXDEV, "the caller has no number in our pid namespace")
        try:
            fd = os.open(f"/proc/{call.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM):
                raise self._lost(call) from error
            data = _vm_read(call.pid, address, length)
            if not self.waits(call):
                raise self._lost(call) from None
            return data
        try:
            if not self.waits(call):
                raise self._lost(call)
            return os.pread(fd, length, address)
        except OSError as error:
            if error.errno == errno.EIO:  # nothing is mapped there
                return b""
            raise
        finally:
            os.close(fd)

    def _lost(self, call: Notification) -> ProcessLookupError:
        return ProcessLookupError(errno.ESRCH, f"thread {call.pid} is gone")


def call_name(abi: str, number: int) -> str:
    """The name of a call, "" if it is not known."""
    return (name(abi, number) or "") if abi in _TABLES else ""


_TABLES = ("x86_64", "aarch64", "i386", "x32")


def _numbers_are_ours() -> bool:
    """Is /proc that of our pid namespace? Asked, not trusted: "self" must be our own number there."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


_readv: Any = None


def _vm_read(pid: int, address: int, length: int) -> bytes:
    """process_vm_readv(2). Whose memory it was only the caller can tell, by asking afterwards whether it waits."""
    global _readv
    import ctypes

    if _readv is None:
        try:
            with open("/proc/sys/vm/unprivileged_userfaultfd", "rb") as file:
                if file.read().strip() != b"0":
                    raise PermissionError(errno.EACCES, "closed memory, and vm.unprivileged_userfaultfd is 1")
        except FileNotFoundError:
            pass  # a kernel without userfaultfd
        _readv = ctypes.CDLL(None, use_errno=True).process_vm_readv
        _readv.restype = ctypes.c_ssize_t
    # what is transferred in part ends between two of these: one for each page
    parts, at = [], address
    while at < address + length:
        end = min((at // _PAGE + 1) * _PAGE, address + length)
        parts.append((at, end - at))
        at = end
    buffer = ctypes.create_string_buffer(length)
    iovec = ctypes.c_size_t * 2
    local = iovec(ctypes.addressof(buffer), length)
    remote = (ctypes.c_size_t * (2 * len(parts)))(*(word for part in parts for word in part))
    got = _readv(ctypes.c_int(pid), local, ctypes.c_ulong(1), remote, ctypes.c_ulong(len(parts)), ctypes.c_ulong(0))
    if got < 0:
        code = ctypes.get_errno()
        if code == errno.EFAULT:
            return b""
        raise OSError(code, os.strerror(code))
    return buffer.raw[:got]
