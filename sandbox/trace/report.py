"""The notes of a traced run: lines for people, and data."""

from __future__ import annotations

from ..policy import ALLOW
from ..policy.model import LOG
from ..policy.sets import set_of
from .conditions import words
from .facts import label_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .facts import Facts, Kind

_WIDTH = 100
_LEFT = 18
_SHOWN = 12  # files of one kind
_REFUSED = 40
_ITEM = 96
SOCKETS = ("socket", "socketpair")
HOW = ("read", "write", "create", "change", "exec", "look", "missing")


def lines(facts: Facts) -> Iterator[str]:
    """The table of calls by set, the refused ones, files and sockets."""
    calls = facts.by_call()
    yield f"{facts.total} calls of {len(calls)} kinds, {len(facts.threads)} threads and processes"
    sets: dict[str, list[tuple[str, int]]] = {}
    for kind in facts.counts:
        label = label_of(kind)
        if label in calls:
            sets.setdefault(set_of(kind.call) or "other", []).append((label, calls.pop(label)))
    for name, members in sorted(sets.items()):
        yield from _row(name, [f"{call} {count}" for call, count in sorted(members, key=lambda m: (-m[1], m[0]))])
    refused = [f"{refusal_of(kind)} {count}" for kind, count in facts.counts.items() if kind.action not in (ALLOW, LOG)]
    if refused:
        more = [f"and {len(refused) - _REFUSED} more"] if len(refused) > _REFUSED else []
        yield from _row("refused", [*refused[:_REFUSED], *more])
    for how in HOW:
        paths = sorted(path for path, hows in facts.files.items() if how in hows)
        if paths:
            more = [f"and {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
            yield from _row(f"files: {how}", [*paths[:_SHOWN], *more])
    made = [f"{kind.call} {words(kind.abi, kind.number, kind.call, kind.values)} {count}"
            for kind, count in facts.counts.items() if kind.call in SOCKETS and kind.values]  # fmt: skip
    if made or facts.sockets:
        shown = [f"{what} {count}" for what, count in facts.sockets.items()]
        more = [f"and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        yield from _row("sockets", [*made, *shown[:_SHOWN], *more])
    if facts.kinds_left_out:
        yield f"{facts.kinds_left_out} calls of further kinds are not listed"
    if facts.places_left_out:
        yield f"{facts.places_left_out} more files and addresses are not listed"
    if facts.unread:
        yield f"{facts.unread} paths or addresses could not be read: the memory of a process was closed to us"


def refusal_of(kind: Kind) -> str:
    """``unshare CLONE_NEWUSER (errno:EPERM)``."""
    about = " " + words(kind.abi, kind.number, kind.call, kind.values) if kind.values else ""
    return f"{label_of(kind)}{about} ({kind.action})"


def _row(left: str, items: list[str]) -> Iterator[str]:
    line, first = f"  {left:<{_LEFT}}", True
    for item in map(_cut, items):
        if not first and len(line) + len(item) + 2 > _WIDTH:
            yield line + ","
            line, first = f"  {'':<{_LEFT}}", True
        line += item if first else f", {item}"
        first = False
    yield line


def _cut(item: str) -> str:
    """At a length that leaves a line a line, whatever a program calls its files."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in item)
    return shown if len(shown) <= _ITEM else f"{shown[: _ITEM - 20]}…{shown[-19:]}"


def to_json(facts: Facts) -> dict[str, Any]:
    """Plain data for json.dumps."""
    kinds = [
        {"call": kind.call, "abi": kind.abi, "number": kind.number, "count": count, "action": kind.action,
         "values": words(kind.abi, kind.number, kind.call, kind.values) if kind.values else ""}
        for kind, count in facts.counts.items()
    ]  # fmt: skip
    return {
        "total": facts.total,
        "threads": len(facts.threads),
        "calls": facts.by_call(),
        "kinds": kinds,
        "files": [{"path": path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), "how": dict(how)}
                  for path, how in sorted(facts.files.items())],
        "sockets": dict(facts.sockets),
        "kinds_left_out": facts.kinds_left_out,
        "places_left_out": facts.places_left_out,
        "unread": facts.unread,
    }  # fmt: skip
