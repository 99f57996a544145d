"""Cgroups: which backend, where, who gave it; each limit; and a memory limit that has to hold."""

from __future__ import annotations

from ..result import MEMORY
from ..units import format_size
from .check import Check, attempt, limited, missing, ok, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..cgroup.protocol import Backend
    from .trials import Trials

LIMITS = ("mem", "swap", "time", "pids", "cpus", "cpuset", "io_read", "io_write")
# dd takes its block from malloc and fills it at once: bounded, should the limit not hold.
_LIMIT_BYTES, _USED_BYTES = 16 << 20, 64 << 20
_HOG = ("dd", "if=/dev/zero", "of=/dev/null", f"bs={_USED_BYTES}", "count=1")


def checks(trials: Trials) -> Iterator[Check]:
    """The backend, its limits, and the trials."""
    found: list[Backend] = []
    yield attempt("cgroups", _find(found))
    for limit in LIMITS:
        yield attempt(f"limit --{limit.replace('_', '-')}", _limit(limit, found[0] if found else None))
    yield attempt("run --mem", trials.guarded(_run_mem(trials, found[0] if found else None)))
    yield attempt("/proc figures", trials.guarded(lambda name: proc_figures(name, trials)))


def split(sentence: str) -> tuple[str, str]:
    """(why, the fix) of Backend.missing(), which says "LIMIT cannot be enforced: WHY; FIX"."""
    said, _, fix = sentence.rpartition("; ")
    return said.partition("cannot be enforced: ")[2] or said, fix


def _find(found: list[Backend]) -> Callable[[str], Check]:
    def ask(name: str) -> Check:
        from ..cgroup import delegation

        backend = delegation.find(prepare=False)
        found.append(backend)
        if backend.name == "none":
            detail, fix = split(backend.missing("mem"))
            return missing(name, detail, fix)
        return ok(name, backend.where)

    return ask


def _limit(limit: str, backend: Backend | None) -> Callable[[str], Check]:
    def ask(name: str) -> Check:
        if backend is None:
            return missing(name, "no cgroup can be used", "see cgroups above")
        if limit in backend.enforces():
            return ok(name, backend.enforces()[limit])
        detail, fix = split(backend.missing(limit))
        if limit == "pids":
            return limited(name, "only by RLIMIT_NPROC in the run's own user namespace", fix)
        return missing(name, detail, fix)

    return ask


def _run_mem(trials: Trials, backend: Backend | None) -> Callable[[str], Check]:
    def ask(name: str) -> Check:
        if backend is not None and "mem" not in backend.enforces():
            return _limit("mem", backend)(name)
        return run_mem(name, trials)

    return ask


def run_mem(name: str, trials: Trials) -> Check:
    """A program that takes more than it may, which has to end in the outcome memory."""
    result = trials.run(_HOG, mem=_LIMIT_BYTES)
    peak = result.usage.memory_peak_bytes
    if result.outcome == MEMORY and result.usage.oom_kills:
        detail = f"a program that took more than {format_size(_LIMIT_BYTES)} was stopped by {result.enforced['mem']}"
        return ok(name, f"{detail} (peak {peak} bytes)" if peak is not None else detail)
    if result.ok:
        used, allowed = format_size(_USED_BYTES), format_size(_LIMIT_BYTES)
        detail = f"a program used {used} under a limit of {allowed} ({result.enforced['mem']})"
        return missing(name, detail, report("pysandbox doctor --json -"))
    return trials.refused(name, result)


def proc_figures(name: str, trials: Trials) -> Check:
    """Which way ``--proc auto`` takes under a limit, and whether a program that looks sees the limit."""
    from .helpers import lxcfs

    result = trials.run(["cat", "/proc/meminfo"], mem=_LIMIT_BYTES, best_effort=True)
    line = next((line for line in result.stdout.splitlines() if line.startswith(b"MemTotal:")), b"")
    if not line:
        return trials.refused(name, result)
    total = int(line.split()[1]) << 10
    if total > _LIMIT_BYTES:
        if "mem" in result.not_enforced:
            return limited(name, "the host's, as memory cannot be limited", "see run --mem above")
        detail = f"by {result.proc}, {format_size(total)} under a limit of {format_size(_LIMIT_BYTES)}"
        return limited(name, detail, report("pysandbox doctor --json -"))
    if result.proc == "lxcfs":
        return ok(name, "follow the limits and what is used, by lxcfs (--proc auto)")
    why = f"; {result.notes[0].partition(':')[0]}" if result.notes else ""
    better = lxcfs("lxcfs")
    return limited(name, f"follow the limits, by files of our own in which what is used stands still{why}",
                   better.fix or "restart lxcfs")  # fmt: skip
