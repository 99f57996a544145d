"""What a C or C++ source of a package includes from beside it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path

LIMIT_BYTES = 2 << 20  # testlib.h has 200 KiB
LIMIT_FILES = 200
SUFFIXES = frozenset({".c", ".cc", ".cpp", ".cxx", ".c++", ".h", ".hh", ".hpp", ".hxx", ".inc"})
# Where a compiler finds headers without being told (gcc(1), -isystem); testlib.h may be installed there.
SYSTEM = ("/usr/local/include", "/usr/include")

_QUOTED = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"([^"\r\n]{1,255})"', re.M)


def gather(source: Path, lookup: Callable[[str], Path | None]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The files that ``source`` includes by ``"name"``, and they in turn: name below the source's directory -> file;
    and the names that ``lookup`` does not know.

    ``lookup``: such a name -> the package's file, a regular one without links. Names that lead up are not looked up.
    """
    found: dict[str, Path] = {}
    missing: dict[str, None] = {}
    waiting = [("", source)]
    while waiting and len(found) < LIMIT_FILES:
        directory, path = waiting.pop()
        if path.suffix.lower() not in SUFFIXES:
            continue
        for raw in _QUOTED.findall(_start(path)):
            name = raw.decode("utf-8", "replace")
            # Beside the including file first, then beside the source, as a compiler would with -I of its directory.
            for place in dict.fromkeys((posixpath.normpath(posixpath.join(directory, name)), posixpath.normpath(name))):
                if place.startswith(("../", "/")) or place in found:
                    break
                known = lookup(place)
                if known is not None:
                    found[place] = known
                    waiting.append((posixpath.dirname(place), known))
                    break
            else:
                missing[name] = None
    return found, tuple(missing)


def testlib_missing(missing: tuple[str, ...], given: Mapping[str, Path]) -> bool:
    """Is testlib.h wanted, and neither given nor installed?"""
    if not any(posixpath.basename(name) == "testlib.h" for name in missing) or "testlib.h" in given:
        return False
    return not any(Path(directory, "testlib.h").is_file() for directory in SYSTEM)


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LIMIT_BYTES)
    except OSError:
        return b""  # its reader has said so already
