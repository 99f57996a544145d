"""What a command says on stdout: lines, or JSON in place of them or beside them."""

from __future__ import annotations

import sys

from . import jsonfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def out(lines: Iterable[str]) -> None:
    """Lines on stdout."""
    sys.stdout.write("".join(line.encode("utf-8", "backslashreplace").decode() + "\n" for line in lines))
    sys.stdout.flush()


def told(values: dict[str, Any], data: Any, lines: Iterable[str]) -> None:
    """The lines on stdout, and the data where --json wants it: ``-`` is stdout, in place of the lines."""
    path = values.get("json")
    if path is not None:
        import json

        jsonfile.write(jsonfile.open_for(path), json.dumps(data, indent=2) + "\n", path)
    if path != "-":
        out(lines)
