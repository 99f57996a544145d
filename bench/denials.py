"""What knowing the refused system calls costs: a launch, a refused call, and every other one.

    python3 bench/denials.py [-n RUNS] [-c CALLS] [--mem SIZE]

"off" leaves the answer to the filter, "auto" asks the init. Calls are made by a small C program, which the compiler
of this machine makes; each figure is the least of several loops. Launches are made in turns, and "paired" is the
median of the differences within a turn; on a busy machine the quickest tenth says more than the median.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import can_limit, machine, median, quantile, require_user, table, timed

from sandbox import Sandbox

# ns of one chroot(2) (refused by its number), of one getppid(2) (allowed by its number) and of one ioctl(2) (goes
# through rules), us of one fork(2), whose clone3(2) is refused
CALLS = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e9 + t.tv_nsec; }
#define LOOP(times, call) do { double best = 1e18; for (int r = 0; r < 7; r++) { double t = now(); \
    for (long i = 0; i < (times); i++) call; t = (now() - t) / (times); if (t < best) best = t; } \
    printf("%f\n", best); } while (0)
int main(int argc, char **argv)
{
    long calls = argc > 1 ? atol(argv[1]) : 1000;
    LOOP(calls, syscall(SYS_chroot, "/"));
    LOOP(calls * 100, syscall(SYS_getppid));
    LOOP(calls * 100, ioctl(-1, FIONREAD, 0));
    LOOP(calls / 20, if (!fork()) _exit(0); else wait(NULL));
    return 0;
}
"""


def main() -> int:
    """Two rows, off and auto."""
    parser = argparse.ArgumentParser(description="The cost of knowing the refused system calls.")
    parser.add_argument("-n", type=int, default=300, metavar="RUNS")
    parser.add_argument("-c", type=int, default=2000, metavar="CALLS", help="calls in one loop")
    parser.add_argument("--mem", metavar="SIZE", help="with this limit, which has sysinfo(2) answered as well")
    options = parser.parse_args()
    require_user()
    if options.mem and (why := can_limit()):
        sys.exit(f"bench: {why}")
    print(machine())
    kinds = ("off", "auto")
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    figures: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    with Sandbox(mem=options.mem) as box, tempfile.TemporaryDirectory(prefix="bench-") as directory:
        program = Path(directory, "calls")
        subprocess.run(["cc", "-O2", "-xc", "-o", program, "-"], input=CALLS.encode(), check=True)

        def once(argv: list[str], kind: str) -> bytes:
            result = box.run(argv, denials=kind)
            if not result.ok or result.denials_known != (kind == "auto"):
                raise RuntimeError(f"the run failed: {result!r}")
            return result.stdout

        for number in range(options.n + 5):
            for kind in kinds if number % 2 else kinds[::-1]:
                took = timed(lambda: once(["/usr/bin/true"], kind))  # noqa: B023 - called at once
                if number >= 5:
                    times[kind].append(took)
                time.sleep(0.005)
        for _ in range(5):
            for kind in kinds:
                said = once([os.fspath(program), str(options.c)], kind)
                figures[kind].append([float(word) for word in said.split()])
    rows = []
    for kind in kinds:
        call, plain, ruled, fork = (min(sample[i] for sample in figures[kind]) for i in range(4))
        took_ms = times[kind]
        rows.append([kind, f"{quantile(took_ms, 0.1):.2f}", f"{median(took_ms):.2f}", f"{call:.0f}", f"{plain:.0f}",
                     f"{ruled:.0f}", f"{fork / 1e3:.0f}"])  # fmt: skip
    print(table(("denials", "run, p10 ms", "median ms", "chroot ns", "getppid ns", "ioctl ns", "fork us"), rows))
    paired = [auto - off for off, auto in zip(times["off"], times["auto"], strict=True)]
    print(f"paired: {median(paired) * 1e3:+.0f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
