"""Files of ours that save time: what is expensive to make, kept with all that it was made from.

A file is trusted as far as it is ours: it lies in a directory that nobody else can enter, nobody else
can write it, and it begins with *all* that its content was made from, which must be equal byte for
byte. So there is no hash to collide or to import. The cache is never an error: what does not fit is
made again.
"""

from __future__ import annotations

import os

MAX_BYTES = 1 << 20
_STALE_S = 60
MAX_FILES = 100
_FLIP = bytes(range(255, -1, -1))


def open_directory(name: str) -> int:
    """A descriptor of our cache directory, -1 if there is none that only we can enter."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    under: tuple[str, ...] = ("pysandbox", name)
    if not base.startswith("/"):
        base, under = home_directory(), (".cache", *under)
        if not base:
            return -1
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    uid = os.geteuid()
    fd = -1
    try:
        # The base may be a symlink; what it leads to must be ours. That keeps root, started with
        # the HOME of somebody else, from making or trusting anything there.
        fd = os.open(base, flags)
        for name in under:
            if os.fstat(fd).st_uid != uid:
                raise PermissionError
            # ~/.cache alone is commonly moved elsewhere by a symlink of the user's own.
            follow = 0 if name == ".cache" else os.O_NOFOLLOW
            try:
                inner = os.open(name, flags | follow, dir_fd=fd)
            except FileNotFoundError:
                os.mkdir(name, 0o700, dir_fd=fd)
                inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = inner
        stat = os.fstat(fd)
        if stat.st_uid != uid or stat.st_mode & 0o077:
            raise PermissionError
    except (OSError, ValueError):
        if fd >= 0:
            os.close(fd)
        return -1
    return fd


def close_directory(directory: int) -> None:
    """Close what ``open_directory`` returned."""
    if directory >= 0:
        os.close(directory)


def home_directory() -> str:
    """The user's: $HOME, else the one of passwd(5); "" if there is neither."""
    home = os.environ.get("HOME", "")
    if home.startswith("/"):
        return home
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def read(directory: int, label: bytes, made_from: bytes) -> bytes | None:
    """The content of a file that is safe, whole and made from the same; None if there is none."""
    if directory < 0:
        return None
    try:
        fd = os.open(label, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return None
    try:
        stat = os.fstat(fd)
        if (stat.st_mode & 0o170000 != 0o100000 or stat.st_mode & 0o022 or stat.st_uid != os.geteuid()
                or not len(made_from) <= stat.st_size <= MAX_BYTES):  # fmt: skip
            return None
        data = os.read(fd, stat.st_size)
    except OSError:
        return None
    finally:
        os.close(fd)
    if len(data) != stat.st_size or not data.startswith(made_from):
        return None
    # The content twice, the second time with every bit flipped: a file torn by a power cut (zeros
    # at its end, for one) cannot agree. Cheaper than importing zlib for a checksum, and stronger.
    body = data[len(made_from):]
    half = len(body) // 2
    content, mirror = body[:half], body[half:]
    return content if mirror.translate(_FLIP) == content else None


def store(directory: int, label: bytes, made_from: bytes, content: bytes) -> None:
    """Keep ``content``; whoever reads it must name the same ``made_from``."""
    if directory < 0:
        return
    temporary = label + b".tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=directory)
        except FileExistsError:
            # Another writer, or one that was killed: the name is fixed so that at most one stays.
            import time

            if time.time() - os.stat(temporary, dir_fd=directory, follow_symlinks=False).st_mtime < _STALE_S:
                return
            os.unlink(temporary, dir_fd=directory)
            fd = os.open(temporary, flags, 0o600, dir_fd=directory)
        data = made_from + content + content.translate(_FLIP)
        try:
            written = os.write(fd, data)
        finally:
            os.close(fd)
        if written == len(data):
            os.rename(temporary, label, src_dir_fd=directory, dst_dir_fd=directory)
            _prune(directory)
        else:
            os.unlink(temporary, dir_fd=directory)
    except OSError:
        pass  # a full or read-only disk costs time, not the run


def _prune(directory: int) -> None:
    """Keep the newest files: policies come and go, their files must not pile up."""
    names = os.listdir(directory)
    if len(names) <= MAX_FILES:
        return
    ages = sorted((os.stat(n, dir_fd=directory, follow_symlinks=False).st_mtime_ns, n) for n in names)
    for _age, name in ages[: len(names) - MAX_FILES // 2]:
        os.unlink(name, dir_fd=directory)
