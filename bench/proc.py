"""What other figures in /proc cost: a run with files of our own and with lxcfs against one without, and reading them.

    python3 bench/proc.py [-n RUNS]

lxcfs is measured where the system's runs, or where PYSANDBOX_LXCFS says; a private one where it can be started.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

from common import machine, median, quantile, require_user, table, timed

from sandbox import HostError, Sandbox
from sandbox.procview.choose import Source

READ = """
import time
best = []
for _ in range(300):
    start = time.perf_counter_ns()
    with open("/proc/meminfo", "rb", buffering=0) as file: file.read(65536)
    best.append(time.perf_counter_ns() - start)
print(best[0] / 1000, sorted(best)[150] / 1000)
"""
LIMITS: dict[str, dict[str, object]] = {"mem": {"mem": "256M"}, "mem, cpus": {"mem": "256M", "cpus": 1}}


def main() -> int:
    """A row for each kind of limits and way; then the reads."""
    parser = argparse.ArgumentParser(description="The cost of figures in /proc that follow the limits.")
    parser.add_argument("-n", type=int, default=200, metavar="RUNS")
    options = parser.parse_args()
    require_user()
    print(machine())
    found = Source().lxcfs()
    ways = ["plain", "static", *(["lxcfs"] if found is not None and not found.fault else [])]
    if "lxcfs" not in ways:
        print("no lxcfs answers here, so it is left out")
    try:
        with Sandbox(proc="private", mem="256M") as box:
            took = [timed(lambda: box.run(["/usr/bin/true"])) for _ in range(2)]  # noqa: B023 - called at once
        ways.append("private")
        print(f"private: the first run, which starts lxcfs, takes {took[0] - took[1]:.1f} ms more than the second")
    except HostError as error:
        print(f"no private lxcfs: {error}")
    times: dict[tuple[str, str], list[float]] = {(limits, way): [] for limits in LIMITS for way in ways}
    boxes = {key: Sandbox(proc=key[1], **LIMITS[key[0]]) for key in times}

    def once(box: Sandbox) -> None:
        result = box.run(["/usr/bin/true"])
        if not result.ok:
            raise RuntimeError(f"the run failed: {result!r}")

    cpu_ms = dict.fromkeys(times, 0.0)
    for number in range(options.n + 5):
        for key, box in boxes.items():  # in turns; the next sandbox is made ahead meanwhile
            before = time.process_time()
            took = timed(lambda: once(box))  # noqa: B023 - called at once
            cpu_ms[key] += (time.process_time() - before) * 1000
            if number >= 5:
                times[key].append(took)
            time.sleep(0.005)
    reads = {way: [_read(boxes["mem", way]) for _ in range(7)] for way in ways}
    for key, box in boxes.items():
        before = _of_children()
        box.close()  # waits for the spawner, which has waited for all sandboxes of its own
        cpu_ms[key] += (_of_children() - before) * 1000
    rows = []
    for (limits, way), took_ms in times.items():
        middle, plain = median(took_ms), median(times[limits, "plain"])
        rows.append([f"{limits}: {way}", f"{middle:.2f}", f"{quantile(took_ms, 0.9):.2f}", f"{middle - plain:+.2f}",
                     f"{middle / plain:.2f}", f"{cpu_ms[limits, way] / (options.n + 5):.2f}"])  # fmt: skip
    print(table(("limits: way", "median ms", "p90 ms", "added ms", "x plain", "CPU ms a run"), rows))
    print()
    rows = []
    for way in ways:
        firsts, laters = zip(*reads[way], strict=True)
        rows.append([way, f"{median(firsts):.0f}", f"{median(laters):.0f}"])
    print(table(("/proc/meminfo", "first read, us", "later, us"), rows))
    asked = [timed(lambda: Source().lxcfs()) for _ in range(20)]
    print(f"\nlooking for lxcfs and asking it, once a caller and again after 5 s: {median(asked):.2f} ms")
    return 0


def _read(box: Sandbox) -> tuple[float, float]:
    first, later = box.run(["python3", "-I", "-S", "-c", READ]).stdout.split()
    return float(first), float(later)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
