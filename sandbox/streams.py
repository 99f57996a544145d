"""The program's stdin, stdout and stderr: what is handed over, and what is copied in between.

Nothing of the caller's is handed over unless it was named (INHERIT, an fd, a file): a shared open
file description would let the program change its offset, its flags, or read the caller's terminal.
So by default output passes through pipes of our own, counted as it passes, and input comes from a
memfd or from a description that is opened anew.
"""

from __future__ import annotations

import os
import select
import stat

from .errors import RequestError
from .request import CAPTURE, DEVNULL, INHERIT, STDOUT, HandOver, Tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .request import Request

FORWARD = "forward"  # stdin only, for the command line: the same bytes, another description

CHUNK = 65536
# POLLOUT of a pipe promises room for this much and no more (pipe(7)): a larger write could block us.
ATOMIC = 4096
# What a run may leave in our memory when no output limit was asked for.
DEFAULT_CAPTURE_BYTES = 64 << 20


class Forward:
    """``stdin=Forward(fd)``: the bytes that can be read there, through a pipe; the fd may be closed after the
    launch."""

    def __init__(self, fd: int) -> None:
        self.fd = fd


class Flow:
    """Bytes on their way from ``source`` to ``sink`` (an fd, or None: collected in ``data``).

    ``counted``: they count as output of the program. ``limit``: how much of them is kept or passed
    on. What the sink does not take at once waits in ``pending``; no more than one chunk does.
    """

    def __init__(self, name: str, source: int, sink: int | None, *, counted: bool, limit: int | None,
                 close_sink: bool = False) -> None:  # fmt: skip
        self.name, self.source, self.sink, self.counted, self.limit = name, source, sink, counted, limit
        self.close_sink = close_sink
        self.tap: Callable[[bytes], None] | None = None  # sees what passes
        self.data = bytearray()
        self.pending = b""
        self.total = 0
        self.truncated = False
        self.ended = False
        self.broken = False  # the sink is closed at the other end
        self.sink_pollable = sink is not None and _pollable(sink)
        self._chunk = ATOMIC if self.sink_pollable else CHUNK

    def read(self, allowed: int | None) -> int:
        """Take one chunk; keep at most ``allowed`` bytes of it. The number read, 0 at the end."""
        try:
            chunk = os.read(self.source, CHUNK)
        except BlockingIOError:
            return -1
        except OSError:  # EIO: the last process of a pty has gone
            chunk = b""
        if not chunk:
            self.ended = True
            return 0
        keep = len(chunk) if allowed is None else max(0, min(len(chunk), allowed))
        if self.limit is not None:
            keep = min(keep, max(0, self.limit - self.total))
        self.truncated |= keep < len(chunk)
        self.total += len(chunk)
        kept = chunk[:keep]
        if self.tap is not None and kept:
            self.tap(kept)
        if self.sink is None:
            if self.tap is None:
                self.data += kept
        elif not self.broken:
            self.pending += kept
            if not self.sink_pollable:
                self.write()
        return len(chunk)

    def write(self) -> None:
        """Give the sink what it takes now."""
        assert self.sink is not None
        while self.pending and not self.broken:
            try:
                done = os.write(self.sink, self.pending[: self._chunk])
            except BlockingIOError:
                return
            except OSError:  # EPIPE, EIO, ENOSPC: nobody takes it any more
                self.broken = True
                self.pending = b""
                return
            self.pending = self.pending[done:]
            if self.sink_pollable:
                return

    @property
    def done(self) -> bool:
        return self.ended and not self.pending


def _pollable(fd: int) -> bool:
    """Can epoll watch it? Files are always ready, and so are some devices (/dev/null, /dev/full)."""
    mode = os.fstat(fd).st_mode
    if not stat.S_ISCHR(mode):
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode))
    with select.epoll() as trial:
        try:
            trial.register(fd, 0)
        except PermissionError:
            return False
    return True


