"""``pysandbox cp CONTAINER:SRC DST|-`` and ``pysandbox cp SRC|- CONTAINER:DST``"""

from __future__ import annotations

import os

from ...errors import RequestError
from ...units import parse_size
from ..main import tell
from .names import find, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...containers.copy import Copy


def main(words: list[str]) -> int:
    """Copy one way or the other, and name what was left out."""
    values, paths = parse("cp", words)
    if len(paths) != 2:
        raise RequestError("cp", " ".join(paths)[:80], "takes a source and a target; see pysandbox help cp")
    (name, source), (other, target) = split(paths[0]), split(paths[1])
    if bool(name) == bool(other):
        why = "takes one path of a container (NAME:PATH) and one of the host; see pysandbox help cp"
        raise RequestError("cp", " ".join(paths)[:80], why)
    done = _out(values, name, source, target) if name else _into(values, source, other, target)
    for note in done.notes:
        tell(note)
    return 0


def split(word: str) -> tuple[str, str]:
    """(container, path), the first "" for a path of the host: one with a slash before the colon is, as for docker."""
    name, colon, path = word.partition(":")
    if not colon or "/" in name or name.startswith((".", "-")) or not name:
        return "", word
    return name, path or "/"


def _out(values: dict[str, Any], name: str, source: str, target: str) -> Copy:
    from ...containers import copy

    if values.get("archive"):
        why = "only root gives files away: outside they are yours; - keeps owners, in a tar"
        raise RequestError("--archive", target, why)
    limit = parse_size("--limit", values["limit"]) if "limit" in values else copy.LIMIT_BYTES
    follow = bool(values.get("follow_link"))
    container = find(name)
    if target != "-":
        return copy.copy_out(container, source, target, follow=follow, limit_bytes=limit)
    if os.isatty(1):
        raise RequestError("cp", "-", "standard output is a terminal: a tar is nothing to look at")
    return copy.stream_out(container, source, 1, follow=follow, limit_bytes=limit)


def _into(values: dict[str, Any], source: str, name: str, target: str) -> Copy:
    from ...containers import copy

    if "limit" in values:
        raise RequestError("--limit", values["limit"], "is for what comes out of a container")
    container = find(name)
    owners = bool(values.get("archive"))
    if source == "-":
        return copy.stream_in(container, 0, target, owners=owners)
    return copy.copy_in(container, source, target, follow=bool(values.get("follow_link")), owners=owners)
