"""The system's lxcfs: where it is mounted, whether it answers, and which of its files follow the limits.

A FUSE server may hang, and whoever reads from it then waits with it, unkillably if the request was taken up
already. So the question is asked by a process of its own, which is left behind if it gets no answer.
"""

from __future__ import annotations

import os
import select
import time

from ..record import Record

# Another place than what mountinfo says, for tests and for odd hosts.
OVERRIDE = "PYSANDBOX_LXCFS"
MOUNTINFO = "/proc/self/mountinfo"

# An answer takes 1 ms, in a slow virtual machine 30.
PATIENCE_NS = 2_000_000_000

# Processes that got no answer; they are reaped once they are dead.
_left_behind: list[int] = []


class Lxcfs(Record):
    """``path`` is where it is mounted. ``fault`` says why it cannot be used, "" if it can.

    ``loadavg``: does it count the load of each container (option -l)? Else it shows the host's.
    """

    path: str
    fault: str = ""
    loadavg: bool = False


def find() -> str:
    """Where lxcfs is mounted as a whole, "" if nowhere. In an LXC container single files of it are mounted too."""
    named = os.environ.get(OVERRIDE)
    if named:
        return named
    found = ""
    with open(MOUNTINFO, "rb") as file:
        for line in file:
            if b" fuse.lxcfs " in line:
                fields = line.split(b" ")
                if fields[3] == b"/":
                    found = os.fsdecode(fields[4].replace(b"\\040", b" ").replace(b"\\134", b"\\"))
    return found


def ask(path: str) -> Lxcfs:
    """Read from it once. Takes PATIENCE_NS at most; what is wrong is in ``fault``."""
    files = ("/proc/loadavg", f"{path}/proc/loadavg", "/proc/loadavg", f"{path}/proc/meminfo")
    try:
        text = _read_elsewhere(files)
    except OSError as error:
        return Lxcfs(path=path, fault=f"cannot be asked: {(error.strerror or 'failed').lower()}")
    if text is None:
        return Lxcfs(path=path, fault=f"does not answer within {PATIENCE_NS // 1_000_000_000} s")
    lines = text.splitlines()
    if not any(line.startswith(b"MemTotal:") for line in lines):
        return Lxcfs(path=path, fault="is dead: it gives no meminfo")
    return Lxcfs(path=path, loadavg=_counts_for_itself(*lines[:3]))


def _counts_for_itself(before: bytes, shown: bytes, after: bytes) -> bool:
    """Is what lxcfs shows in between two of the host's loadavg something else than the host's?

    Without -l it passes the host's on. With it, the reader's cgroup is counted: other loads, or other tasks; for
    a reader in the root cgroup of an idle host there is no telling, and our own zeros say the same.
    """
    host = [_loads_and_tasks(line) for line in (before, after)]
    loads, tasks = _loads_and_tasks(shown)
    if not tasks or not all(number for _, number in host):
        return False
    few, many = sorted(number for _, number in host)
    return loads not in (host[0][0], host[1][0]) or not few * 3 // 4 - 4 <= tasks <= many * 5 // 4 + 4


def _loads_and_tasks(loadavg: bytes) -> tuple[list[bytes], int]:
    """Of "0.00 0.01 0.05 1/123 456" the three loads and 123; 0 tasks for a line that is none of a loadavg."""
    fields = loadavg.split()
    total = fields[3].partition(b"/")[2] if len(fields) == 5 else b""
    return fields[:3], int(total) if total.isdigit() else 0


def _read_elsewhere(files: tuple[str, ...]) -> bytes | None:
    """The files' text, read by another process; None if it does not end in time."""
    reap()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, writer, 1),
                   (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]  # fmt: skip
        try:
            pid = os.posix_spawnp("cat", ["cat", *files], os.environ, file_actions=actions)
        finally:
            os.close(writer)
        text = _until_end(reader)
    finally:
        os.close(reader)
    if text is None:
        leave(pid)
    else:
        _reaped(pid, wait=True)
    return text


def leave(pid: int) -> None:
    """Kill a child that asked, and wait for it some other time: until lxcfs answers it may be unkillable."""
    try:
        os.kill(pid, 9)
    except ProcessLookupError:  # somebody else waits for all children of this process
        return
    _left_behind.append(pid)


def reap() -> None:
    """Wait for those that were left and have ended."""
    _left_behind[:] = [pid for pid in _left_behind if not _reaped(pid)]


def _until_end(reader: int) -> bytes | None:
    deadline_ns = time.monotonic_ns() + PATIENCE_NS
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    chunks: list[bytes] = []
    while poll.poll(max(0, deadline_ns - time.monotonic_ns()) / 1e6):
        chunk = os.read(reader, 65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
    return None


def _reaped(pid: int, wait: bool = False) -> bool:
    try:
        return os.waitpid(pid, 0 if wait else os.WNOHANG) != (0, 0)
    except ChildProcessError:  # somebody else waits for all children of this process
        return True