class Streams:
    """What to give the program (``fds``, by role) and what to copy while it runs (``flows``)."""

    def __init__(self) -> None:
        self.fds: dict[str, int] = {}
        self.flows: list[Flow] = []
        self._ours: list[int] = []
        self._kept: list[int] = []
        self._collected: dict[str, Flow] = {}

    def given(self) -> None:
        """The program has its ends: close our copies, or no pipe would ever end."""
        for fd in self._ours:
            os.close(fd)
        self._ours.clear()

    def close(self) -> None:
        self.given()
        for fd in self._kept:
            os.close(fd)
        self._kept.clear()

    def keep(self, fd: int) -> None:
        """Close this fd at the end."""
        self._kept.append(fd)

    def drop(self, fd: int) -> None:
        """Close this fd now, if it is one of ours and still open."""
        if fd in self._kept:
            self._kept.remove(fd)
            os.close(fd)

    def collected(self, name: str) -> tuple[bytes, bool]:
        """The captured bytes of "stdout" or "stderr" and whether some were dropped."""
        flow = self._collected.get(name)
        return (bytes(flow.data), flow.truncated) if flow else (b"", False)

    def pipe(self) -> tuple[int, int]:
        read, write = os.pipe2(os.O_CLOEXEC)
        return read, write

    def open_stdin(self, what: object) -> None:
        if what is None or what == DEVNULL:
            return
        if isinstance(what, (bytes, bytearray, memoryview)):
            fd = os.memfd_create("pysandbox-stdin", os.MFD_CLOEXEC)
            self._ours.append(fd)
            view = memoryview(what)
            while view:
                view = view[os.write(fd, view) :]
            os.lseek(fd, 0, os.SEEK_SET)
            self.fds["stdin"] = fd
        elif what == INHERIT:
            self.fds["stdin"] = _fileno("stdin", 0)
        elif what == FORWARD:
            self._forward(0)
        elif isinstance(what, Forward):
            self._kept.append(os.dup(what.fd))
            self._forward(self._kept[-1])
        elif isinstance(what, str):
            self._give_input(self._open("stdin", what, os.O_RDONLY))
        else:
            self._give_input(_fileno("stdin", what))

    def _give_input(self, fd: int) -> None:
        """A regular file goes through a pipe: through /proc/self/fd/0 the program could open it for writing,
        for it often is, on the host, the user whose file it is."""
        if stat.S_ISREG(os.fstat(fd).st_mode):
            self._pump(fd)
        else:
            self.fds["stdin"] = fd

    def _forward(self, fd: int) -> None:
        """The bytes of the caller's stdin, through a pipe of ours: the caller's own could be written to."""
        try:
            mode = os.fstat(fd).st_mode
        except OSError:  # closed
            return
        if stat.S_ISREG(mode):  # a description of our own: the caller's offset stays where it is
            try:
                anew = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # a file of another user, opened before a change of ids
                anew = fd
            if anew != fd:
                os.lseek(anew, os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_SET)
                self._kept.append(anew)
            fd = anew
        self._pump(fd)

    def _pump(self, fd: int) -> None:
        read, write = self.pipe()
        os.set_blocking(write, False)
        self._ours.append(read)
        self._kept.append(write)
        self.fds["stdin"] = read
        self.flows.append(Flow("stdin", fd, write, counted=False, limit=None, close_sink=True))

    def open_output(self, name: str, what: object, limit: int | None) -> None:
        """``limit``: output limit of the run; captured bytes without one are capped at 64 MiB."""
        if what == INHERIT:
            if limit is not None:
                raise RequestError(name, INHERIT, "an inherited stream passes us by and cannot count as output")
            self.fds[name] = 1 if name == "stdout" else 2
            return
        if isinstance(what, HandOver):
            if limit is not None:
                raise RequestError(name, what.fd, "a stream that is handed over cannot count as output")
            self.fds[name] = _fileno(name, what.fd)
            return
        if what in (None, DEVNULL) and limit is None:
            return
        sink: int | None = None
        tap: Callable[[bytes], None] | None = None
        keep = limit if limit is not None else DEFAULT_CAPTURE_BYTES
        if what in (None, DEVNULL):
            keep = 0
        elif what != CAPTURE:
            keep = limit  # type: ignore[assignment]
            if isinstance(what, Tap):
                tap, what = what.sink, what.fd
            if isinstance(what, str):
                sink = self._open(name, what, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            elif what is not None:
                # a number of its own: both streams may go to one fd, and epoll knows an fd once
                sink = os.dup(_fileno(name, what))
                os.set_inheritable(sink, False)
                self._kept.append(sink)
        read, write = self.pipe()
        os.set_blocking(read, False)
        self._ours.append(write)
        self._kept.append(read)
        self.fds[name] = write
        flow = Flow(name, read, sink, counted=True, limit=keep)
        flow.tap = tap
        self.flows.append(flow)
        if what == CAPTURE:
            self._collected[name] = flow

    def _open(self, name: str, path: str, flags: int) -> int:
        try:
            fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
        except (OSError, ValueError) as error:
            raise RequestError(name, path, f"cannot open: {getattr(error, 'strerror', error)}") from error
        self._kept.append(fd)
        return _no_directory(name, path, fd)


def _fileno(name: str, what: object) -> int:
    number = what if isinstance(what, int) and not isinstance(what, bool) else None
    if number is None and hasattr(what, "fileno"):
        flush = getattr(what, "flush", None)
        if flush:
            flush()  # what Python has buffered comes before what the program writes
        number = what.fileno()
    if number is None:
        raise RequestError(name, what, "expected bytes, a path, a binary file, an fd or one of the words")
    try:
        os.fstat(number)
    except OSError as error:
        raise RequestError(name, number, f"not an open fd: {error.strerror}") from error
    return _no_directory(name, number, number)


def _no_directory(name: str, what: object, fd: int) -> int:
    """A directory of the host in the sandbox is a way out of it, by openat(2) and ``..`` (CVE-2024-21626)."""
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        raise RequestError(name, what, "is a directory; share it with a volume instead")
    return fd


def open_streams(request: Request, output_limit: int | None) -> Streams:
    """Open what the request names. Raises RequestError; nothing stays open then."""
    streams = Streams()
    try:
        for fd in request.pass_fds:
            streams.fds[f"pass:{fd}"] = _fileno("pass_fds", fd)
        if request.tty:
            return streams
        streams.open_stdin(request.stdin)
        streams.open_output("stdout", request.stdout, output_limit)
        if request.stderr == STDOUT:
            if "stdout" in streams.fds:
                streams.fds["stderr"] = streams.fds["stdout"]
        else:
            streams.open_output("stderr", request.stderr, output_limit)
    except BaseException:
        streams.close()
        raise
    return streams
