"""Removing what dead owners left: leaves whose maker was killed before it could clean up.

Only directories with a name of ours, that belong to our user and whose owner lived in our pid namespace
are looked at (names.py). Two sweepers at once are fine: whatever is gone already is as good as removed.
"""

from __future__ import annotations

import os
import time
from errno import ENODEV

from . import blockio, files
from .names import alive, owner_of, pid_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .protocol import Backend

# A tree at the default pids limit is gone within 200 ms; one that is not is left for the next sweep.
PATIENCE_NS = 1_000_000_000


def sweep(backend: Backend) -> tuple[str, ...]:
    """Ends and removes the orphaned leaves of ``backend``; the directories that it removed."""
    removed: list[str] = []
    namespace = pid_namespace()
    # What stands still does not die: the freezer's leaves go first.
    for parent in sorted(backend.parents(), key=_others_than_freezer):
        for name in orphans(parent, namespace):
            directory = f"{parent}/{name}"
            if _end(directory, time.monotonic_ns() + PATIENCE_NS):
                removed.append(directory)
    return tuple(removed)


def _others_than_freezer(parent: str) -> bool:
    return not os.path.exists(f"{parent}/freezer.state")


def orphans(parent: str, namespace: int) -> tuple[str, ...]:
    """Names of the leaves in ``parent`` that nobody will remove any more."""
    try:
        names = os.listdir(parent)
    except OSError:
        return ()
    found = []
    for name in names:
        owner = owner_of(name)
        if owner is None or owner.namespace != namespace or alive(owner):
            continue
        try:
            ours = os.lstat(f"{parent}/{name}").st_uid == os.geteuid()
        except FileNotFoundError:
            continue
        if ours:
            found.append(name)
    return tuple(found)


def _end(directory: str, deadline_ns: int) -> bool:
    """Kill whatever is inside, then rmdir; False if it stays."""
    try:
        if files.remove_with_children(directory, 0):
            return True
        for inside in (directory, *_children(directory)):
            _stop_growth(inside)
        while time.monotonic_ns() < deadline_ns:
            if not _cgroup_kill(directory):
                for inside in (directory, *_children(directory)):
                    _kill_each(inside)
            if files.remove_with_children(directory, 20_000_000):
                return True
    except OSError:
        # ENODEV, EACCES, …: another sweeper was faster, or the subtree was taken from us in between.
        return not os.path.exists(directory)
    return False


def _children(directory: str) -> list[str]:
    """Cgroups below: the one around a private lxcfs has some. cgroup.kill reaches them, cgroup.procs lists them not."""
    return [entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]


def _stop_growth(directory: str) -> None:
    """No more forks, and no throttling of CPU or disk while dying. Each file is in one hierarchy only, or absent."""
    for file, value in (("pids.max", b"0"), ("cpu.cfs_quota_us", b"-1"), ("cpu.max", b"max"),
                        ("freezer.state", b"THAWED")):
        try:
            files.write(f"{directory}/{file}", value)
        except OSError:
            continue
    blockio.lift(directory)


def _cgroup_kill(directory: str) -> bool:
    try:
        files.write(f"{directory}/cgroup.kill", b"1")  # v2, kernel 5.14
    except OSError as fault:
        return fault.errno == ENODEV
    return True


def _kill_each(directory: str) -> None:
    from signal import SIGKILL, pidfd_send_signal  # signal imports enum: only when there is something to kill

    procs = f"{directory}/cgroup.procs"
    for pid in files.pids(procs):
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue  # it ended
        try:
            # Between the reading and the opening the pid may have gone to someone else. What is listed
            # again now, with the pidfd in hand, is the process that the pidfd holds.
            if pid in files.pids(procs):
                pidfd_send_signal(fd, SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)
