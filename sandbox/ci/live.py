"""Output while jobs run: one stream for all, headings for steps, a prefix for each line where jobs run at once."""

from __future__ import annotations

import os
import threading

from .report import one_line
from .result import clean

TAIL_BYTES = 64 << 10  # of a step's output, for the reports
_LINE_BYTES = 8 << 10  # a longer line is passed on in parts


class Output:
    """Where everything goes to; each write is of whole lines, so that jobs do not cut into each other's."""

    def __init__(self, fd: int, *, prefixed: bool) -> None:
        self._fd, self._lock, self.prefixed = fd, threading.Lock(), prefixed

    def write(self, data: bytes) -> None:
        """All of it. A reader that has gone is no reason to stop the jobs."""
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                pass

    def heading(self, job: str, text: str) -> None:
        """``== job: text``, between the outputs of steps."""
        self.write(f"== {one_line(job)}: {one_line(text)}\n".encode(errors="backslashreplace"))


class StepOutput:
    """A pipe for one step: what comes is passed on, and its end is kept. ``fd`` is what the step writes to."""

    def __init__(self, output: Output, job: str) -> None:
        self._output = output
        self._prefix = f"{one_line(job)} | ".encode() if output.prefixed else b""
        self._tail = bytearray()
        self._line = bytearray()
        self.truncated = False
        self._read, self.fd = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def _pass_on(self) -> None:
        while data := os.read(self._read, 1 << 16):
            self._tail += data
            if len(self._tail) > TAIL_BYTES:
                del self._tail[: len(self._tail) - TAIL_BYTES]
                self.truncated = True
            if self._prefix:
                self._lines(data)
            else:
                self._output.write(data)
                self._line[:] = data[-1:]

    def _lines(self, data: bytes) -> None:
        self._line += data
        end = self._line.rfind(b"\n") + 1
        if not end and len(self._line) > _LINE_BYTES:
            self._line += b"\n"
            end = len(self._line)
        if end:
            whole, self._line = bytes(self._line[:end]), self._line[end:]
            self._output.write(b"".join(self._prefix + line for line in whole.splitlines(keepends=True)))

    def close(self) -> str:
        """The step has ended; the end of what it wrote, as text for reports.

        Everything that holds the pipe's other end has ended with the step, or is in the container still and may go on
        writing: what it writes from now on is nobody's.
        """
        os.close(self.fd)
        self._thread.join(timeout=1.0)
        if not self._thread.is_alive():
            os.close(self._read)
        if self._line and not self._line.endswith(b"\n"):
            self._output.write((self._prefix + bytes(self._line) if self._prefix else b"") + b"\n")
        return clean(bytes(self._tail).decode(errors="replace"))
