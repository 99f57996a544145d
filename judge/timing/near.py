"""Which runs are to be repeated alone before a verdict rests on their time.

A time within a tenth of its limit may fall on the other side of it the next time: caches, interrupts and a neighbour's
load change CPU time by some percent (DMOJ/judge-server#1190: 4 ms of spread on pinned hardware with a fixed clock).
Such a run is repeated with nothing else of ours beside it, and the median decides. A run that was ended at its kill
limit is further away than that. One that the wall clock ended while others ran beside it, or while somebody else
waited for the CPU, is judged by its repetition alone.
"""

from __future__ import annotations

from ..facts import Evidence, Noise, RunFacts

# Of the limit, on both sides.
SHARE = 0.1
# Share of the time in which somebody waited for a CPU from which on a wall-clock time says little.
PRESSURE = 0.2


def slowest(evidence: Evidence) -> RunFacts | None:
    """The run whose time counts: that of the pass with the most CPU time."""
    runs = [facts.run for facts in evidence.passes if facts.run is not None]
    return max(runs, key=lambda run: run.cpu_ns or 0, default=None)


def is_near(run: RunFacts | None) -> bool:
    """Is the CPU time within a tenth of the limit? Never for a run that a limit or the policy ended."""
    if run is None or run.cpu_ns is None or run.limits.time_ns is None:
        return False
    ended = run.outcome in ("ok", "exited", "signaled")
    return ended and abs(run.cpu_ns - run.limits.time_ns) <= run.limits.time_ns * SHARE


def is_disturbed(evidence: Evidence, noise: Noise) -> bool:
    """Did the wall clock end a run that may have waited for others? Idleness is none: it would have used free CPUs."""
    ended = any(facts.run is not None and facts.run.outcome == "wall_time" for facts in evidence.passes)
    return ended and (noise.beside > 0 or (noise.pressure or 0.0) >= PRESSURE)
