#!/usr/bin/env python3
"""How fast outputs are compared: 100 MB in memory files, against cmp and cat, and the cost of a tiny one.

    python3 bench/checkers.py [-n 5] [--size 100M]

Each case is the median of n comparisons, with the memory that the process grew by. cat and cmp read the same bytes
from the same files: the floor. A tiny comparison is what most tests of a problem need.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from common import machine, median, table, timed

from judge.check.builtin import compare
from judge.facts import ACCEPT
from judge.problem.model import Checker
from sandbox.units import parse_size


def filled(size: int, make: Callable[[int], bytes]) -> int:
    """A memory file with ``size`` bytes of lines that ``make`` gives for numbers."""
    fd = os.memfd_create("bench", 0)
    block, done = b"", 0
    for number in range(20_000):
        block += make(number)
    while done < size:
        done += os.write(fd, block)
    return fd


def plain(number: int) -> bytes:
    return b"%d %d.%06d word\n" % (number, number % 97, number * 7919 % 1_000_000)


def spaced(number: int) -> bytes:
    return plain(number).replace(b" ", b"\n").replace(b"word\n", b"word ")


def upper(number: int) -> bytes:
    return plain(number).upper()


def exact_digits(number: int) -> bytes:
    return b"%.6f %.6f\n" % (number / 7, number / 13)


def other_digits(number: int) -> bytes:
    return b"%.15f %.15f\n" % (number / 7, number / 13)


def tiny(number: int) -> bytes:
    return b"1 "


def tiny_lines(number: int) -> bytes:
    return b"1\n"


CASES: tuple[tuple[str, Checker, tuple[str, ...], Callable[[int], bytes], Callable[[int], bytes]], ...] = (
    ("equal, tokens", Checker("tokens"), (), plain, plain),
    ("equal, exact", Checker("exact"), (), plain, plain),
    ("equal, trailing space ignored", Checker("exact", {"ignore_trailing_space": True}), (), plain, plain),
    ("other white space, tokens", Checker("tokens"), (), spaced, plain),
    ("other case, tokens", Checker("tokens"), (), upper, plain),
    ("every float slightly different", Checker("tokens"), ("float_tolerance 1e-5",), other_digits, exact_digits),
    ("tokens of one character, other white space", Checker("tokens"), (), tiny, tiny_lines),
    ("lines in any order", Checker("lines"), (), plain, plain),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="speed of the built-in checkers")
    parser.add_argument("-n", type=int, default=5, help="comparisons of each case")
    parser.add_argument("--size", default="100M", help="of each output")
    options = parser.parse_args()
    size = parse_size("--size", options.size)
    print(machine(), end="\n\n")
    rows = []
    for name, checker, flags, mine, theirs in CASES:
        output, answer = filled(size, mine), filled(size, theirs)
        # Blocks of as many lines on both sides, so both are cut to the same number of blocks.
        both = [os.fstat(fd).st_size for fd in (output, answer)]
        blocks = min(b // len(b"".join(map(f, range(20_000)))) for b, f in zip(both, (mine, theirs), strict=True))
        for fd, make in ((output, mine), (answer, theirs)):
            os.truncate(fd, blocks * len(b"".join(map(make, range(20_000)))))
        paths = [f"/proc/self/fd/{fd}" for fd in (output, answer)]
        total = sum(os.fstat(fd).st_size for fd in (output, answer))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def once(
            checker: Checker = checker, output: int = output, answer: str = paths[1], flags: tuple[str, ...] = flags
        ) -> None:
            facts = compare(checker, output, Path(answer), flags)
            if facts.outcome != ACCEPT:
                sys.exit(f"{checker}: {facts}")

        ours = median([timed(once) for _ in range(options.n)])
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

        def shell(*command: str, fds: tuple[int, int] = (output, answer)) -> float:
            def call() -> None:
                subprocess.run(command, stdout=subprocess.DEVNULL, pass_fds=fds, check=False)

            return median([timed(call) for _ in range(options.n)])

        cat = shell("cat", *paths)
        cmp = shell("cmp", "-s", *paths) if mine is theirs else None
        rows.append((name, f"{total / 1e6:.0f}", f"{ours:.0f}", f"{total / ours / 1e6:.1f}",
                     f"{cmp:.0f}" if cmp else "-", f"{cat:.0f}", f"{grown / 1024:.1f}"))  # fmt: skip
        os.close(output)
        os.close(answer)
    print(table(("case", "MB", "ms", "GB/s", "cmp ms", "cat ms", "grew MB"), rows))
    output, answer = os.memfd_create("tiny", 0), os.memfd_create("tiny", 0)
    for fd in (output, answer):
        os.write(fd, b"42\n")
    each = median([timed(lambda: compare(Checker(), output, Path(f"/proc/self/fd/{answer}"))) for _ in range(2000)])
    print(f"\nA comparison of 3 bytes: {each * 1000:.0f} us")


if __name__ == "__main__":
    main()
