"""A compressed file as a stream that never holds more than a step's worth in memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any, BinaryIO

from .growth import Refused

STEP = 64 << 10
# xz -9 needs 65 MiB to unpack (xz(1), table of presets); a header may ask for 4 GiB.
XZ_MEMORY = 128 << 20


class Plain:
    """read(n): exactly n bytes, fewer at the end only."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        return self._file.read(count)


class Unpacked:
    """As Plain, of what a gzip, bzip2 or xz file holds; one after another too (gzip(1), pbzip2, pixz).

    Raises Refused where the data is broken or ends too early.
    """

    def __init__(self, file: BinaryIO, kind: str) -> None:
        self._file, self._kind = file, kind
        self._engine: Any = None  # none between two streams
        self._input = b""
        self._ready = bytearray()
        self._done = False

    def read(self, count: int) -> bytes:
        while len(self._ready) < count and not self._done:
            self._step()
        found = bytes(self._ready[:count])
        del self._ready[:count]
        return found

    def _new(self) -> Any:
        if self._kind == "gzip":
            return zlib.decompressobj(wbits=31)
        return bz2.BZ2Decompressor() if self._kind == "bzip2" else lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def _step(self) -> None:
        if self._engine is None:
            self._input = self._input.lstrip(b"\0")  # xz's stream padding, and what tapes leave
            if not self._input:
                self._input = self._file.read(STEP)
                self._done = not self._input
                return
            self._engine = self._new()
        if not self._input and (self._kind == "gzip" or self._engine.needs_input):
            self._input = self._file.read(STEP)
            if not self._input:
                raise Refused(f"truncated: the {self._kind} data ends too early")
        try:
            self._ready += self._engine.decompress(self._input, STEP)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise Refused(f"broken {self._kind} data: {error}") from error
        if self._engine.eof:
            self._input, self._engine = self._engine.unused_data, None
        else:
            self._input = self._engine.unconsumed_tail if self._kind == "gzip" else b""
