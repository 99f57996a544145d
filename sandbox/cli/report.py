"""The outcome of a run in words, for stderr."""

from __future__ import annotations

from .. import result as words
from ..units import format_duration, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..result import Result

# Outcomes that the exit code says alone, as for a program without a sandbox.
_SILENT = (words.OK, words.EXITED)


def lines(result: Result) -> list[str]:
    """What to say: nothing for a program that simply exited, unless it failed and was refused something."""
    missing = result.not_enforced.items()
    out = [f"limit not enforced: {name}: {why.removeprefix(f'{name} cannot be enforced: ')}" for name, why in missing]
    if result.outcome not in _SILENT:
        out.append(f"{result.outcome.replace('_', ' ')}: {_detail(result)}{_figures(result)}")
    if result.denials and result.outcome != words.OK:
        from ..denials import lines as refused

        out += refused(result.denials)
    out += [f"note: {note}" for note in result.notes]
    out += [f"hint: {hint}" for hint in result.hints]
    if result.stdout_truncated or result.stderr_truncated:
        out.append("note: part of the output was dropped")
    return out


def _detail(result: Result) -> str:
    return next((c.detail for c in result.causes if c.kind == result.outcome), result.error)


def _figures(result: Result) -> str:
    usage, parts = result.usage, []
    if usage.cpu_ns is not None:
        parts.append(f"CPU {format_duration(usage.cpu_ns)}")
    if usage.wall_ns is not None:
        parts.append(f"wall {format_duration(usage.wall_ns)}")
    if usage.memory_peak_bytes is not None:
        parts.append(f"memory peak {format_size(usage.memory_peak_bytes)}")
    return f" ({', '.join(parts)})" if parts and result.outcome != words.EXEC_FAILED else ""
