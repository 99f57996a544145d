"""What the benchmarks share: statistics, tables, the machine in one line, an installed-like copy of the tree."""

from __future__ import annotations

import compileall
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns

TREE = Path(__file__).resolve().parent.parent
# This directory last: seccomp.py here is not to be taken for libseccomp's binding of that name.
sys.path[:] = [str(TREE), *(p for p in sys.path if p != str(TREE / "bench")), str(TREE / "bench")]


def require_user() -> None:
    """Ends the benchmark if root runs it: figures of root are not those of the people the sandbox is for."""
    if os.geteuid() == 0:
        sys.exit("bench: run this as an unprivileged user, with cgroups delegated by `pysandbox setup --user NAME`")


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = perf_counter_ns()
    call()
    return (perf_counter_ns() - start) / 1e6


def quantile(values: Sequence[float], share: float) -> float:
    """Nearest-rank quantile of ``values``, which need not be sorted."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return quantile(values, 0.5)


def machine() -> str:
    """Kind of machine, for the head of a table; no host name."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    return (f"{os.cpu_count()} CPUs ({model or platform.machine()}), Linux {platform.release().partition('-')[0]}, "
            f"Python {platform.python_version()}, load {load:.2f} at the start")  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned so that it reads well in a terminal too."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        out = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(out)} |"

    rule = "| " + " | ".join(["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]) + " |"
    return "\n".join([line(head), rule, *(line(row) for row in rows)])


def installed_copy(directory: Path) -> Path:
    """The package as an installation has it: code with its bytecode, policies and the script.

    A tree that another user owns has no bytecode we could write, and every start would compile it all.
    """
    target = directory / "installed"
    for name in ("sandbox", "policies", "bin"):
        shutil.copytree(TREE / name, target / name, ignore=shutil.ignore_patterns("*.c", "*.h", "__pycache__"))
    compileall.compile_dir(target, quiet=1)
    return target


def can_limit() -> str:
    """ "" if memory and CPU time can be limited by a cgroup here, else why not."""
    from sandbox import SandboxError, run

    try:
        run(["true"], mem="64M", time=5)
    except SandboxError as error:
        return str(error)
    return ""
