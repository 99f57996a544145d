"""``--log FILE --log-format text|json``: errors and warnings for the engine, a line each, as runc writes them."""

from __future__ import annotations

import os

from ..errors import RequestError

FORMATS = ("text", "json")


class Log:
    """Where the runtime tells the engine of faults; without a file warnings are dropped, for ``state`` has them."""

    def __init__(self, path: str | None = None, form: str = "text") -> None:
        if form not in FORMATS:
            raise RequestError("--log-format", form, f"expected {' or '.join(FORMATS)}")
        self._json = form == "json"
        self._fd = -1
        if path:
            try:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY, 0o644)
            except OSError as error:
                raise RequestError("--log", path, f"cannot write: {(error.strerror or '').lower()}") from None

    def fileno(self) -> int:
        """The file, or stderr's number."""
        return self._fd if self._fd >= 0 else 2

    def error(self, text: str) -> None:
        """Why a command has failed."""
        self._line("error", text)

    def warning(self, text: str) -> None:
        """What is not as the bundle has it."""
        self._line("warning", text)

    def _line(self, level: str, text: str) -> None:
        if self._fd < 0:
            return
        import json
        import time

        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"level": level, "msg": text, "time": now}) if self._json else \
            f'time="{now}" level={level} msg={json.dumps(text)}'  # fmt: skip
        try:
            os.write(self._fd, line.encode() + b"\n")
        except OSError:
            pass
