"""A program in a job's container: started there, its output passed on, its limits of time kept."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..containers import Container
    from ..result import Result


def run(
    container: Container,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    input_fd: int | None = None,
    output_fd: int | None = None,
    error_fd: int | None = None,
    wall_ns: int | None = None,
    time_ns: int | None = None,
    output: str | None = None,
    forward_signals: bool = False,
) -> Result:
    """Run it and wait; with ``output_fd`` both streams go there, else they are in the Result."""
    raise NotImplementedError
