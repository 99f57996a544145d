"""What the time namespace costs: a run with and without it, and reading a clock inside.

    python3 bench/timens.py [-n RUNS]
"""

from __future__ import annotations

import argparse
import sys
import time

from common import machine, median, quantile, require_user, table, timed

from sandbox import Sandbox

CLOCK = """
import time
read, clock, best = time.clock_gettime_ns, time.CLOCK_MONOTONIC, 10**9
for _ in range(20):
    start = time.perf_counter_ns()
    for _ in range(20000):
        read(clock)
    best = min(best, time.perf_counter_ns() - start)
print(best / 20000)
"""


def main() -> int:
    """Two rows."""
    parser = argparse.ArgumentParser(description="The cost of the time namespace.")
    parser.add_argument("-n", type=int, default=300, metavar="RUNS")
    options = parser.parse_args()
    require_user()
    print(machine())
    kinds: dict[str, dict[str, object]] = {"without": {"without": ["time"]}, "with": {}}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    clock: dict[str, list[float]] = {kind: [] for kind in kinds}
    with Sandbox() as box:

        def once(arguments: dict[str, object]) -> None:
            result = box.run(["/usr/bin/true"], **arguments)
            if not result.ok:
                raise RuntimeError(f"the run failed: {result!r}")

        for number in range(options.n + 5):
            for kind, arguments in kinds.items():
                took = timed(lambda: once(arguments))  # noqa: B023 - called at once
                if number >= 5:
                    times[kind].append(took)
                time.sleep(0.005)
        for _ in range(5):
            for kind, arguments in kinds.items():
                clock[kind].append(float(box.run(["python3", "-c", CLOCK], **arguments).stdout))
    rows = []
    for kind, took_ms in times.items():
        rows.append([kind, f"{median(took_ms):.2f}", f"{quantile(took_ms, 0.9):.2f}", f"{min(clock[kind]):.0f}"])
    print(table(("time namespace", "run, median ms", "p90 ms", "clock_gettime in Python, ns"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
