"""Remove a tree that a sandbox has written: by fds and without following a link, however deep it is."""

from __future__ import annotations

import os
import stat

MAX_DEPTH = 100
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove ``path`` and all below it; nothing there is fine. Raises PermissionError for what is another id's."""
    parent, name = os.path.split(path)
    try:
        top = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
        return
    try:
        deep = [0]
        _empty(top, top, 0, deep)
        # what was too deep was moved up, and may have something too deep in it again
        while deep[0]:
            deep[0] = 0
            _empty(top, top, 0, deep)
    finally:
        os.close(top)
    fd = os.open(parent, _DIRECTORY)
    try:
        os.rmdir(name, dir_fd=fd)
    except FileNotFoundError:
        pass
    finally:
        os.close(fd)


def _empty(fd: int, top: int, depth: int, deep: list[int]) -> None:
    for name in os.listdir(fd):
        try:
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode):
                os.unlink(name, dir_fd=fd)
                continue
            if depth >= MAX_DEPTH:
                deep[0] += 1
                os.rename(name, f".deep-{os.urandom(6).hex()}", src_dir_fd=fd, dst_dir_fd=top)
                continue
            inner = _open(name, fd, mode)
            try:
                _empty(inner, top, depth + 1, deep)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=fd)
        except FileNotFoundError:  # somebody else removes it as well
            pass


def _open(name: str, fd: int, mode: int) -> int:
    """A directory that can be emptied: overlayfs leaves one of mode 0 (work/work)."""
    if mode & 0o700 == 0o700:
        return os.open(name, _DIRECTORY, dir_fd=fd)
    found = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        os.chmod(f"/proc/self/fd/{found}", 0o700)  # fchmod(2) takes no O_PATH
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(found)


def remove_by_range(path: str, *names: str) -> None:
    """As ``remove_tree``, where files below ``names`` in it belong to subordinate ids: a sandbox with the range does
    it."""
    from ..images.helper import remove_tree as remove_inside

    remove_inside(path, *names, ids="range")
    remove_tree(path)
