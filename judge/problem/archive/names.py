"""What a member of an archive may be called."""

from __future__ import annotations

import re

LIMIT_DEPTH = 24
LIMIT_NAME = 255  # NAME_MAX, linux/limits.h
LIMIT_PATH = 1024

# Control characters and line ends of all kinds would forge lines on a terminal; lone surrogates are undecodable bytes.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_JUNK = frozenset({"__MACOSX", ".DS_Store"})


class BadName(ValueError):
    """The message says why and holds the name, made printable."""


def parts(name: str) -> tuple[str, ...]:
    """The directories and the last part; nothing for the archive's own root ("./").

    Raises:
        BadName: it leaves the archive, or cannot be made on every file system that we know of.
    """
    shown = show(name)
    if not name:
        raise BadName("a member without a name")
    if _CONTROL.search(name):
        raise BadName(f"{shown}: control characters in the name, or bytes that are not UTF-8")
    if name.startswith("/"):
        raise BadName(f"{shown}: an absolute name")
    if "\\" in name:
        # A way up on Windows, a plain character here: what was meant is not known.
        raise BadName(f"{shown}: a backslash in the name")
    found = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in found:
        raise BadName(f"{shown}: leads out of the archive by ..")
    if len(found) > LIMIT_DEPTH:
        raise BadName(f"{shown}: more than {LIMIT_DEPTH} directories deep")
    if len(name.encode()) > LIMIT_PATH or any(len(part.encode()) > LIMIT_NAME for part in found):
        raise BadName(f"{shown}: the name is too long ({LIMIT_NAME} bytes a part, {LIMIT_PATH} in all)")
    return found


def junk(found: tuple[str, ...]) -> bool:
    """Added by macOS's archiver, part of no package."""
    return not _JUNK.isdisjoint(found)


def show(name: str) -> str:
    """Printable, and not longer than a line."""
    text = "".join(c if c.isprintable() and not _CONTROL.match(c) else ascii(c)[1:-1] for c in name[:200])
    return text if len(name) <= 120 else text[:100] + "..."
