"""Runs a second from 1, 2 and 4 threads of one process, without and with cgroup limits.

    python3 bench/throughput.py [-n RUNS]
"""

from __future__ import annotations

import argparse
import sys
import threading
from time import perf_counter

from common import can_limit, machine, require_user, table

from sandbox import Sandbox

LIMITS: dict[str, object] = {"mem": "256M", "time": 10, "pids": 64}


def rate(box: Sandbox, threads: int, runs: int, options: dict[str, object]) -> float:
    """Runs a second; raises if one of them failed."""
    failures: list[object] = []

    def work() -> None:
        for _ in range(runs // threads):
            result = box.run(["/usr/bin/true"], **options)
            if not result.ok:
                failures.append(result)

    crowd = [threading.Thread(target=work) for _ in range(threads)]
    start = perf_counter()
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    took = perf_counter() - start
    if failures:
        raise RuntimeError(f"{len(failures)} runs failed, the first: {failures[0]!r}")
    return runs // threads * threads / took


def main() -> int:
    """One row a number of threads."""
    parser = argparse.ArgumentParser(description="Runs a second from several threads.")
    parser.add_argument("-n", type=int, default=1000, metavar="RUNS", help="runs for each figure (default 1000)")
    options = parser.parse_args()
    require_user()
    why = can_limit()
    print(machine())
    rows = []
    with Sandbox() as box:
        for kind in ({}, LIMITS) if not why else ({},):
            rate(box, 1, 50, kind)
        for threads in (1, 2, 4):
            limited = f"{rate(box, threads, options.n, LIMITS):.0f}" if not why else "-"
            rows.append([str(threads), f"{rate(box, threads, options.n, {}):.0f}", limited])
    print(table(("threads", "runs/s, no cgroup", "runs/s, mem time pids"), rows))
    if why:
        print(f"not measured with limits: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
