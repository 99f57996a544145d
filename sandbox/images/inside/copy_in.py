"""A tar on stdin into the root at ``/root``, at one place of it, as ``docker cp`` and COPY put things.

Links in the destination are the root's own; a link met below it is not followed.
"""

from __future__ import annotations

import os
import stat
import sys

from .copying import Copy
from .resolve import ROOT, existing, make_directory, open_in, split
from .start import Refused, shown
from .tarread import TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def main(words: list[str]) -> dict[str, Any]:
    """``dest`` in hexadecimal, one of images/copying.py's NAMES, ``uid:gid|-``, ``mode|-``, ``plain|private|full``,
    ids, last_id, limit_bytes, limit_files."""
    path, names, owner, mode, plain, ids, *numbers = words
    last_id, limit_bytes, limit_files = (int(number) for number in numbers)
    os.umask(0o022)
    dest = bytes.fromhex(path)
    root = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fd, where = _made(root, dest, names) if names in ("auto", "into", "as") else _there(root, dest, names)
    uid, _, gid = owner.partition(":")
    copy = Copy(fd, **where, owner=None if owner == "-" else (int(uid), int(gid)),
                mode=None if mode == "-" else int(mode, 8), plain=plain != "full", private=plain == "private", ids=ids,
                last_id=last_id, limit_bytes=limit_bytes, limit_files=limit_files)  # fmt: skip
    tar = TarReader(sys.stdin.buffer)
    for member in tar:
        copy.add(member, copy.place(member.name), tar.data(member))
    copy.finish()
    return {"bytes": copy.bytes, "files": copy.files, "notes": copy.notes}


def _made(root: int, dest: bytes, names: str) -> tuple[int, dict[str, Any]]:
    """COPY: directories that are missing are made."""
    if names == "into" or (names == "auto" and (dest.endswith((b"/", b"/.")) or _is_directory(root, dest))):
        return make_directory(root, dest), {}
    folder, rename = split(dest)
    return make_directory(root, folder), {"rename": rename}


def _there(root: int, dest: bytes, names: str) -> tuple[int, dict[str, Any]]:
    """docker-cp(1): the directory that it goes to is there already."""
    if _is_directory(root, dest):
        return existing(root, dest, DIRECTORY), {"strip": names == "contents"}
    if names == "tar":
        raise Refused(f"{shown(dest)}: not a directory, which - needs")
    if names != "file" and _is_there(root, dest):
        raise Refused(f"{shown(dest)}: a directory cannot be copied over a file")
    folder, _, name = dest.rstrip(b"/").rpartition(b"/")
    if name in (b"", b".", b"..") or (names == "file" and dest.endswith(b"/")):
        raise Refused(f"{shown(dest)}: there is no such directory")
    return existing(root, folder or b"/", DIRECTORY), {"rename": name}


def _is_directory(root: int, path: bytes) -> bool:
    return stat.S_ISDIR(_mode(root, path))


def _is_there(root: int, path: bytes) -> bool:
    return _mode(root, path) != 0


def _mode(root: int, path: bytes) -> int:
    """Of what a path leads to, 0 for nothing."""
    try:
        fd = open_in(root, path, os.O_PATH)
    except OSError:
        return 0
    try:
        return os.fstat(fd).st_mode
    finally:
        os.close(fd)
