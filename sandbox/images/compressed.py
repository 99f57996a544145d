"""Compressed files: which kind, and their content, up to a limit.

gzip, xz and bzip2 are unpacked by Python's own libraries in pieces of a bounded size; zstd, which Python 3.11 has not, by
zstd(1) in a sandbox.
"""

from __future__ import annotations

import os

from ..errors import HostError, RequestError
from .staging import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))
# Most that a file may become: larger than any image in use, smaller than what fills a disk without being noticed.
DEFAULT_LIMIT = 32 << 30
_CHUNK = 1 << 20
# xz --best needs 65 MiB to unpack; a header can ask for 4 GiB.
_XZ_MEMORY = 256 << 20


def compression(head: bytes) -> str:
    """gzip, xz, bzip2, zstd, or "" for none of them, by the first bytes."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def decompress(fd: int, kind: str, out: int, *, subject: str, limit: int = DEFAULT_LIMIT,
               see: Callable[[bytes], object] | None = None) -> int:  # fmt: skip
    """Write the content of a file to ``out``; ``see`` gets each piece. How many bytes.

    Raises RequestError if it is damaged or becomes larger than ``limit`` bytes; HostError without zstd(1).
    """
    if kind == "zstd":
        return _zstd(fd, out, subject, limit, see)
    total = 0
    with open(os.dup(fd), "rb", buffering=0) as file:
        file.seek(0)
        for piece in _pieces(file.read, kind, subject):
            total += len(piece)
            if total > limit:
                raise too_large(subject, limit)
            if see is not None:
                see(piece)
            write_all(out, piece)
    return total


def too_large(subject: str, limit: int) -> RequestError:
    """It would become larger than it may."""
    from ..units import format_size

    return RequestError("image", subject, f"it becomes larger than {format_size(limit)} when it is unpacked")


def _pieces(read: Callable[[int], bytes], kind: str, subject: str) -> Iterator[bytes]:
    """One stream or several in a row, as gzip(1), xz(1) and bzip2(1) have it; zeros behind them are padding."""
    import bz2
    import lzma
    import zlib

    def fresh() -> zlib._Decompress | lzma.LZMADecompressor | bz2.BZ2Decompressor:
        if kind == "gzip":
            return zlib.decompressobj(wbits=31)
        return lzma.LZMADecompressor(memlimit=_XZ_MEMORY) if kind == "xz" else bz2.BZ2Decompressor()

    now, data, begun = fresh(), read(_CHUNK), False
    try:
        while data or begun:
            if not data and not (data := read(_CHUNK)):
                raise RequestError("image", subject, f"the {kind} data ends too early")
            begun = True
            if kind == "gzip":
                piece = now.decompress(data, _CHUNK)
                data = now.unconsumed_tail  # type: ignore[union-attr]
            else:
                piece = now.decompress(data, _CHUNK)
                data = b""
                while not now.eof and not now.needs_input:  # type: ignore[union-attr]
                    yield piece
                    piece = now.decompress(b"", _CHUNK)
            if piece:
                yield piece
            if now.eof:
                data = now.unused_data + data
                data = data or read(_CHUNK)
                if not data.strip(b"\0"):
                    while rest := read(_CHUNK):
                        if rest.strip(b"\0"):
                            raise RequestError("image", subject, f"something follows the {kind} data")
                    return
                now, begun = fresh(), False
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise RequestError("image", subject, f"the {kind} data is damaged: {error}") from None


def _zstd(fd: int, out: int, subject: str, limit: int, see: Callable[[bytes], object] | None) -> int:
    from .. import pipeline

    if not os.path.exists("/usr/bin/zstd"):
        raise HostError(f"{subject} is compressed with zstd, which is not installed", "apt install zstd")
    before = os.lseek(out, 0, os.SEEK_CUR)
    source = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = pipeline.run(["/usr/bin/zstd", "-dcq"], stdin=source, stdout=out, output=limit, wall="1h")
    finally:
        os.close(source)
    if done.outcome == "output":
        raise too_large(subject, limit)
    if not done.ok:
        said = done.stderr.decode("utf-8", "replace").strip()[:200] if done.stderr else done.outcome
        raise RequestError("image", subject, f"the zstd data is damaged: {said}")
    total = os.lseek(out, 0, os.SEEK_CUR) - before
    at = before
    while see is not None and (piece := os.pread(out, _CHUNK, at)):
        see(piece)
        at += len(piece)
    return total
