"""What came of a run of a job file; as JSON after docs/ci.schema.json."""

from __future__ import annotations

import json

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SCHEMA = 1

# Status of a step, a job and a run. IGNORED: it failed, and continue_on_error says that this does not matter.
# ERROR: pysandbox, the host or the image is at fault, and nothing is said about the script.
PASSED, FAILED, IGNORED, SKIPPED = "passed", "failed", "ignored", "skipped"
ERROR, INTERRUPTED = "error", "interrupted"


class StepResult(Record):
    """One step. ``exit_status`` as ``pysandbox run`` has it, ``outcome`` as a Result has it; "" if it was not run.

    ``output``: the end of what it wrote, control characters replaced. ``began_ns``: since the job's begin.
    """

    name: str
    status: str
    exit_status: int | None = None
    outcome: str = ""
    detail: str = ""
    began_ns: int = 0
    wall_ns: int = 0
    cpu_ns: int | None = None
    output: str = ""
    output_truncated: bool = False


class ArtifactsResult(Record):
    """What was taken out, to ``directory``. ``skipped``: what matched and is no regular file or directory."""

    directory: str
    files: int = 0
    bytes: int = 0
    skipped: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()  # patterns that nothing matched


class CacheResult(Record):
    """One cache: ``restored`` before the steps, ``saved`` after them; ``bytes`` of what was saved or restored."""

    key: str
    restored: bool = False
    saved: bool = False
    bytes: int = 0
    detail: str = ""


class JobResult(Record):
    """One job of one combination; its steps are those of the last attempt."""

    name: str
    title: str
    axes: Mapping[str, str]
    image: str
    status: str
    attempts: int = 0
    wall_ns: int = 0
    detail: str = ""
    steps: tuple[StepResult, ...] = ()
    artifacts: ArtifactsResult | None = None
    caches: tuple[CacheResult, ...] = ()


class RunResult(Record):
    """All jobs, in the order of the file."""

    file: str
    name: str
    started_ns: int  # since the epoch
    wall_ns: int
    jobs: tuple[JobResult, ...]

    @property
    def status(self) -> str:
        """The worst: interrupted, error, failed, passed."""
        found = {job.status for job in self.jobs}
        return next((status for status in (INTERRUPTED, ERROR, FAILED) if status in found), PASSED)

    @property
    def exit_status(self) -> int:
        """0 if all passed, 1 if one failed, 125 if one could not be run, 130 if a signal ended it."""
        return {INTERRUPTED: 130, ERROR: 125, FAILED: 1}.get(self.status, 0)

    def to_json(self) -> str:
        """After docs/ci.schema.json, with a newline at its end."""
        return json.dumps({"schema": SCHEMA, "status": self.status, **_plain(self)}, indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _plain(inner) for name, inner in value.asdict().items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return dict(value) if isinstance(value, dict) else value


def clean(text: str) -> str:
    """Without control characters, save newline and tab: neither XML 1.0 nor a terminal wants them."""
    return "".join(
        c if c in "\n\t" or (c.isprintable() and not 0xFFFE <= ord(c) & 0xFFFF) else "�"
        for c in text.replace("\r\n", "\n")
    )
