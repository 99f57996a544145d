"""A layer's blob becomes a directory, as overlayfs wants it; or it is refused, and nothing is left.

    blob ──> [sandbox: decompress] ──> here: count, hash ──> [sandbox: unpack] ──> directory
             can write to a pipe only     parses nothing        can write there only

zlib, lzma and zstd see hostile bytes, so they run where there is nothing to gain; what they say is not believed but
hashed, and the hash must be the image's. Who writes the files is Python alone.
"""

from __future__ import annotations

import hashlib
import os
import select
import stat

from ..errors import HostError, RequestError, SupervisorError
from ..record import Record
from ..request import Mount
from .helper import give, last_id, number, remove_tree, report_of, start_inside, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..result import Result
    from ..running import Running

# Of one layer, unpacked. The largest images that are in use (CUDA, ROS) have layers of some 10 GB.
LIMIT_BYTES = 64 << 30
LIMIT_FILES = 2_000_000
# What a layer may expand to: below the floor a ratio says nothing, for zeros compress well (deflate: 1,032 times).
RATIO = 250
RATIO_FLOOR_BYTES = 1 << 30

CHUNK = 1 << 20
_F_SETPIPE_SZ = 1031
ZSTD = "/usr/bin/zstd"

# image-spec, layer.md: "gzip Media Types", "zstd Media Types"; Docker's end with .gzip
_ENDS = (("gzip", "gzip"), ("+zstd", "zstd"))
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"))


class Unpacked(Record):
    """A layer that is there. ``bytes``: of its files, holes too; ``files``: inodes and names. ``opaque``: it hides all
    layers below it (overlayfs does not look at this mark of a root directory: leave those layers out).
    ``notes``: what was left out, devices for one. ``fuse``: what it hides only fuse-overlayfs knows."""

    diff_id: str
    bytes: int
    files: int
    opaque: bool = False
    notes: tuple[str, ...] = ()
    fuse: bool = False


def unpack_layer(
    blob_fd: int, *, into: str, ids: str = "single", media_type: str = "", diff_id: str | None = None,
    digest: str | None = None, limit_bytes: int = LIMIT_BYTES, limit_files: int = LIMIT_FILES,
) -> Unpacked:  # fmt: skip
    """Unpack the tar in the open file ``blob_fd``, compressed or not, into the empty directory ``into``.

    ``into`` must be the caller's own and closed to others, for modes are kept, setuid bits too. ``diff_id`` and
    ``digest`` ("sha256:…"), if given, must be those of the content and of the blob. How the blob is
    compressed its first bytes say, as for Docker; a ``media_type`` that says otherwise is noted.

    Raises:
        RequestError: refused, with the reason, and ``into`` is empty again.
        HostError: the disk is full, zstd is missing, it took more than an hour.
    """
    if not stat.S_ISREG(os.fstat(blob_fd).st_mode):
        raise RequestError("layer", blob_fd, "expected an open regular file")
    if os.listdir(into):
        raise RequestError("into", into, "expected an empty directory")
    size = os.fstat(blob_fd).st_size
    name = diff_id or digest or f"of {size} bytes"
    kind = compression(blob_fd)
    if kind == "zstd" and not os.access(ZSTD, os.X_OK):
        raise HostError(f"the layer {name} is compressed with zstd, and {ZSTD} is missing", "apt install zstd")
    most = min(limit_bytes, max(RATIO_FLOOR_BYTES, RATIO * size))
    give(into, ids)
    done = False
    try:
        with _Chain(blob_fd, kind, name, most) as chain:
            chain.start(into, ids, limit_bytes, limit_files)
            chain.run()
            unpacked = chain.unpacked(diff_id, digest)
        done = True
        said = next((kind for end, kind in _ENDS if media_type.endswith(end)), "")
        if media_type and said != kind:
            note = f"the layer {name} is called {media_type}, and its bytes are {kind or 'not compressed'}"
            unpacked = unpacked.replace(notes=(note, *unpacked.notes))
    finally:
        if not done and not _is_empty(into):
            remove_tree(into, ids=ids)
    return unpacked


def compression(blob_fd: int, at: int = 0) -> str:
    """"gzip", "zstd", "xz", "bzip2", or "" for none, by the first bytes of the file, or from byte ``at`` on."""
    head = os.pread(blob_fd, 6, at)
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def _is_empty(path: str) -> bool:
    try:
        return not os.listdir(path)
    except PermissionError:  # the layer has given it away, or a mode without reading
        return False


