"""Patterns for names of submissions, tests and groups (2025-09, Glob patterns): * within a name, and {a,b}."""

from __future__ import annotations

import re
from functools import lru_cache

# How many names {a,b}{c,d}... may stand for.
LIMIT = 256


def fault(pattern: str) -> str:
    """What is wrong with it, "" if nothing."""
    if not pattern:
        return "must not be empty"
    if "**" in pattern:
        return "** is not supported"
    if "[" in pattern or "]" in pattern:
        return "[...] is not supported"
    if len(pattern) > 1000 or _braces(pattern) is None:
        return f"braces that do not match, or that make more than {LIMIT} patterns"
    return ""


@lru_cache(maxsize=1024)
def _braces(pattern: str) -> tuple[str, ...] | None:
    """Without {a,b}: all that it stands for."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        if len(waiting) + len(done) > LIMIT:
            return None
        text = waiting.pop()
        found = re.search(r"\{([^{}]*)\}", text)
        if found is None:
            if "{" in text or "}" in text:
                return None
            done.append(text)
        else:
            waiting += [text[: found.start()] + word + text[found.end() :] for word in found[1].split(",")]
    return tuple(done)


def covers(pattern: str, name: str) -> bool:
    """Does it match the name or a directory or group that it is in? "" matches all."""
    if not pattern:
        return True
    parts = name.split("/")
    places = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    return any(_fits(one.rstrip("/"), place) for one in _braces(pattern) or () for place in places)


def _fits(pattern: str, place: str) -> bool:
    """* stands for anything but "/". By hand: a regular expression of many stars takes exponential time."""
    words, parts = pattern.split("/"), place.split("/")
    return len(words) == len(parts) and all(_segment(w, p) for w, p in zip(words, parts, strict=True))


def _segment(pattern: str, text: str) -> bool:
    pieces = pattern.split("*")
    if len(pieces) == 1:
        return pattern == text
    if not text.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(pieces[-1]) and text.endswith(pieces[-1])
