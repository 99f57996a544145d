"""How long a launch takes, against the peers, in one interleaved run.

    python3 bench/launch.py [-n ROUNDS] [--only NAME,NAME] [--json FILE|-] [--pause-ms 5]

Every round runs each contestant once, in a new order, with a pause after each, so that what one does in
the background (we make the next sandbox ahead; kernels tear namespaces down) is not billed to the next.
That pause is kind to us: a caller with one run right after the other sees the column "back to back",
the mean of a series without any pause. Both are given; the targets are about the first.

Ratios are what counts: milliseconds belong to one machine on one day.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

from common import TREE, can_limit, installed_copy, machine, median, quantile, require_user, table, timed
from peers import NAMESPACES, TRUE, Bubblewrap, Nsjail, Peer, Runc, spawn

SERIES = 50  # runs in a row for the column "back to back"


class Caller:
    """A process of caller.py."""

    def __init__(self, heap_mib: int, threads: int) -> None:
        command = [sys.executable, str(TREE / "bench" / "caller.py"), str(heap_mib), str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, kind: str, times: int = 1) -> float:
        """Milliseconds for ``times`` runs in a row."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{kind} {times}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the calling process died; see its message above")
        return float(line)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


class Contestant:
    """One row: ``once`` gives the milliseconds of one run, ``series`` those of many in a row."""

    def __init__(self, name: str, words: str, once: Callable[[], float], series: Callable[[int], float]) -> None:
        self.name, self.words, self.once, self.series = name, words, once, series
        self.times: list[float] = []
        self.back_to_back = 0.0


def _process(name: str, words: str, argv: list[str], env: dict[str, str] | None = None) -> Contestant:
    return _call(name, words, lambda: spawn(argv, env))


def _call(name: str, words: str, call: Callable[[], None]) -> Contestant:
    def series(times: int) -> float:
        start = perf_counter_ns()
        for _ in range(times):
            call()
        return (perf_counter_ns() - start) / 1e6

    return Contestant(name, words, lambda: timed(call), series)


