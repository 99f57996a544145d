"""The processes in a container, from the host's /proc: nothing is asked of the container itself.

They are the init's descendants, and whoever is in the init's pid namespace without being one: programs of ``exec``,
whose parent is outside. Files of a process that ends while it is read are left out.
"""

from __future__ import annotations

import os

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TICKS = os.sysconf("SC_CLK_TCK")


class Process(Record):
    """One process. ``pid``: its number inside, ``host_pid``: here; ``uid``: inside; times in nanoseconds, sizes in
    bytes.

    ``cpu``: share of one CPU since its start, as ps(1) has it. ``command``: its words as it shows them, the bare name
    in brackets if it shows none."""

    pid: int
    parent: int  # inside; 0: outside
    host_pid: int
    uid: int | None
    state: str  # a letter of proc_pid_stat(5)
    threads: int
    rss_bytes: int
    cpu_ns: int
    cpu: float
    age_ns: int
    command: str


def processes(init: int, namespace: int | None = None, proc: str = "/proc") -> list[Process]:
    """All of those of the container whose init is ``init`` here, by their number inside; the init itself is left out.

    ``namespace``: inode of its pid namespace, where it is known."""
    stats = dict(_stats(proc))
    if init not in stats:
        return []
    inside = _descendants(init, {pid: int(fields[1]) for pid, (_name, fields) in stats.items()})
    depth = len(_inner_pids(proc, init))
    inside |= {pid for pid in stats if namespace is not None and _namespace(proc, pid) == namespace}
    inside.discard(init)
    uptime = _uptime()
    numbers = {pid: _inner_pids(proc, pid) for pid in (init, *inside)}
    found = [
        process for pid in inside if len(numbers[pid]) >= depth > 0
        if (process := _read(proc, pid, numbers, stats, uptime)) is not None
    ]  # fmt: skip
    return sorted(found, key=lambda process: process.pid)


def _stats(proc: str) -> Iterable[tuple[int, tuple[str, list[str]]]]:
    for entry in os.listdir(proc):
        if entry.isdigit():
            text = _text(f"{proc}/{entry}/stat")
            name, _, rest = text.partition("(")[2].rpartition(")")  # a name may have both in it
            fields = rest.split()
            if len(fields) > 21:
                yield int(entry), (name, fields)


def _descendants(top: int, parents: dict[int, int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found, todo = set(), [top]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, ())
    return found


def _namespace(proc: str, pid: int) -> int | None:
    try:
        return os.stat(f"{proc}/{pid}/ns/pid").st_ino
    except OSError:  # not ours to look at
        return None


def _inner_pids(proc: str, pid: int) -> list[int]:
    """Its numbers from the namespace of this /proc inwards (NSpid)."""
    for line in _text(f"{proc}/{pid}/status").splitlines():
        if line.startswith("NSpid:"):
            return [int(word) for word in line.split()[1:]]
    return []


def _read(proc: str, pid: int, numbers: dict[int, list[int]], stats: dict[int, tuple[str, list[str]]],
          uptime: float) -> Process | None:  # fmt: skip
    name, fields = stats[pid]
    if fields[0] == "X":
        return None
    cpu_ns = (int(fields[11]) + int(fields[12])) * 1_000_000_000 // TICKS
    age_ns = max(1, int((uptime - int(fields[19]) / TICKS) * 1e9))
    parent = numbers.get(int(fields[1]), [])
    words = _text(f"{proc}/{pid}/cmdline").rstrip("\0").split("\0")
    return Process(
        pid=numbers[pid][-1], parent=parent[-1] if parent else 0, host_pid=pid, uid=_uid(proc, pid), state=fields[0],
        threads=int(fields[17]), rss_bytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"), cpu_ns=cpu_ns,
        cpu=cpu_ns / age_ns, age_ns=age_ns, command=" ".join(words) if words != [""] else f"[{name}]",
    )  # fmt: skip


def _uid(proc: str, pid: int) -> int | None:
    """The effective one, as the container has it; None if it is none there."""
    outside = next((int(line.split()[2]) for line in _text(f"{proc}/{pid}/status").splitlines()
                    if line.startswith("Uid:")), None)  # fmt: skip
    if outside is None:
        return None
    for line in _text(f"{proc}/{pid}/uid_map").splitlines():
        first, there, count = (int(word) for word in line.split())
        if there <= outside < there + count:
            return first + outside - there
    return None


def _uptime() -> float:
    """Seconds since the boot, as start times of processes count them."""
    import time

    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _text(path: str) -> str:
    """At most what a page of /proc would have, times 32; "" if there is no such process any more."""
    try:
        with open(path, "rb") as file:
            return file.read(131072).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
