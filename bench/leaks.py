"""Ten thousand runs in a row: nothing may grow.

    python3 bench/leaks.py [-n RUNS]

Counts before and after, for this process and its spawner: open fds, resident memory, cgroups below every
subtree in use, mounts, namespaces, processes and zombies of this user. Exit status 1 if one of them grew.
Every second run is under cgroup limits where those can be had; every tenth one fails, every hundredth is
killed at its deadline, so that the ways out are walked as well.

What an unprivileged user cannot see: namespaces that no process of its own is in. Those are kept alive
by a process, an fd or a mount, and these are counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from common import can_limit, machine, require_user

from sandbox import Sandbox
from sandbox.result import WALL_TIME

WARM_UP = 300
# Heaps breathe: what a leak of 100 bytes a run would come to, of 10,000 runs.
SLACK_KIB = 1024
SETTLE_S = 2.0


def _status(pid: int | str, field: str) -> str:
    try:
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(field + ":"):
                return line.partition(":")[2].split()[0]
    except OSError:
        pass
    return ""


def _pids() -> list[str]:
    return [p for p in os.listdir("/proc") if p.isdigit() and _status(p, "Uid") == str(os.getuid())]


def _namespaces() -> int:
    links = set()
    for pid in _pids():
        try:
            for name in os.listdir(f"/proc/{pid}/ns"):
                links.add(os.readlink(f"/proc/{pid}/ns/{name}"))
        except OSError:
            continue
    return len(links)


def _ours(spawner: int) -> list[str]:
    """This process, the spawner, and what descends from them."""
    parents = {pid: _status(pid, "PPid") for pid in os.listdir("/proc") if pid.isdigit()}
    found, more = {str(os.getpid()), str(spawner)}, True
    while more:
        new = {pid for pid, parent in parents.items() if parent in found} - found
        found, more = found | new, bool(new)
    return sorted(found, key=int)


def _cgroups(parents: set[str]) -> int:
    return sum(len([e for e in os.scandir(p) if e.is_dir() and e.name.startswith(f"pysandbox-{os.getpid()}-")])
               for p in parents)  # fmt: skip


def count(box: Sandbox) -> dict[str, int]:
    """All the figures now."""
    spawners = [s.pid for s in box._warm._spawners.values()]
    parents = {p for b in box._backends.values() for p in b.parents()}
    ours = [pid for s in spawners for pid in _ours(s)]
    return {
        "fds of this process": len(os.listdir("/proc/self/fd")),
        "fd table of the spawner": sum(int(_status(s, "FDSize") or 0) for s in spawners),
        "threads": int(_status("self", "Threads")),
        "memory of this process, KiB": int(_status("self", "VmRSS")),
        "memory of the spawner, KiB": sum(int(_status(s, "VmRSS") or 0) for s in spawners),
        "cgroups": _cgroups(parents),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "namespaces that can be seen": _namespaces(),
        "processes of ours": len(ours),
        "zombies of ours": len([p for p in ours if _status(p, "State") == "Z"]),
    }


def settled(box: Sandbox) -> dict[str, int]:
    """The figures when ends that are under way are over: the least of each within two seconds."""
    least = count(box)
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        time.sleep(0.2)
        least = {k: min(v, least[k]) for k, v in count(box).items()}
    return least


def work(box: Sandbox, runs: int, limited: bool) -> None:
    """``runs`` runs of the mixture; raises if one has a wrong outcome."""
    limits: dict[str, object] = {"mem": "64M", "time": 5, "pids": 16}
    for number in range(runs):
        options = limits if limited and number % 2 else {}
        if number % 100 == 99:
            result = box.run(["/usr/bin/sleep", "10"], wall=0.01, **options)
            good = any(cause.kind == WALL_TIME for cause in result.causes)
        elif number % 10 == 9:
            result = box.run(["/usr/bin/false"], **options)
            good = result.exit_code == 1
        else:
            result = box.run(["/usr/bin/echo", str(number)], **options)
            good = result.stdout == b"%d\n" % number
        if not good:
            raise RuntimeError(f"run {number}: {result!r}")


def main() -> int:
    """Run, count, compare."""
    parser = argparse.ArgumentParser(description="Many runs in a row; exit status 1 if anything grows.")
    parser.add_argument("-n", type=int, default=10_000, metavar="RUNS")
    options = parser.parse_args()
    require_user()
    why = can_limit()
    print(machine())
    if why:
        print(f"without cgroups: {why}")
    with Sandbox() as box:
        work(box, WARM_UP, not why)
        before = settled(box)
        start = time.monotonic()
        work(box, options.n, not why)
        took = time.monotonic() - start
        after = settled(box)
    grown = []
    for what, value in before.items():
        slack = SLACK_KIB if what.startswith("memory") else 0
        verdict = "GREW" if after[what] > value + slack else "ok"
        if verdict != "ok":
            grown.append(what)
        print(f"{verdict:5} {what:32} {value:8} -> {after[what]:8}")
    print(f"{options.n} runs in {took:.1f} s, {took / options.n * 1000:.2f} ms each")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
