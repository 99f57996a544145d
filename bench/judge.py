"""The judge's own cost: overhead of a test, throughput of two workers, memory with large tests.

    python3 bench/judge.py [-n TESTS] [--rounds N] [--large N] [--json FILE]

A C program (compiled once, by the judge) adds two numbers. overhead: wall time of the judging, without what comes once
(compiling, preparing), divided by the tests, less the wall time of the program's own runs. -j 1 and -j 2 take
turns, and medians are told. memory: the highest resident set of the judge itself during tests of 1 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from common import can_limit, machine, median, require_user, table

from judge.events import TestEnded
from judge.grade.judging import Options, judge
from judge.grade.schedule import cpus
from judge.language import load
from judge.problem.digest import digest
from judge.problem.model import Checker, Group, Limits, Problem, Scoring, Test
from sandbox import Sandbox

SUM = '#include <stdio.h>\nint main(void){long a,b;if(scanf("%ld%ld",&a,&b)!=2)return 3;printf("%ld\\n",a+b);}\n'
COPY = "#include <unistd.h>\nint main(void){static char b[65536];long n;while((n=read(0,b,sizeof b))>0)" \
       "for(long d=0;d<n;)d+=write(1,b+d,n-d);}\n"  # fmt: skip


def problem(root: Path, texts: list[tuple[str, str]], name: str) -> Problem:
    """One group of tests (input, answer)."""
    tests = []
    root.mkdir()
    for number, (given, answer) in enumerate(texts):
        files = root / f"{number:04}.in", root / f"{number:04}.ans"
        for path, text in zip(files, (given, answer), strict=True):
            path.write_text(text)
        tests.append(Test(f"secret/{number:04}", *files))
    made = Problem(name, root, "plain", Group("", (Group("secret", tuple(tests), Scoring()),)),
                   limits=Limits(time_ns=2_000_000_000, memory_bytes=256 << 20), checkers=(Checker(),))  # fmt: skip
    return Problem(**{**made.__dict__, "digest": digest(made)})


class Bench:
    def __init__(self, root: Path) -> None:
        self.root, self.languages = root, load()
        self.box = Sandbox()

    def submission(self, text: str, name: str) -> Path:
        path = self.root / name
        path.write_text(text)
        return path

    def judged(self, what: Problem, source: Path, jobs: int) -> tuple[float, float]:
        """Milliseconds of a test: all of it, and the program's own; from the first test's end to the last one's."""
        ends: list[int] = []

        def listen(event: Any) -> None:
            if isinstance(event, TestEnded):
                ends.append(perf_counter_ns())

        options = Options(jobs=jobs, cache=self.root / "cache", journal=self.root / "journal.sqlite", reruns=0)
        result = judge(what, source, languages=self.languages, options=options, listener=listen, box=self.box)
        if not result.verdict.accepted or {test.origin for test in result.tests} != {"run"}:
            raise RuntimeError(f"not all accepted: {result.verdict}, {result.compile.message}, {result.notes}")
        own = [test.evidence.passes[0].run.wall_ns or 0 for test in result.tests[1:] if test.evidence.passes[0].run]
        return (ends[-1] - ends[0]) / 1e6 / (len(ends) - 1), sum(own) / 1e6 / len(own)


def peak_kib() -> int:
    """Highest resident set since the last ``reset_peak``, KiB (proc_pid_status(5), VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("no VmHWM in /proc/self/status")


def reset_peak() -> None:
    """proc_pid_clear_refs(5), 5: the peak is what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> int:
    parser = argparse.ArgumentParser(description="What judging costs.")
    parser.add_argument("-n", type=int, default=200, metavar="TESTS", help="tiny tests a round (default 200)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of -j 1 and -j 2 (default 5)")
    parser.add_argument("--large", type=int, default=1000, metavar="N", help="tests of 1 MB (default 1000, 0: none)")
    parser.add_argument("--json", metavar="FILE", help="figures for programs, - for stdout alone")
    words = parser.parse_args()
    require_user()
    if why := can_limit():
        sys.exit(f"bench: {why}")
    figures: dict[str, Any] = {"machine": machine(), "load": os.getloadavg()[0], "tests": words.n}
    with tempfile.TemporaryDirectory(prefix="bench-judge-") as place:
        bench = Bench(Path(place))
        tiny = problem(Path(place, "tiny"), [(f"{i} 1\n", f"{i + 1}\n") for i in range(words.n)], "tiny")
        source = bench.submission(SUM, "sum.c")
        jobs = (1, 2) if len(cpus()) > 1 else (1,)
        found: dict[int, list[tuple[float, float]]] = {count: [] for count in jobs}
        bench.judged(tiny, source, 1)  # compiles
        for _ in range(words.rounds):
            for count in jobs:
                found[count].append(bench.judged(tiny, source, count))
        for count, rounds in found.items():
            figures[f"j{count}"] = {
                "ms_per_test": round(median([wall for wall, _ in rounds]), 3),
                "ms_program": round(median([own for _, own in rounds]), 3),
                "ms_overhead": round(median([wall - own for wall, own in rounds]), 3),
                "best_overhead": round(min(wall - own for wall, own in rounds), 3),
            }
        if 2 in found:
            pairs = zip(found[1], found[2], strict=True)
            figures["speedup"] = round(median([one[0] / two[0] for one, two in pairs]), 3)
        if words.large:
            text = "".join(f"{number:07}\n" for number in range(131072))  # 1 MiB
            for count in (words.large // 10, words.large):
                # Each its own content: equal tests would be run once. A hard link costs no disk, so the head differs.
                texts = [(f"{i}\n{text}", f"{i}\n{text}") for i in range(count)]
                large = problem(Path(place, f"large{count}"), texts, "large")
                del texts
                copy = bench.submission(COPY, "copy.c")
                reset_peak()
                wall, own = bench.judged(large, copy, 1)
                figures[f"large_{count}"] = {"peak_rss_mib": round(peak_kib() / 1024, 1), "ms_per_test": round(wall, 2),
                                             "ms_program": round(own, 2)}  # fmt: skip
        bench.box.close()
    figures["load_at_the_end"] = os.getloadavg()[0]
    if words.json == "-":
        print(json.dumps(figures, indent=1))
        return 0
    print(figures["machine"])
    rows = [[f"-j {c}", *(f"{figures[f'j{c}'][k]:.2f}" for k in ("ms_per_test", "ms_program", "ms_overhead"))]
            for c in found]  # fmt: skip
    print(table(("tiny tests", "ms a test", "the program's", "overhead"), rows))
    if "speedup" in figures:
        print(f"throughput of -j 2: {figures['speedup']:.2f} times that of -j 1")
    for key, value in figures.items():
        if key.startswith("large_"):
            print(f"{key.removeprefix('large_')} tests of 1 MiB: peak {value['peak_rss_mib']:.0f} MiB resident, "
                  f"{value['ms_per_test']:.2f} ms a test")  # fmt: skip
    if words.json:
        Path(words.json).write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
