"""A process that uses the API, driven by launch.py: reads one word a line, answers with milliseconds.

    caller.py HEAP_MIB THREADS

Every API row is measured in such a process, so that a large and a small caller differ in nothing else.
"""

from __future__ import annotations

import sys
import threading
from time import perf_counter_ns

import common  # noqa: F401 - puts the tree on the path

from sandbox import Sandbox

# What each word runs; the options are the limits.
KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "limits": {"mem": "256M", "time": 10, "pids": 64},
}


def main() -> int:
    """Serve until end of file."""
    heap_mib, threads = int(sys.argv[1]), int(sys.argv[2])
    heap = bytearray(heap_mib << 20)
    for page in range(0, len(heap), 4096):  # zero pages are not memory until they are written
        heap[page] = 1
    ending = threading.Event()
    others = [threading.Thread(target=ending.wait, daemon=True) for _ in range(threads)]
    for thread in others:
        thread.start()
    with Sandbox() as box:

        def once(options: dict[str, object]) -> None:
            result = box.run(["/usr/bin/true"], **options)
            if not result.ok:
                raise RuntimeError(f"the run failed: {result!r}")

        for line in sys.stdin:
            kind, _, times = line.strip().partition(" ")
            options = KINDS[kind]
            start = perf_counter_ns()
            for _ in range(int(times or "1")):
                once(options)
            print((perf_counter_ns() - start) / 1e6, flush=True)
    ending.set()
    return 0


if __name__ == "__main__":
    sys.exit(main())
