"""Compressed files: which kind, and their content, up to a limit. What reads hostile bytes does so in a sandbox."""

from __future__ import annotations

import os

from ..errors import HostError, RequestError
from .staging import write_all
from .unpack import LIMIT_BYTES, RATIO, RATIO_FLOOR_BYTES, ZSTD, compression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..supervise import Supervision

_CHUNK = 1 << 20

__all__ = ["LIMIT_BYTES", "compression", "decompress", "pieces", "too_large"]


def decompress(fd: int, kind: str, out: int, *, subject: str, limit: int = LIMIT_BYTES,
               see: Callable[[bytes], object] | None = None) -> int:  # fmt: skip
    """Write the content of an open file, from its beginning, to ``out``; ``see`` gets each piece. How many bytes.

    Raises RequestError if it is damaged, or becomes larger than ``limit`` bytes or than a file of its size can
    honestly become (unpack.RATIO); HostError without zstd(1).
    """
    from .helper import report_of, start_inside

    if kind == "zstd" and not os.access(ZSTD, os.X_OK):
        raise HostError(f"{subject} is compressed with zstd, and {ZSTD} is missing", "apt install zstd")
    most = min(limit, max(RATIO_FLOOR_BYTES, RATIO * os.fstat(fd).st_size))
    source = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            running = start_inside("decompress", [kind], stdin=source, stdout=write)
        finally:
            os.close(write)
        with running:
            total = 0
            for piece in pieces(read, running.supervision):
                total += len(piece)
                if total > most:
                    raise too_large(subject, most)
                if see is not None:
                    see(piece)
                write_all(out, piece)
            report_of(running.wait(), "image", subject)
    finally:
        os.close(read)
        os.close(source)
    return total


def pieces(read: int, supervision: Supervision) -> Iterator[bytes]:
    """What comes out of the pipe ``read``, while the run is driven."""
    import select

    while True:
        poll = select.poll()
        poll.register(read, select.POLLIN)
        timeout = None
        if not supervision.done:
            poll.register(supervision.fileno(), select.POLLIN)
            timeout = supervision.timeout()
        ready = {fd for fd, _events in poll.poll(None if timeout is None else 1000 * timeout)}
        if read in ready:
            piece = os.read(read, _CHUNK)
            if not piece:
                return
            yield piece
        if not supervision.done:
            supervision.step(0)


def too_large(subject: str, limit: int) -> RequestError:
    """It would become larger than it may."""
    from ..units import format_size

    return RequestError("image", subject, f"it becomes larger than {format_size(limit)} when it is unpacked")
