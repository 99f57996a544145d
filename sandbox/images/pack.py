"""The upper directory of a container becomes a layer: the same content always the same bytes.

    upper ──> [sandbox: pack] ──> here: hash ──> compress, if asked for ──> hash ──> file

What is content: names, types, modes, owners (``ids="range"``), user.* attributes, hard links, and the time of change in
whole seconds, clamped by ``timestamp``. Order, access times and when something was removed are not.
"""

from __future__ import annotations

import hashlib
import os
import select
import stat

from ..errors import RequestError
from ..record import Record
from ..request import Mount
from .helper import number, report_of, start_inside, texts
from .unpack import LIMIT_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 1 << 20
_F_SETPIPE_SZ = 1031
# image-spec, layer.md
MEDIA_TYPES = {
    "none": "application/vnd.oci.image.layer.v1.tar", "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
}  # fmt: skip
GZIP_LEVEL = 6


class Packed(Record):
    """``diff_id`` is of the tar, ``digest`` and ``size`` of what was written. ``files``: its members."""

    diff_id: str
    digest: str
    size: int
    media_type: str
    files: int
    notes: tuple[str, ...] = ()


def pack_upper(
    upper: str, out_fd: int, *, ids: str = "single", leave_out: Sequence[str] = (), lowers: Sequence[str] = (),
    timestamp: int | None = None, compress: str = "none", limit_bytes: int = LIMIT_BYTES, fuse: bool = False,
) -> Packed:  # fmt: skip
    """Write the layer of ``upper``, the directory that overlayfs wrote its changes to, to ``out_fd``.

    ``ids``: as the container had them. With "single" every file is the caller's, whoever it was inside, and is written
    as root's (0:0). ``leave_out``: absolute paths of empty mount points; ``lowers``: the layers below, topmost first,
    which say whether a directory above one is as it was. ``timestamp``: seconds since the epoch, no
    file is newer. ``compress``: "none", which is the same bytes on all hosts, or "gzip", the same for one version of
    zlib. ``fuse``: fuse-overlayfs wrote it, which has marks of its own for what was removed.

    Raises RequestError for what no layer can hold, HostError if the disk fails.
    """
    if compress not in MEDIA_TYPES:
        raise RequestError("compress", compress, f"expected {' or '.join(MEDIA_TYPES)}")
    words = [ids, str(limit_bytes), "-" if timestamp is None else str(timestamp * 1_000_000_000)]
    words.append("fuse" if fuse else "kernel")
    words += [os.fsencode(path).hex() for path in leave_out]
    words += [f"{os.fsencode(path).hex()}={mode:o}" for path, mode in _modes(leave_out, lowers).items()]
    read, write = os.pipe2(os.O_CLOEXEC)
    sink = _Sink(out_fd, compress)
    try:
        try:
            _widen(write)
            running = start_inside("pack", words, stdout=write, ids=ids, mounts=(Mount(source=upper, target="/upper"),))
        finally:
            os.close(write)
        with running:
            watch = running.supervision
            open_ = True
            os.set_blocking(read, False)
            while open_ or not watch.done:
                poll = select.poll()
                if open_:
                    poll.register(read, select.POLLIN)
                if not watch.done:
                    poll.register(watch.fileno(), select.POLLIN)
                timeout = None if watch.done else watch.timeout()
                ready = {fd for fd, _ in poll.poll(None if timeout is None else 1000 * timeout)}
                if read in ready:
                    data = os.read(read, CHUNK)
                    open_ = bool(data)
                    sink.write(data)
                if not watch.done:
                    watch.step(0)
            report = report_of(running.result(), "upper", upper)
    finally:
        os.close(read)
    sink.end()
    return Packed(diff_id=f"sha256:{sink.content.hexdigest()}", digest=f"sha256:{sink.written.hexdigest()}",
                  size=sink.size, media_type=MEDIA_TYPES[compress], files=number(report, "files"),
                  notes=texts(report, "notes"))  # fmt: skip


def _modes(places: Sequence[str], lowers: Sequence[str]) -> dict[str, int]:
    """The modes that the directories above ``places`` have in the topmost layer that has them."""
    found: dict[str, int] = {}
    for path in places:
        parts = [part for part in path.split("/") if part]
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            for lower in lowers if above not in found else ():
                mode = _mode(lower, parts[:depth])
                if mode is not None:
                    found[above] = mode
                    break
    return found


def _mode(layer: str, parts: Sequence[str]) -> int | None:
    """Of one directory of a layer; links in it are not followed."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = -1
    try:
        fd = os.open(layer, flags)
        for part in parts:
            inner = os.open(part, flags, dir_fd=fd)
            os.close(fd)
            fd = inner
        return stat.S_IMODE(os.fstat(fd).st_mode)
    except OSError:
        return None
    finally:
        if fd >= 0:
            os.close(fd)


def _widen(fd: int) -> None:
    import fcntl

    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, CHUNK)
    except OSError:  # the user's share of pipe memory is used up (pipe(7)): it works as well with less
        pass


class _Sink:
    """Hashes, compresses if it must, hashes, writes."""

    def __init__(self, fd: int, compress: str) -> None:
        self._fd, self._deflate = fd, None
        self.content = self.written = hashlib.sha256()
        self.size = 0
        if compress == "gzip":
            import zlib

            self.written = hashlib.sha256()
            self._deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -15)
            self._zlib, self._crc, self._length = zlib, 0, 0
            # RFC 1952: no name, no time, "maximum compression" not claimed, an unknown operating system
            self._out(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")

    def write(self, data: bytes) -> None:
        self.content.update(data)
        if self._deflate is None:
            self._out(data)
            return
        self._crc = self._zlib.crc32(data, self._crc)
        self._length += len(data)
        self._out(self._deflate.compress(data))

    def end(self) -> None:
        if self._deflate is not None:
            self._out(self._deflate.flush())
            self._out(self._crc.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little"))

    def _out(self, data: bytes) -> None:
        if self.written is not self.content:
            self.written.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
