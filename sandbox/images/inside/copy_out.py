"""Files and directories of the root at ``/root`` as a tar on stdout.

A path may have ``*``, ``?`` and ``[…]`` in its components; a ``*`` stands for names with a dot at their beginning as
well (Go, path/filepath.Match). Names in the tar are relative to the directory that each match is in; with ``contents``,
or after ``/.``, what is in a directory is given, not the directory. For ``cp`` there is one path, with no pattern in
it, of a tree that changes meanwhile.
"""

from __future__ import annotations

import fnmatch
import os
import stat

from .live import Live
from .patterns import matches as below
from .resolve import ROOT, existing, open_in, split
from .scan import Scan, scan_open
from .start import Refused, shown
from .tarwrite import TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .directories import Place


def main(words: list[str]) -> dict[str, Any]:
    """``ids limit_bytes contents|whole follow|keep|drop TOP|below|-`` and the paths, as hexadecimal, TOP too."""
    ids, limit, whole, links, top, *paths = words
    root = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if top == "below":
        return _below(root, [bytes.fromhex(path) for path in paths], links != "drop", int(limit))
    if top != "-":
        return _live(root, bytes.fromhex(paths[0]), bytes.fromhex(top), links == "follow", int(limit))
    tar = TarWriter(1)
    total = {"bytes": 0, "files": 0}
    notes: list[str] = []
    found: list[str] = []
    for path in [match for word in paths for match in matches(root, bytes.fromhex(word))]:
        contents = whole == "contents" or path.endswith(b"/.")
        options = {"ids": ids, "limit_bytes": int(limit) - total["bytes"], "newest_ns": None}
        scan, kind = _scan(root, path, contents, links == "follow", tar, options)
        found.append(kind)
        total["bytes"] += scan.bytes
        total["files"] += scan.files
        notes += scan.notes
    tar.close()
    return {**total, "notes": notes[:50], "kinds": found[:1000], "count": len(found)}


def _live(root: int, path: bytes, top: bytes, links: bool, limit: int) -> dict[str, Any]:
    """One path, as it stands, of a tree that may change meanwhile; in the archive it is called ``top``."""
    tar = TarWriter(1, fine=True)
    options: dict[str, Any] = {"ids": "range", "limit_bytes": limit, "newest_ns": None}
    found = existing(root, path, os.O_PATH if links or path.endswith(b"/") else os.O_PATH | os.O_NOFOLLOW)
    try:
        if stat.S_ISLNK(os.fstat(found).st_mode):
            scan: Scan = Live(-1, tar, **options)
            scan.symlink(found, top)
        else:
            scan = scan_open(Live, found, top, tar, **options)
    except Refused as error:
        raise Refused(f"{shown(path)}: {error}") from None
    tar.close()
    return {"bytes": scan.bytes, "files": scan.files, "notes": scan.notes, "kinds": []}


def _below(root: int, patterns: list[bytes], links: bool, limit: int) -> dict[str, Any]:
    """All that patterns match, or all there is without one, of a tree that may change meanwhile; by the whole name."""
    tar = TarWriter(1, fine=True)
    scan = Live(root, tar, ids="single", limit_bytes=limit, newest_ns=None)
    scan.links = links
    if not patterns:
        scan.walk()
    unmatched = []
    done: set[Place] = set()
    for pattern in patterns:
        found = False
        for place in below(root, tuple(part for part in pattern.split(b"/") if part not in (b"", b"."))):
            found = True
            if not any(place[:end] in done for end in range(1, len(place) + 1)):
                done.add(place)
                scan.walk(place)
        if not found:
            unmatched.append(shown(pattern))
    tar.close()
    return {"bytes": scan.bytes, "files": scan.leaves, "notes": scan.notes, "kinds": [], "skipped": scan.skipped,
            "unmatched": unmatched[:1000]}  # fmt: skip


def _scan(root: int, path: bytes, contents: bool, links: bool, tar: TarWriter,
          options: dict[str, Any]) -> tuple[Scan, str]:  # fmt: skip
    if contents or not path.strip(b"/."):
        try:
            fd = open_in(root, path, os.O_RDONLY | os.O_DIRECTORY)
        except NotADirectoryError:
            if path.endswith((b"/", b"/.")):
                raise
        else:
            return _walk(fd, (), tar, options), "contents"
    folder, name = split(path)
    above = open_in(root, folder, os.O_RDONLY | os.O_DIRECTORY)
    mode = os.lstat(name, dir_fd=above).st_mode
    if stat.S_ISLNK(mode) and (links or path.endswith(b"/")):
        os.close(above)
        fd = open_in(root, path, os.O_PATH)
        try:
            return scan_open(Scan, fd, name, tar, **options), _word(os.fstat(fd).st_mode)
        finally:
            os.close(fd)
    return _walk(above, (name,), tar, options), _word(mode)


def _walk(fd: int, only: Place, tar: TarWriter, options: dict[str, Any]) -> Scan:
    """Closes ``fd``."""
    scan = Scan(fd, tar, **options)
    scan.walk(only)
    scan.forget(())
    os.close(fd)
    return scan


def _word(mode: int) -> str:
    return "directory" if stat.S_ISDIR(mode) else "file"


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