class _Chain:
    """Both sandboxes and the bytes between; one thread, nothing blocks but poll(2)."""

    def __init__(self, blob_fd: int, kind: str, name: str, most: int) -> None:
        self._blob, self._kind, self._name, self._most = blob_fd, kind, name, most
        self._offset = self._total = 0
        self._blob_hash, self._hash = hashlib.sha256(), hashlib.sha256()
        self._fds: set[int] = set()
        self._runs: list[Running] = []
        self._decompressor: Running | None = None
        self._in = self._mid = self._out = -1  # to the decompressor, from it, to the unpacker
        self._to_in = self._to_out = memoryview(b"")
        self._reports: dict[str, Result] = {}

    def __enter__(self) -> _Chain:
        return self

    def __exit__(self, *_exc: object) -> None:
        for fd in list(self._fds):
            self._close(fd)
        for run in self._runs:
            run.close()

    def start(self, into: str, ids: str, limit_bytes: int, limit_files: int) -> None:
        if self._kind:
            stdin, self._in = self._pipe()
            self._mid, stdout = self._pipe()
            self._decompressor = start_inside("decompress", [self._kind], stdin=stdin, stdout=stdout)
            self._runs.append(self._decompressor)
            self._close(stdin)
            self._close(stdout)
            os.set_blocking(self._in, False)
            os.set_blocking(self._mid, False)
        stdin, self._out = self._pipe()
        words = [ids, str(last_id(ids)), str(limit_bytes), str(limit_files)]
        self._unpacker = start_inside("unpack", words, stdin=stdin, ids=ids,
                                      mounts=(Mount(source=into, target="/target", writable=True),))  # fmt: skip
        self._runs.append(self._unpacker)
        self._close(stdin)
        os.set_blocking(self._out, False)

    def run(self) -> None:
        """Until both have ended, or one has with an error."""
        while not all(run.supervision.done for run in self._runs):
            self._turn()
            for run in self._runs:
                if run.supervision.done and run.result().exit_code != 0:
                    return

    def unpacked(self, diff_id: str | None, digest: str | None) -> Unpacked:
        """The answer. Raises RequestError if anything is not as it should be."""
        # The first in the chain has the reason: who reads from it sees a stream that ends too early.
        runs = [run for run in self._runs if run.supervision.done and run.result().exit_code != 0] or self._runs
        for run in runs:
            report = report_of(run.result(), "layer", self._name)
        found = f"sha256:{self._hash.hexdigest()}"
        if digest is not None and digest != f"sha256:{self._blob_hash.hexdigest()}":
            raise RequestError("layer", self._name, f"its blob is not {digest}: a damaged or a forged one")
        if diff_id is not None and diff_id != found:
            raise RequestError("layer", self._name, f"its content is not what the image names, but {found}")
        opaque, fuse = report.get("opaque"), report.get("fuse")
        if not isinstance(opaque, bool) or not isinstance(fuse, bool):
            raise SupervisorError(f"layer {self._name}: a helper's answer without a part of it")
        return Unpacked(diff_id=found, bytes=number(report, "bytes"), files=number(report, "files"), opaque=opaque,
                        notes=texts(report, "notes"), fuse=fuse)  # fmt: skip

    # ---- one turn ----

    def _turn(self) -> None:
        poll = select.poll()
        for fd, waits, event in (
            (self._in, True, select.POLLOUT), (self._mid, not self._to_out, select.POLLIN),
            (self._out, bool(self._to_out) or (not self._kind), select.POLLOUT),
        ):  # fmt: skip
            if fd >= 0 and waits:
                poll.register(fd, event)
        timeouts = []
        for run in self._runs:
            if not run.supervision.done:
                poll.register(run.supervision.fileno(), select.POLLIN)
                timeout = run.supervision.timeout()
                timeouts += [timeout] if timeout is not None else []
        ready = {fd for fd, _ in poll.poll(1000 * min(timeouts) if timeouts else None)}
        if self._in in ready:
            self._to_in = self._feed(self._in, self._to_in)
            if not self._to_in and self._ended:
                self._in = self._close(self._in)
        if self._mid in ready:
            self._to_out = self._take()
        if self._out in ready:
            if not self._kind:
                self._to_out = self._feed(self._out, self._to_out)
            elif self._to_out:
                self._to_out = self._write(self._out, self._to_out)
        if self._out >= 0 and not self._to_out and (self._mid < 0 if self._kind else self._ended):
            self._out = self._close(self._out)
        if self._out < 0:  # nobody reads it any more
            self._to_out = memoryview(b"")
        for run in self._runs:
            if not run.supervision.done:
                run.supervision.step(0)

    @property
    def _ended(self) -> bool:
        return self._offset < 0

    def _feed(self, fd: int, pending: memoryview) -> memoryview:
        """From the blob to this pipe; the rest that did not fit."""
        if not pending and not self._ended:
            data = os.pread(self._blob, CHUNK, self._offset)
            self._offset = self._offset + len(data) if data else -1
            self._blob_hash.update(data)
            if not self._kind:
                self._count(data)
            pending = memoryview(data)
        return self._write(fd, pending) if pending else pending

    def _take(self) -> memoryview:
        try:
            data = os.read(self._mid, CHUNK)
        except BlockingIOError:
            return memoryview(b"")
        if not data:
            self._mid = self._close(self._mid)
        self._count(data)
        return memoryview(data)

    def _count(self, data: bytes) -> None:
        self._total += len(data)
        if self._total > self._most:
            raise RequestError("layer", self._name, f"expands to more than {self._most} bytes")
        self._hash.update(data)

    def _write(self, fd: int, data: memoryview) -> memoryview:
        try:
            return data[os.write(fd, data) :]
        except BlockingIOError:
            return data
        except BrokenPipeError:  # its reader has ended, and says why
            if fd == self._in:
                self._in, self._offset = self._close(fd), -1
            else:
                self._out = self._close(fd)
                self._offset = self._offset if self._kind else -1
            return memoryview(b"")

    # ---- fds ----

    def _pipe(self) -> tuple[int, int]:
        import fcntl

        read, write = os.pipe2(os.O_CLOEXEC)
        self._fds |= {read, write}
        try:
            fcntl.fcntl(write, _F_SETPIPE_SZ, CHUNK)
        except OSError:  # the user's share of pipe memory is used up (pipe(7)): it works as well with less
            pass
        return read, write

    def _close(self, fd: int) -> int:
        self._fds.discard(fd)
        os.close(fd)
        return -1
