"""What a person reads: headings while it runs, a table at the end."""

from __future__ import annotations

from ..units import format_size
from .result import ERROR, FAILED, IGNORED, INTERRUPTED, PASSED, SKIPPED, RunResult, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MARKS = {PASSED: "ok", FAILED: "FAILED", IGNORED: "ignored", SKIPPED: "skipped", ERROR: "ERROR", INTERRUPTED: "stopped"}


def seconds(ns: int) -> str:
    """``0.42 s``, ``75.1 s``."""
    value = ns / 1_000_000_000
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def one_line(text: str) -> str:
    """For a heading: no control character, no second line."""
    return " ".join(clean(text).split())


def table(result: RunResult) -> Iterator[str]:
    """The lines of the final table: each job, its steps that are not ok, what became of its files."""
    width = max([len(one_line(job.title)) for job in result.jobs] + [3])
    yield ""
    for job in result.jobs:
        steps = [step for step in job.steps if step.status not in (SKIPPED,)]
        passed = sum(step.status in (PASSED, IGNORED) for step in steps)
        count = f"{passed}/{len(job.steps)} steps" if job.steps else ""
        line = f"{one_line(job.title):<{width}}  {MARKS[job.status]:<8}{seconds(job.wall_ns):>9}  {count}"
        if job.attempts > 1:
            line += f", attempt {job.attempts}"
        yield line.rstrip() + (f"  {one_line(job.detail)}" if job.detail else "")
        for step in job.steps:
            if step.status in (FAILED, IGNORED, ERROR, INTERRUPTED):
                yield f"{'':<{width}}    {MARKS[step.status]}: {one_line(step.name)}: {one_line(step.detail)}"
        if job.artifacts is not None:
            taken = job.artifacts
            text = f"artifacts: {taken.files} files, {format_size(taken.bytes)} bytes in {taken.directory}"
            if taken.skipped:
                text += f"; left out, no regular files: {', '.join(one_line(name) for name in taken.skipped[:5])}"
            yield f"{'':<{width}}    {text}"
        for cache in job.caches:
            words = [word for word, true in (("restored", cache.restored), ("saved", cache.saved)) if true]
            if cache.detail:
                words.append(one_line(cache.detail))
            yield f"{'':<{width}}    cache {one_line(cache.key)}: {', '.join(words) or 'nothing to restore'}"
    counts = {status: sum(job.status == status for job in result.jobs) for status in MARKS}
    said = ", ".join(f"{count} {MARKS[status].lower()}" for status, count in counts.items() if count)
    yield f"{len(result.jobs)} {'job' if len(result.jobs) == 1 else 'jobs'}: {said}, {seconds(result.wall_ns)}"
