"""What a seccomp policy costs: compiling, finding it compiled, loading, and for each system call.

    python3 bench/seccomp.py [-n CALLS]

Each policy is loaded in a forked child that then calls getppid(2), which every policy allows by its number
alone, and personality(2) with a query, which goes through the rules with conditions. The cost of a call is
the least of several loops; what Python adds is the same in all columns.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
from collections.abc import Callable
from time import perf_counter_ns

from common import machine, median, require_user, table

from sandbox import seccomp as room

SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
SYS_PERSONALITY = {"x86_64": 135, "aarch64": 92}
PR_SET_NO_NEW_PRIVS = 38
LOOPS = 7
POLICIES = ("none", "default", "strict")

libc = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def load(code: bytes) -> float:
    """Put the filter on this process, for good; microseconds of the system call."""
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    program = Program(len(code) // 8, code)
    number, where = SYS_SECCOMP[os.uname().machine], ctypes.byref(program)
    libc.syscall(number, -1, 0, where)  # refused; after it ctypes has its pages and the kernel has ours
    start = perf_counter_ns()
    failed = libc.syscall(number, 1, 0, where)
    took = (perf_counter_ns() - start) / 1e3
    if failed:
        raise OSError(ctypes.get_errno(), "seccomp(2)")
    return took


def least_ns(call: Callable[[], object], calls: int) -> float:
    """Nanoseconds of one call, in the fastest of several loops."""
    best = float("inf")
    for _ in range(LOOPS):
        start = perf_counter_ns()
        for _ in range(calls):
            call()
        best = min(best, (perf_counter_ns() - start) / calls)
    return best


def in_child(measure: Callable[[], list[float]]) -> list[float]:
    """The figures that a forked child finds; a filter cannot be taken off again."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, " ".join(map(str, measure())).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not text:
        raise RuntimeError(f"the measuring child ended with {status}")
    return [float(word) for word in text.split()]


def calls_of(code: bytes | None, calls: int) -> list[float]:
    """[load in us, getppid in ns, personality in ns] under a filter."""
    number = SYS_PERSONALITY[os.uname().machine]

    def measure() -> list[float]:
        took = load(code) if code is not None else 0.0
        query = ctypes.c_ulong(0xFFFFFFFF)
        return [took, least_ns(os.getppid, calls), least_ns(lambda: libc.syscall(number, query), calls // 4)]

    return in_child(measure)


def finding(policy: str) -> list[float]:
    """[compile in ms, from the user's cache in us, from memory in us]"""
    figures = []
    with tempfile.TemporaryDirectory(prefix="bench-") as cache:

        def measure() -> list[float]:
            os.environ["XDG_CACHE_HOME"] = cache
            start = perf_counter_ns()
            room.filter_for(policy)
            middle = perf_counter_ns()
            room.filter_for(policy)
            return [(middle - start) / 1e3, (perf_counter_ns() - middle) / 1e3]

        cold = in_child(measure)
        warm = [in_child(measure) for _ in range(15)]
        figures = [cold[0] / 1e3, median([w[0] for w in warm]), median([w[1] for w in warm])]
    return figures


def main() -> int:
    """One row a policy."""
    parser = argparse.ArgumentParser(description="The cost of seccomp policies.")
    parser.add_argument("-n", type=int, default=200_000, metavar="CALLS", help="calls in one loop")
    options = parser.parse_args()
    require_user()
    print(machine())
    # before anything here has a filter in memory, or has imported libseccomp
    costs = {policy: finding(policy) for policy in POLICIES if policy != room.NONE}
    rows = []
    for policy in POLICIES:
        code = room.filter_for(policy).program or None
        samples = [calls_of(code, options.n) for _ in range(5)]
        loading = median([s[0] for s in samples])
        plain, ruled = (min(s[i] for s in samples) for i in (1, 2))
        found = [f"{v:.1f}" for v in costs[policy]] if policy in costs else ["-", "-", "-"]
        size = str(len(code) // 8) if code else "-"
        rows.append([policy, size, *found, f"{loading:.1f}" if code else "-", f"{plain:.0f}", f"{ruled:.0f}"])
    head = ("policy", "instructions", "compile ms", "from cache us", "from memory us", "load us", "getppid ns")
    print(table((*head, "personality ns"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
