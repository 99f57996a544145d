"""``pysandbox logs CONTAINER``: what it has written, each stream to ours."""

from __future__ import annotations

import os
import time

from ...errors import RequestError
from ...units import parse_count, parse_duration
from .names import one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...containers.logs import Entry


def main(words: list[str]) -> int:
    """Print the log, and with ``--follow`` what comes."""
    values, container = one("logs", words)
    since = since_ns("--since", values["since"]) if "since" in values else None
    tail = parse_count("--tail", values["tail"]) if "tail" in values else None
    show(container.logs(follow=bool(values.get("follow")), since_ns=since, tail=tail), bool(values.get("timestamps")))
    return 0


def show(entries: Iterator[Entry], timestamps: bool) -> None:
    """Lines of stdout to stdout, of stderr to stderr; a time before the begin of a line, not of its pieces."""
    begins = {"stdout": True, "stderr": True}
    for entry in entries:
        head = f"{entry.stamp} ".encode() if timestamps and begins.get(entry.stream, True) else b""
        begins[entry.stream] = entry.data.endswith(b"\n")
        _write(2 if entry.stream == "stderr" else 1, head + entry.data)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def since_ns(field: str, text: str) -> int:
    """Nanoseconds since the epoch: of a TIME ago, or of a date, local unless it has a zone. Raises RequestError."""
    if "-" not in text:
        return time.time_ns() - parse_duration(field, text)
    import datetime

    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(field, text, "expected a TIME such as 10m, or 2026-01-31T12:00:00[Z]") from None
    return int(moment.timestamp() * 1_000_000) * 1000
