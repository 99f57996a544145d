"""Stdin to stdout, uncompressed: all that this sandbox can do is to write to that pipe."""

from __future__ import annotations

import os

from .start import Refused, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHUNK = 256 << 10
MEMORY_XZ = 256 << 20  # xz -9 needs 65 MiB
ZSTD = "/usr/bin/zstd"


def main(words: list[str]) -> dict[str, Any]:
    """``gzip``, ``bzip2``, ``xz`` or ``zstd``."""
    (kind,) = words
    if kind == "zstd":
        # -M: a frame may ask for a window of up to 2 GiB; levels up to --ultra -22 use 128 MiB
        status = os.spawnv(os.P_WAIT, ZSTD, [ZSTD, "-dcq", "-M128MB"])
        if status:
            raise Refused("the zstd stream is damaged, or needs more than 128 MiB of memory")
        return {}
    if kind == "gzip":
        _gzip()
    else:
        _stream(kind)
    return {}


def _gzip() -> None:
    import zlib

    inflate, data, ended = zlib.decompressobj(31), b"", False
    while True:
        data = data or os.read(0, CHUNK)
        if not data:
            break
        if inflate.eof:  # members one after another, as pigz and bgzip write them
            if not data.strip(b"\0"):  # padding, as tapes have it
                data = b""
                continue
            inflate = zlib.decompressobj(31)
        try:
            out = inflate.decompress(data, CHUNK)
        except zlib.error as error:
            raise Refused(f"the gzip stream is damaged: {error}") from error
        write_all(1, out)
        data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        ended = True
    if ended and not inflate.eof:
        write_all(1, inflate.flush())
    if ended and not inflate.eof:
        raise Refused("the gzip stream is cut off")


def _stream(kind: str) -> None:
    import bz2
    import lzma

    def new() -> bz2.BZ2Decompressor | lzma.LZMADecompressor:
        return bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(memlimit=MEMORY_XZ)

    decompressor, data, fresh = new(), b"", True
    while True:
        if not data and (decompressor.eof or decompressor.needs_input):
            data = os.read(0, CHUNK)
            if not data:
                break
        if decompressor.eof:
            if not data.strip(b"\0"):
                data = b""
                continue
            decompressor = new()
        fresh = False
        try:
            out = decompressor.decompress(data, CHUNK)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise Refused(f"the {kind} stream is damaged: {error}") from error
        data = decompressor.unused_data if decompressor.eof else b""
        write_all(1, out)
    if not fresh and not decompressor.eof:
        raise Refused(f"the {kind} stream is cut off")
