"""Removal of unpacked layers. With ``ids="range"`` their files belong to subordinate ids: a sandbox removes them."""

from __future__ import annotations

import os

from ..scratch import empty


def remove_tree(path: str, fd: int, ids: str = "single") -> None:
    """Remove the directory ``path``, open as ``fd``. Raises OSError, and what ``helper.remove_tree`` raises."""
    try:
        empty(fd)
    except PermissionError:
        if ids != "range":
            raise
        from .helper import remove_tree as remove_inside

        remove_inside(path, ids=ids)
    os.rmdir(path)


def size_of(path: str) -> int:
    """Bytes on disk below ``path``, which nobody changes; hard links count once. 0 for what cannot be read."""
    total, seen, pending = 0, set(), [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as found:
                for entry in found:
                    stat = entry.stat(follow_symlinks=False)
                    if stat.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                        if stat.st_ino in seen:
                            continue
                        seen.add(stat.st_ino)
                    total += stat.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return total
