"""A grader of the package (problem package format, legacy, "Graders"), in a sandbox."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox import Sandbox

from ..errors import JudgeError
from ..execute.limits import duration, share
from ..problem.model import Limits, Scoring
from ..program import PLACE, Program
from ..verdict.profiles import PACKAGE_WORDS

_ANSWER = re.compile(rb"\s*(AC|WA|RTE|TLE|MLE|OLE|PE|JE)\s+([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


class Graders:
    """``programs``: compiled graders by their place in the package. A Grader for ``walk.Walk``."""

    def __init__(self, programs: dict[Path, Program], limits: Limits, box: Sandbox) -> None:
        self._programs, self._limits, self._box = programs, limits, box

    def __call__(self, scoring: Scoring, lines: list[tuple[str, float]]) -> tuple[str, float]:
        """Its verdict and score. Raises JudgeError if it fails or says something else."""
        assert scoring.grader is not None
        program = self._programs[scoring.grader]
        told = "".join(f"{PACKAGE_WORDS.get(word, word)} {score:.17g}\n" for word, score in lines)
        result = self._box.run(
            [*program.command(self._limits.validation_memory_bytes), *scoring.grader_flags],
            stdin=told.encode(), **self._options(program),
        )
        name = scoring.grader.name
        if result.outcome != "ok":
            raise JudgeError(f"grader {name}: ended with {result.outcome}" + (
                f" {result.exit_code}, expected exit code 0" if result.outcome == "exited" else ""))  # fmt: skip
        answer = _ANSWER.fullmatch(result.stdout)
        if answer is None or not math.isfinite(float(answer[2])):
            raise JudgeError(f"grader {name}: its output is not a verdict and a score")
        return answer[1].decode(), float(answer[2])

    def _options(self, program: Program) -> dict[str, Any]:
        limits = self._limits
        volumes = [] if program.directory is None else [share(program.directory, PLACE)]
        return {
            "policy": program.policy, "env": dict(program.env), "volumes": volumes, "swap": 0, "net": "none",
            "mem": limits.validation_memory_bytes + program.memory.extra_bytes,
            "time": duration(limits.validation_time_ns), "wall": duration(2 * limits.validation_time_ns),
            "output": "64K", "pids": program.pids, "stack": program.stack,
        }  # fmt: skip


def quiet(grader: Callable[[Scoring, list[tuple[str, float]]], tuple[str, float]], notes: list[str]) -> Callable[
    [Scoring, list[tuple[str, float]]], tuple[str, float]
]:  # fmt: skip
    """The same, but a failure is a JE with a note: the tests that were judged are worth showing."""

    def graded(scoring: Scoring, lines: list[tuple[str, float]]) -> tuple[str, float]:
        from sandbox import SandboxError

        try:
            return grader(scoring, lines)
        except (SandboxError, OSError) as error:
            notes.append(str(error))
            return "JE", 0.0

    return graded
