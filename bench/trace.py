"""What it costs to see every system call, and who sees all of them: seccomp notification against ptrace.

    python3 bench/trace.py [-n ROUNDS]

Three programs: four threads that make calls, a chain of short children, and one that traces its own child. Each runs
in a sandbox by itself, under `pysandbox trace`, under a minimal ptrace(2) tracer in C (below: PTRACE_O_TRACESYSGOOD and
both options for children, nothing decoded), and under `strace -f -c` where that is installed. The counts are those of
getppid(2), of which the program makes a known number; the times are per call, the program's own subtracted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

from common import TREE, machine, median, require_user, table

PROGRAM = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static long times;
static void *work(void *p) { for (long i = 0; i < times; i++) syscall(SYS_getppid); return p; }
int main(int argc, char **argv)
{
    pthread_t thread[4];
    int status;
    (void)argc;
    times = atol(argv[2]);
    if (!strcmp(argv[1], "threads")) {
        for (int i = 0; i < 4; i++) if (pthread_create(thread + i, NULL, work, NULL)) return 2;
        for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    } else if (!strcmp(argv[1], "children")) {
        for (long i = 0; i < times; i++) {
            pid_t pid = vfork();
            if (pid == 0) { syscall(SYS_getppid); _exit(0); }
            if (pid < 0 || waitpid(pid, &status, 0) < 0) return 3;
        }
    } else {
        pid_t pid = fork();
        if (pid == 0) {
            if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(9);
            work(NULL);
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) return 4;
    }
    return 0;
}
"""

TRACER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <linux/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    unsigned long calls = 0;
    int status;
    (void)argc;
    pid_t first = fork(), pid;
    if (first == 0) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); execvp(argv[1], argv + 1); _exit(127); }
    waitpid(first, &status, 0);
    ptrace(PTRACE_SETOPTIONS, first, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
           PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL);
    ptrace(PTRACE_SYSCALL, first, 0, 0);
    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        int pass = 0;
        if (!WIFSTOPPED(status)) { if (pid == first) first = status; continue; }
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY)
                calls += info.entry.nr == SYS_getppid;
        } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP) {
            pass = WSTOPSIG(status);
        }
        ptrace(PTRACE_SYSCALL, pid, 0, pass);
    }
    fprintf(stderr, "%lu calls, exit %d\n", calls, WEXITSTATUS(first));
    return 0;
}
"""

CASES = {"threads": ("4 threads", 5000, 20000), "children": ("short children", 1000, 1000),
         "debugger": ("traces its own child", 5000, 5000)}  # fmt: skip


def once(command: list[str], folder: Path) -> tuple[float, str]:
    """Nanoseconds, and what was said on stderr."""
    began = perf_counter_ns()
    environ = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    return perf_counter_ns() - began, f"{done.returncode}\n{done.stderr}"


def seen_by_trace(file: Path) -> str:
    """The count of getppid, and the end of the program."""
    data = json.loads(file.read_text())
    return f"{data['trace']['calls'].get('getppid', 0)} (exit {data['result']['exit_code']})"


def seen_by_strace(file: Path) -> str:
    rows = [line.split() for line in file.read_text().splitlines()]
    return next((row[3] for row in rows if row and row[-1] == "getppid"), "0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-n", type=int, default=5, help="rounds (5)")
    rounds = parser.parse_args().n
    require_user()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, text in (("program", PROGRAM), ("tracer", TRACER)):
            (folder / f"{what}.c").write_text(text)
            subprocess.run(["gcc", "-O2", "-pthread", "-o", folder / what, folder / f"{what}.c"], check=True)
        command = [sys.executable, "-P", "-m", "sandbox.cli"]
        share = ["-v", f"{folder}:/bench:rw", "--"]
        ways = {
            "alone": [*command, "run", *share],
            "trace": [*command, "trace", "-q", "--json", str(folder / "json"), *share],
            "ptrace": [*command, "run", *share, "/bench/tracer"],
        }
        if shutil.which("strace"):
            ways["strace -f -c"] = [*command, "run", *share, "strace", "-f", "-c", "-o", "/bench/strace"]
        rows = []
        for case, (words, times, expected) in CASES.items():
            taken: dict[str, list[float]] = {way: [] for way in ways}
            saw = {}
            for _ in range(rounds):
                for way, start in ways.items():
                    ns, said = once([*start, "/bench/program", case, str(times)], folder)
                    taken[way].append(ns)
                    if way == "trace":
                        saw[way] = seen_by_trace(folder / "json")
                    elif way == "ptrace":
                        saw[way] = said.split("\n")[1]
                    elif way != "alone":
                        saw[way] = f"{seen_by_strace(folder / 'strace')} (exit {said.split(chr(10))[0]})"
            base = median(taken["alone"])
            for way in ways:
                cost = "" if way == "alone" else f"{(median(taken[way]) - base) / expected / 1000:.1f}"
                rows.append([words, way, f"{median(taken[way]) / 1e6:.0f}", cost, saw.get(way, ""), str(expected)])
        print(f"{machine()}\n")
        print(table(["program", "seen by", "ms", "us a call more", "getppid seen", "made"], rows))


if __name__ == "__main__":
    main()
