"""Names of leaves: ``pysandbox-<pid>-<starttime>-<pidns>.<family>.<n>`` of the process that made them.

pid and starttime (field 22 of /proc/PID/stat) together are unique until the next boot. The inode of
the pid namespace is part of the last field because a subtree may be shared by several containers, to
each of which the owners in the others look dead. A family is what one Sandbox made: its spawners clean up after it, and
must leave alone what another Sandbox of the same process is about to use.
"""

from __future__ import annotations

import os

from .files import read

PREFIX = "pysandbox-"
# Our own processes wait here where v2 forbids processes beside child cgroups (cgroups(7), "no internal processes").
MAIN = "pysandbox-main"

_counter = iter(range(1, 1 << 62))  # next() is one call into C: safe between threads
_families = iter(range(1, 1 << 62))
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


def new_family() -> int:
    """A number that no other Sandbox of this process has."""
    return next(_families)


def prefix_of(family: int) -> str:
    """What the names of all leaves of a family begin with."""
    global _stem
    pid = os.getpid()
    if _stem[0] != pid:  # also after a fork
        _stem = (pid, f"{PREFIX}{pid}-{starttime('self')}-{pid_namespace()}.")
    return f"{_stem[1]}{family}."


def new_name(family: int) -> str:
    """A name that no other leaf has, nor had since boot."""
    return prefix_of(family) + str(next(_counter))


def owner_of(name: str) -> Owner | None:
    """The owner in a leaf's name; None for what is not the name of a leaf."""
    parts = name.removeprefix(PREFIX).split("-")
    if not name.startswith(PREFIX) or len(parts) != 3:
        return None
    numbers = [*parts[:2], *parts[2].split(".")]
    if len(numbers) != 5 or not all(p.isascii() and p.isdigit() for p in numbers):
        return None
    return Owner(*(int(number) for number in numbers[:3]))


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
