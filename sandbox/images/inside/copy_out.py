"""Files and directories of the root at ``/root`` as a tar on stdout.

A path may have ``*``, ``?`` and ``[…]`` in its components; a ``*`` stands for names with a dot at their beginning as
well (Go, path/filepath.Match). Names in the tar are relative to the directory that each match is in; with ``contents``,
or after ``/.``, what is in a directory is given, not the directory.
"""

from __future__ import annotations

import fnmatch
import os
import stat

from .resolve import ROOT, follow, open_in, split
from .scan import Scan
from .start import Refused, shown
from .tarwrite import TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(words: list[str]) -> dict[str, Any]:
    """``ids limit_bytes contents|whole follow|keep`` and the paths, as hexadecimal."""
    ids, limit, whole, links, *paths = words
    root = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tar = TarWriter(1)
    total = {"bytes": 0, "files": 0}
    notes: list[str] = []
    found: list[str] = []
    for path in [match for word in paths for match in matches(root, bytes.fromhex(word))]:
        contents = whole == "contents" or path.endswith(b"/.")
        real = follow(root, path) if links == "follow" or path.endswith((b"/", b"/.")) else path
        scan, kind = _scan(root, path, real, contents, tar, ids, int(limit) - total["bytes"])
        found.append(kind)
        total["bytes"] += scan.bytes
        total["files"] += scan.files
        notes += scan.notes
        os.close(scan.root)
    tar.close()
    return {**total, "notes": notes[:50], "kinds": found[:1000], "count": len(found)}


def _scan(root: int, path: bytes, real: bytes, contents: bool, tar: TarWriter, ids: str,
          limit: int) -> tuple[Scan, str]:  # fmt: skip
    options: dict[str, Any] = {"ids": ids, "limit_bytes": limit, "newest_ns": None}
    if contents or not real.strip(b"/."):
        try:
            scan = Scan(open_in(root, real, os.O_RDONLY | os.O_DIRECTORY), tar, **options)
        except NotADirectoryError:
            if path.endswith((b"/", b"/.")):
                raise
        else:
            scan.walk()
            return scan, "contents"
    folder, name = split(real)
    scan = Scan(open_in(root, folder, os.O_RDONLY | os.O_DIRECTORY), tar, **options)
    wanted = name if real == path else split(path)[1]
    if wanted != name:
        scan.renamed = (name, wanted)
    is_directory = stat.S_ISDIR(os.lstat(name, dir_fd=scan.root).st_mode)
    scan.walk((name,))
    return scan, "directory" if is_directory else "file"


def matches(root: int, pattern: bytes) -> list[bytes]:
    """The paths that are there, in order. Raises Refused if there is none."""
    end = b"/." if pattern.endswith(b"/.") else b"/" if pattern.endswith(b"/") else b""
    found = [b""]
    for part in (part for part in pattern.split(b"/") if part not in (b"", b".")):
        if not any(letter in part for letter in b"*?["):
            found = [path + b"/" + part for path in found]
            continue
        wider = []
        for path in found:
            try:
                fd = open_in(root, path or b"/", os.O_RDONLY | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                continue
            names = sorted(os.fsencode(name) for name in os.listdir(fd))
            os.close(fd)
            wider += [path + b"/" + name for name in names if fnmatch.fnmatchcase(name, part)]
        found = wider
    there = [path + end if path else b"/" + end[1:] for path in found if _is_there(root, path)]
    if not there:
        raise Refused(f"{shown(pattern)}: no such file or directory")
    return there


def _is_there(root: int, path: bytes) -> bool:
    try:
        os.close(open_in(root, path or b"/", os.O_PATH | os.O_NOFOLLOW))
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return False
    return True