def contestants(directory: Path, wanted: set[str]) -> tuple[list[Contestant], list[str], list[Caller]]:
    """Those that work here, sentences about those that do not, and the processes to close."""
    found: list[Contestant] = []
    missing: list[str] = []
    callers: list[Caller] = []

    def wants(name: str) -> bool:
        return not wanted or name in wanted

    if wants("spawn"):
        found.append(_process("spawn", "posix_spawn of true, no isolation", [TRUE]))
    makers: dict[type[Peer], str] = {Bubblewrap: "bubblewrap", Nsjail: "nsjail", Runc: "runc, rootless bundle"}
    for maker, words in makers.items():
        if wants(maker.name):
            peer = maker(directory / maker.name)
            if peer.why:
                missing.append(f"{maker.name}: {peer.why}")
            else:
                lacking = ", ".join(n for n in NAMESPACES if n not in peer.namespaces)
                found.append(_call(maker.name, f"{words} (no {lacking} namespace)" if lacking else words, peer.run))
    no_limits = can_limit()
    sizes = ((0, 0, "", "API, warm"), (1024, 8, "big-", "API, caller of 1 GiB and 8 threads"))
    for heap, threads, prefix, who in sizes:
        kinds = [k for k in ("plain", "limits") if wants(prefix + ("api" if k == "plain" else "api-limits"))]
        if "limits" in kinds and no_limits:
            kinds.remove("limits")
            missing.append(f"{prefix}api-limits: {no_limits}")
        if not kinds:
            continue
        for kind in kinds:
            # One each: a caller that wants now this and now that kind of sandbox has none made ahead.
            caller = Caller(heap, threads)
            callers.append(caller)
            name = prefix + ("api" if kind == "plain" else "api-limits")
            words = who + (", no cgroup" if kind == "plain" else ", mem, time, pids")
            found.append(Contestant(name, words, lambda c=caller, k=kind: c.ask(k),  # type: ignore[misc]
                                    lambda n, c=caller, k=kind: c.ask(k, n)))  # type: ignore[misc] # fmt: skip
    installed = installed_copy(directory)
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    if wants("python"):
        found.append(_process("python", "python3 -c pass", [sys.executable, "-c", "pass"], environ))
    environ_cli = {**environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", str(installed / "bin" / "pysandbox"), "run"]
    for name in ("cache-plain", "cache-limits"):
        (directory / name).mkdir(mode=0o700, exist_ok=True)
    if wants("cli"):
        own = {**environ_cli, "XDG_CACHE_HOME": str(directory / "cache-plain")}  # each guesses by its own last setup
        found.append(_process("cli", "pysandbox run", [*command, "--", TRUE], own))
    if wants("cli-limits") and not no_limits:
        limits = ["--mem", "256M", "--time", "10s", "--pids", "64"]
        argv = [*command, *limits, "--", TRUE]
        own = {**environ_cli, "XDG_CACHE_HOME": str(directory / "cache-limits")}
        found.append(_process("cli-limits", "pysandbox run, mem, time, pids", argv, own))
    return found, missing, callers


def measure(rows: list[Contestant], rounds: int, pause_s: float) -> None:
    """All rounds, then the series."""
    order = list(rows)
    shuffle = random.Random(1).shuffle
    for number in range(rounds + 5):
        shuffle(order)
        for row in order:
            took = row.once()
            if number >= 5:  # the first ones fill caches
                row.times.append(took)
            time.sleep(pause_s)
    for row in rows:
        row.series(5)
        row.back_to_back = row.series(SERIES) / SERIES


def targets(rows: list[Contestant]) -> list[tuple[str, bool | None, str]]:
    """The issue's lines: what, met or not (None: not measured), the figures."""
    middle = {row.name: median(row.times) for row in rows}

    def ratio(name: str, base: str, most: float, words: str) -> tuple[str, bool | None, str]:
        if name not in middle or base not in middle:
            return words, None, "not measured"
        value = middle[name] / middle[base]
        return words, value <= most, f"{value:.2f} x ({middle[name]:.2f} / {middle[base]:.2f} ms)"

    out = [
        ratio("api", "bwrap", 0.55, "API without cgroup at most 0.55 x bubblewrap"),
        ratio("api-limits", "bwrap", 0.8, "API with cgroup limits at most 0.8 x bubblewrap"),
    ]
    words = "CLI at most python3 -c pass + 5 ms"
    if {"cli", "python"} <= middle.keys():
        more = middle["cli"] - middle["python"]
        out.append((words, more <= 5, f"+{more:.2f} ms ({middle['cli']:.2f} - {middle['python']:.2f})"))
    else:
        out.append((words, None, "not measured"))
    out.append(ratio("big-api", "api", 1.1, "caller of 1 GiB and 8 threads within 10 %, no cgroup"))
    out.append(ratio("big-api-limits", "api-limits", 1.1, "caller of 1 GiB and 8 threads within 10 %, with limits"))
    return out


def main() -> int:
    """Measure and print; the exit status is 0 whether targets are met or not."""
    parser = argparse.ArgumentParser(description="Launch times of pysandbox and its peers, interleaved.")
    parser.add_argument("-n", type=int, default=200, metavar="ROUNDS", help="rounds (default 200)")
    names = "spawn, bwrap, nsjail, runc, api, api-limits, big-api, big-api-limits, python, cli, cli-limits"
    parser.add_argument("--only", default="", metavar="NAME,…", help=names)
    parser.add_argument("--json", metavar="FILE", help="write all figures there, - for stdout instead of the table")
    parser.add_argument("--pause-ms", type=float, default=5, help="pause after each run (default 5)")
    options = parser.parse_args()
    require_user()
    head = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        os.environ["XDG_CACHE_HOME"] = f"{directory}/cache"  # a compiled filter is named after where its policy lies
        os.mkdir(f"{directory}/cache")
        rows, missing, callers = contestants(Path(directory), set(filter(None, options.only.split(","))))
        try:
            measure(rows, options.n, options.pause_ms / 1000)
        finally:
            for caller in callers:
                caller.close()
    aims = targets(rows)
    if options.json:
        data = {
            "machine": head, "rounds": options.n, "missing": missing,
            "rows": {r.name: {"median_ms": median(r.times), "p90_ms": quantile(r.times, 0.9), "min_ms": min(r.times),
                              "back_to_back_ms": r.back_to_back, "times_ms": r.times} for r in rows},
            "targets": [{"target": t, "met": met, "figures": f} for t, met, f in aims],
        }  # fmt: skip
        text = json.dumps(data, indent=1)
        if options.json == "-":
            print(text)
            return 0
        Path(options.json).write_text(text + "\n")
    base = next((median(r.times) for r in rows if r.name == "bwrap"), None)
    print(f"{head}\n{options.n} interleaved rounds, milliseconds\n")
    print(table(
        ("launcher", "median", "p90", "x bubblewrap", "back to back"),
        [(r.words, f"{median(r.times):.2f}", f"{quantile(r.times, 0.9):.2f}",
          f"{median(r.times) / base:.2f}" if base else "-", f"{r.back_to_back:.2f}") for r in rows],
    ))  # fmt: skip
    print()
    for line in missing:
        print(f"not measured: {line}")
    for words, met, figures in aims:
        print(f"{'not measured' if met is None else 'met' if met else 'MISSED'}: {words}: {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
