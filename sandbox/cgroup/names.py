"""Names of leaves: ``pysandbox-<pid>-<starttime>-<pidns>.<n>`` of the process that made them.

pid and starttime (field 22 of /proc/PID/stat) together are unique until the next boot. The inode of
the pid namespace is part of the last field because a subtree may be shared by several containers, to
each of which the owners in the others look dead.
"""

from __future__ import annotations

import os

from .files import read

PREFIX = "pysandbox-"
# Our own processes wait here where v2 forbids processes beside child cgroups (cgroups(7), "no internal processes").
MAIN = "pysandbox-main"

_counter = iter(range(1, 1 << 62))  # next() is one call into C: safe between threads
_stem = (0, "")


class Owner:
    """Who made a leaf, from its name."""

    __slots__ = ("namespace", "pid", "starttime")

    def __init__(self, pid: int, starttime: int, namespace: int) -> None:
        self.pid, self.starttime, self.namespace = pid, starttime, namespace


def starttime(pid: int | str) -> int | None:
    """Clock ticks after boot at which a process began, None if it is gone (a zombie counts as gone)."""
    try:
        stat = read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # comm may hold spaces and brackets; it ends at the last ")". Then state is field 3, starttime 22.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def pid_namespace() -> int:
    """The inode of our pid namespace."""
    return os.stat("/proc/self/ns/pid").st_ino


def own_prefix() -> str:
    """What the names of all our leaves begin with."""
    return f"{PREFIX}{os.getpid()}-{starttime('self')}-"


def new_name() -> str:
    """A name that no other leaf has, nor had since boot."""
    global _stem
    pid = os.getpid()
    if _stem[0] != pid:  # also after a fork
        _stem = (pid, f"{own_prefix()}{pid_namespace()}.")
    return _stem[1] + str(next(_counter))


def owner_of(name: str) -> Owner | None:
    """The owner in a leaf's name; None for what is not the name of a leaf."""
    parts = name.removeprefix(PREFIX).split("-")
    if not name.startswith(PREFIX) or len(parts) != 3:
        return None
    namespace, dot, serial = parts[2].partition(".")
    if not (dot and all(p.isascii() and p.isdigit() for p in (parts[0], parts[1], namespace, serial))):
        return None
    return Owner(int(parts[0]), int(parts[1]), int(namespace))


def alive(owner: Owner) -> bool:
    """Does the owner still run? Only meaningful for an owner in our own pid namespace."""
    try:
        found = starttime(owner.pid)
    except PermissionError:  # hidepid=1: it is there, and another user's
        return True
    if found is not None:
        return found == owner.starttime
    if os.path.isdir(f"/proc/{owner.pid}"):
        return False  # a zombie
    # hidepid=2 hides even the directory; kill(2) with signal 0 still answers.
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
