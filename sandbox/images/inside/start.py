"""Begin and end of each script: limits before the first hostile byte is read, one line of JSON at the end."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

REFUSED = 3
MAX_TEXT = 2000


class Refused(Exception):
    """What was given is refused; the message says what and why."""


def run(main: Callable[[list[str]], dict[str, Any]], words: list[str], memory_bytes: int) -> int:
    """``main``'s answer, or its refusal, on stderr; the exit status. ``memory_bytes``: RLIMIT_AS, which holds on hosts
    without cgroups too."""
    import json
    import resource

    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        answer, status = main(words), 0
    except Refused as refused:
        answer, status = {"refused": str(refused)[:MAX_TEXT]}, REFUSED
    except MemoryError:
        answer, status = {"refused": "needs more memory than unpacking may use"}, REFUSED
    except OSError as error:
        where = f"{shown(os.fsencode(error.filename))}: " if isinstance(error.filename, (str, bytes)) else ""
        answer, status = {"failed": f"{where}{(error.strerror or str(error)).lower()}"[:MAX_TEXT]}, 1
    os.write(2, b"\n" + json.dumps(answer).encode() + b"\n")
    sys.stderr = sys.stdout = None
    return status


def shown(name: bytes) -> str:
    """A name for a message: short, printable, no newline in it."""
    text = name.decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= 200 else f"{text[:150]}…{text[-40:]}"


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
