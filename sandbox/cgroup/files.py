"""Reading, writing and removing in cgroupfs: whole small files, few system calls, errors that say what.

Nothing here knows a controller. Paths come from mountinfo, from the administrator or from names that
we made; never from inside a sandbox.
"""

from __future__ import annotations

import errno
import os
import time

from ..errors import HostError

# One read of a kernfs file returns at most what is asked for; no file read here is longer than this,
# except cgroup.procs, which read_all() is for.
READ_BYTES = 4096


def read(path: str, dir_fd: int | None = None) -> bytes:
    """The first READ_BYTES of a file; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return os.read(fd, READ_BYTES)
    finally:
        os.close(fd)


def read_or_none(path: str, dir_fd: int | None = None) -> bytes | None:
    """As read(), None where the file is not there: an older kernel, or a controller that is off."""
    try:
        return read(path, dir_fd)
    except FileNotFoundError:
        return None
    except OSError as fault:
        # ENODEV: the cgroup went away under an open directory.
        if fault.errno == errno.ENODEV:
            return None
        raise


def read_all(path: str) -> bytes:
    """A file of any length; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(fd)


def open_all(paths: dict[str, tuple[str, bool]]) -> dict[str, tuple[int, bool]]:
    """Each path opened for reading, those left out that are not there; all or none: raises OSError."""
    found: dict[str, tuple[int, bool]] = {}
    try:
        for name, (path, flag) in paths.items():
            try:
                found[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC), flag
            except FileNotFoundError:
                continue
    except OSError:
        for fd, _flag in found.values():
            os.close(fd)
        raise
    return found


def write(path: str, value: bytes, dir_fd: int | None = None) -> None:
    """One write(2), as kernfs wants it; raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


def words(path: str) -> tuple[str, ...]:
    """A file of space separated words, such as cgroup.controllers; () where it is not there."""
    return tuple((read_or_none(path) or b"").decode().split())


def keyed(text: bytes, key: bytes) -> int | None:
    """The number after ``key`` in a flat keyed file (memory.events, cpu.stat), None if it has none.

    A last line without its newline may have lost digits, so it does not count.
    """
    for line in text.split(b"\n")[:-1]:
        name, _, number = line.partition(b" ")
        if name == key and number.isdigit():
            return int(number)
    return None


def number(text: bytes | None) -> int | None:
    """The whole number in a one-value file; None for ``max`` and for what is missing."""
    stripped = (text or b"").strip()
    return int(stripped) if stripped.isdigit() else None


def cpus(text: bytes | None) -> frozenset[int]:
    """The numbers in a list as cpuset(7) writes it (``0-1,4``)."""
    out: set[int] = set()
    for part in (text or b"").decode().strip().split(","):
        low, dash, high = part.partition("-")
        if low:
            out.update(range(int(low), int(high if dash else low) + 1))
    return frozenset(out)


def pids(path: str) -> tuple[int, ...]:
    """The processes in a cgroup.procs file; those of other pid namespaces read as 0 and are left out."""
    return tuple(pid for pid in map(int, read_all(path).split()) if pid)


def has_hidden(path: str) -> bool:
    """Is there a process of an outer pid namespace in it (a container's monitor)?"""
    return b"0" in read_all(path).split()


def failed(what: str, path: str, value: bytes, fault: OSError, fix: str = "") -> HostError:
    """The sentence for a refused operation: ``cannot write '5' to /…/pids.max: permission denied``."""
    reason = (fault.strerror or str(fault)).lower()
    shown = f"{what} {value.decode()!r} to {path}" if value else f"{what} {path}"
    return HostError(f"cannot {shown}: {reason}", fix)


def remove(path: str, patience_ns: int) -> bool:
    """rmdir; True if the directory is gone. EBUSY is waited out with growing pauses.

    A process that was reaped has left its cgroup, but a thread of a group that is still being torn
    down holds it a little longer, so the first EBUSY means little.
    """
    deadline_ns = time.monotonic_ns() + patience_ns
    pause_ns = 500_000
    while True:
        try:
            os.rmdir(path)
            return True
        except FileNotFoundError:
            return True
        except OSError as fault:
            if fault.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                raise
        left_ns = deadline_ns - time.monotonic_ns()
        if left_ns <= 0:
            return False
        time.sleep(min(pause_ns, left_ns) / 1e9)
        pause_ns *= 2


def remove_with_children(path: str, patience_ns: int) -> bool:
    """As remove(), for a cgroup with one level of cgroups below it (of a private lxcfs)."""
    try:
        names = [entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return True
    deadline_ns = time.monotonic_ns() + patience_ns
    gone = [remove(f"{path}/{name}", max(0, deadline_ns - time.monotonic_ns())) for name in names]
    return all(gone) and remove(path, max(0, deadline_ns - time.monotonic_ns()))


def may_write(path: str) -> bool:
    """May this process write (and search, for a directory)? False on a read-only mount, also for root."""
    return os.access(path, os.W_OK | (os.X_OK if os.path.isdir(path) else 0))


def read_only(path: str) -> bool:
    """Is it on a read-only mount?"""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def unwritable(path: str) -> str:
    """The sentence for what may_write() refuses."""
    if not os.path.exists(path):
        return f"there is no {path}"
    if read_only(path):
        return f"{path} is mounted read-only"
    return f"{path} belongs to uid {os.stat(path).st_uid} and is not writable by uid {os.geteuid()}"
