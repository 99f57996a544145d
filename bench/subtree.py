"""What a run with limits costs on cgroup v2, by where its subtree comes from: one interleaved run.

    python3 bench/subtree.py [-n ROUNDS] [--json FILE|-]

From a plain login session of a host with systemd (its own cgroup is root's). The rows:

    no-limits     pysandbox run true
    at-hand       pysandbox run --mem 64M true, started in a scope that is delegated
    keeper        the same from the session, with the keeper running
    keeper-start  the same, with the keeper stopped before: StartTransientUnit is in the time
    scope         a scope a run instead: StartTransientUnit with our own pid, then the run, in one process
    scope-run     a scope a run by the command: systemd-run --user --scope pysandbox run
    api-*         Sandbox(mem="64M").run(["true"]), warm

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

from common import installed_copy, machine, median, quantile, require_user, table, timed

# Reads lines, runs what they name, writes milliseconds: so that a process in a scope can take its turn.
WORKER = """
import subprocess, sys, time
from sandbox import Sandbox
box = Sandbox(mem="64M", wall=60)
argv = sys.argv[1:]
for line in sys.stdin:
    start = time.perf_counter_ns()
    if line == "api\\n":
        assert box.run(["true"]).ok
    else:
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    print((time.perf_counter_ns() - start) / 1e6, flush=True)
"""

# What a command without a keeper would do: move itself into a scope of its own, then go on.
SCOPE = """
import os, sys
from jeepney import DBusAddress, MatchRule, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
path, name = "/org/freedesktop/systemd1", "org.freedesktop.systemd1"
manager = DBusAddress(path, name, name + ".Manager")
rule = MatchRule(type="signal", interface=manager.interface, member="JobRemoved", path=path)
with open_dbus_connection(f"unix:path=/run/user/{os.getuid()}/bus") as connection:
    connection.send_and_get_reply(message_bus.AddMatch(rule))
    with connection.filter(rule) as signals:
        properties = [("PIDs", ("au", [os.getpid()])), ("Delegate", ("b", True)),
                      ("CollectMode", ("s", "inactive-or-failed"))]
        words = (f"bench-{os.getpid()}.scope", "fail", properties, [])
        call = new_method_call(manager, "StartTransientUnit", "ssa(sv)a(sa(sv))", words)
        (job,) = connection.send_and_get_reply(call).body
        while connection.recv_until_filtered(signals).body[1] != job:
            pass
from sandbox.cli.main import console
console()
"""

NAMES = {
    "no-limits": "pysandbox run, no limits",
    "at-hand": "--mem, in a delegated scope",
    "keeper": "--mem, from a session, keeper running",
    "keeper-start": "--mem, from a session, keeper started for it",
    "scope": "--mem, a scope a run (StartTransientUnit)",
    "scope-run": "--mem, a scope a run (systemd-run)",
    "api-at-hand": "API warm, mem, in a delegated scope",
    "api-keeper": "API warm, mem, through the keeper",
}
SCOPED = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes", "--"]


class Worker:
    """A process of WORKER."""

    def __init__(self, before: list[str], argv: list[str], env: dict[str, str]) -> None:
        command = [*before, sys.executable, "-P", "-c", WORKER, *argv]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, what: str) -> float:
        """Milliseconds of one run."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the worker died; see its message above")
        return float(line)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def stop_keepers() -> None:
    """End every keeper of this user and wait until systemd has cleaned up."""
    show = ["systemctl", "--user", "list-units", "--plain", "--no-legend", "pysandbox-keeper-*"]
    for line in subprocess.run(show, capture_output=True, text=True, check=True).stdout.splitlines():
        subprocess.run(["systemctl", "--user", "stop", line.split()[0]], check=False)


def rows(installed: Path, env: dict[str, str]) -> tuple[dict[str, Callable[[], float]], list[Worker]]:
    """name -> a call that gives the milliseconds of one run."""
    pysandbox = [sys.executable, "-P", str(installed / "bin" / "pysandbox")]
    limited = ["run", "--mem", "64M", "--", "true"]

    def run(argv: list[str]) -> float:
        return timed(lambda: subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, env=env))

    def warm(call: Callable[[], float]) -> Callable[[], float]:
        """After an untimed run with limits from the session: the same for all, and it leaves a keeper running."""

        def second() -> float:
            run([*pysandbox, *limited])
            return call()

        return second

    def start() -> float:
        stop_keepers()
        return run([*pysandbox, *limited])

    inside = Worker(SCOPED, [*pysandbox, *limited], env)
    outside = Worker([], [], env)

    def api(worker: Worker) -> float:
        worker.ask("api")  # its spawner may have gone with a keeper that was stopped
        return median([worker.ask("api") for _ in range(5)])

    calls = {
        "no-limits": lambda: run([*pysandbox, "run", "--", "true"]),
        "at-hand": lambda: inside.ask("cli"),
        "keeper": lambda: run([*pysandbox, *limited]),
        "keeper-start": start,
        "scope": lambda: run([sys.executable, "-P", "-c", SCOPE, *limited]),
        "scope-run": lambda: run([*SCOPED, *pysandbox, *limited]),
        "api-at-hand": lambda: api(inside),
        "api-keeper": lambda: api(outside),
    }
    return {name: warm(call) for name, call in calls.items()}, [inside, outside]


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of a run with limits by the source of its cgroup subtree.")
    parser.add_argument("-n", type=int, default=20, metavar="ROUNDS", help="rounds (default 20)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there, - for stdout instead of the table")
    options = parser.parse_args()
    require_user()
    head = machine()
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        installed = installed_copy(Path(directory))
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": f"{directory}/cache"}
        os.mkdir(f"{directory}/cache")
        calls, workers = rows(installed, env)
        order = list(NAMES)
        shuffle = random.Random(1).shuffle
        try:
            for number in range(options.n + 2):
                shuffle(order)
                for name in order:
                    took = calls[name]()
                    if number >= 2:  # the first ones fill caches
                        times[name].append(took)
                    time.sleep(0.02)
        finally:
            for worker in workers:
                worker.close()
            stop_keepers()
    if options.json:
        figures = {n: {"median_ms": median(t), "p90_ms": quantile(t, 0.9), "times_ms": t} for n, t in times.items()}
        text = json.dumps({"machine": head, "rounds": options.n, "rows": figures}, indent=1)
        if options.json == "-":
            print(text)
            return 0
        Path(options.json).write_text(text + "\n")
    base = {"cli": median(times["at-hand"]), "api": median(times["api-at-hand"])}
    lines = []
    for name, words in NAMES.items():
        middle = median(times[name])
        ratio = middle / base["api" if name.startswith("api") else "cli"]
        lines.append([words, f"{middle:.1f}", f"{quantile(times[name], 0.9):.1f}", f"{ratio:.2f}"])
    print(f"{head}; {options.n} rounds\n")
    print(table(["subtree", "median ms", "p90", "x delegated scope"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
