"""What the tests of whole runs look at on the host: processes, their namespaces, and time passing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.slowness import SLOW

INIT_NAME = "pysandbox-init"
SPAWNER_NAME = "pysandbox-spawn"

Process = tuple[int, int]  # pid and start time: together they mean one process until the next boot


def _stat(pid: int) -> tuple[str, int, int] | None:
    """Name, parent and start time of a living process; a zombie counts as gone."""
    try:
        head, _, tail = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return None
    fields = tail.split()
    return None if fields[0] in "ZX" else (head.partition("(")[2], int(fields[1]), int(fields[19]))


def _table() -> dict[int, tuple[str, int, int]]:
    rows = ((int(entry), _stat(int(entry))) for entry in os.listdir("/proc") if entry.isdigit())
    return {pid: row for pid, row in rows if row is not None}


def delegated(*controllers: str) -> bool:
    """Can this process hand all of ``controllers`` to a sandbox? On v1 the suite's own set-up has seen to it."""
    (*others, own) = Path("/proc/self/cgroup").read_text().splitlines()
    if others:
        return True
    given = Path("/sys/fs/cgroup" + own.removeprefix("0::"), "cgroup.controllers").read_text()
    return set(controllers) <= set(given.split())


def descendants(pid: int | None = None) -> dict[Process, str]:
    """All living processes below ``pid`` (this one, if None) and their names; the sandboxes' are among them."""
    table = _table()
    children: dict[int, list[int]] = {}
    for child, (_name, parent, _start) in table.items():
        children.setdefault(parent, []).append(child)
    found: dict[Process, str] = {}
    todo = [os.getpid() if pid is None else pid]
    while todo:
        for child in children.get(todo.pop(), ()):
            name, _parent, start = table[child]
            found[child, start] = name
            todo.append(child)
    return found


def programs_of(pid: int | None = None) -> dict[Process, str]:
    """Processes below ``pid`` that are no spawner and no init: the programs, and whatever they started."""
    return {p: name for p, name in descendants(pid).items() if name not in (SPAWNER_NAME, INIT_NAME)}


def named(name: str, pid: int | None = None) -> list[Process]:
    """Processes below ``pid`` with this name (15 bytes at most, see prctl(2) PR_SET_NAME)."""
    return [process for process, found in descendants(pid).items() if found == name]


def exists(process: Process) -> bool:
    row = _stat(process[0])
    return row is not None and row[2] == process[1]


def zombies(pid: int | None = None) -> int:
    """Dead children of ``pid`` that nobody has waited for."""
    wanted = str(os.getpid() if pid is None else pid)
    found = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                state, parent = Path(f"/proc/{entry}/stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            except OSError:
                continue
            found += state == "Z" and parent == wanted
    return found


def until(condition: Callable[[], object], within_s: float = 10.0, pause_s: float = 0.005) -> bool:
    """Wait for something to become true; False if it did not in time."""
    end = time.monotonic() + within_s * SLOW
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause_s)
    return True


def all_gone(processes: dict[Process, str], within_s: float) -> list[str]:
    """Those of ``processes`` that are still there after ``within_s``, in words."""
    until(lambda: not any(exists(p) for p in processes), within_s)
    return [f"{p[0]} ({name})" for p, name in processes.items() if exists(p)]


def open_fds() -> dict[str, str]:
    """The fds of this process and what they are."""
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[entry] = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue  # the listing's own
    return found
