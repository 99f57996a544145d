"""Limits of a problem and a program -> options of a run, and the Limited that its facts carry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import JudgeError
from ..facts import Limited
from ..problem.model import MIB, SECOND, Limits
from ..program import PLACE, Program

# What a submission may use besides time and memory. Its files are in memory (tmpfs) and are charged to ``memory``.
DISK_BYTES = 64 * MIB
INODES = 4096
NOFILE = 1024
POLICY = "judge"


def limited(limits: Limits, program: Program) -> Limited:
    """What a verdict compares with, and where the run is ended. Raises JudgeError if there is no time limit.

    It is ended a tenth of the limit (100 ms at least) after the limit, so that a time near it is measured and not cut;
    the verdict knows no such grace. The wall time is twice the CPU time and a second: enough for a program that waits
    now and then on a busy machine, and the end of one that sleeps.
    """
    if limits.time_ns is None:
        raise JudgeError("the problem has no time limit; name one, or measure it with pysandbox judge calibrate")
    time_ns = round(limits.time_ns * program.time_factor)
    wall_ns = round((limits.wall_ns or 2 * limits.time_ns + SECOND) * program.time_factor)
    kill_ns = time_ns + max(time_ns // 10, SECOND // 10)
    return Limited(
        time_ns=time_ns, kill_time_ns=kill_ns, wall_ns=wall_ns,
        memory_bytes=limits.memory_bytes + program.memory.extra_bytes, output_bytes=limits.output_bytes,
    )  # fmt: skip


def options(bounds: Limited, program: Program, *, cpuset: str | None = None) -> dict[str, Any]:
    """Options of ``Sandbox.run`` for a submission. They are the same for all tests with the same limits, without
    volumes but the program's own, so that the spawner can make the next sandbox ahead."""
    told: dict[str, Any] = {
        "policy": program.policy or POLICY, "env": dict(program.env), "volumes": volumes(program),
        "mem": bounds.memory_bytes, "swap": 0, "time": duration(bounds.kill_time_ns),
        "wall": duration(bounds.wall_ns), "output": bounds.output_bytes, "pids": program.pids, "stack": program.stack,
        "disk": DISK_BYTES, "inodes": INODES, "nofile": NOFILE, "core": 0, "net": "none",
    }  # fmt: skip
    if cpuset is not None:
        told["cpuset"] = cpuset
    return told


def volumes(program: Program) -> list[str]:
    """What is shown of the host: the program's own directory, read-only."""
    return [] if program.directory is None else [share(program.directory, PLACE)]


def share(source: str, target: str, mode: str = "ro") -> str:
    """A volume in the sandbox's words. Raises JudgeError for a path that they cannot name."""
    for path in (source, target):
        if ":" in path:
            raise JudgeError(f"{path!r}: a path with a colon cannot be shown in a sandbox; rename or move it")
    return f"{source}:{target}:{mode}"


def duration(ns: int | None) -> str | None:
    """Nanoseconds in the sandbox's words."""
    return None if ns is None else f"{ns}ns"


def argument_memory(limits: Limits) -> int:
    """What {memory_mib} and its kin in a command line stand for: the problem's limit, without the runtime's extra."""
    return limits.memory_bytes


def longer(bounds: Limited, extra_ns: int) -> Limited:
    """The same with a longer wall time."""
    return bounds if bounds.wall_ns is None else replace(bounds, wall_ns=bounds.wall_ns + extra_ns)
