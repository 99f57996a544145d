"""The judge: submissions in, verdicts out that can be defended. On the public names of ``sandbox`` alone.

    from judge import judge, open_problem
    result = judge(open_problem(Path("examples/sum")), Path("mine.cpp"))
    print(result.verdict.word, [(test.name, test.verdict.detail) for test in result.tests])

errors, facts, verdict, result: data. problem, language: what is given. build, check, execute: one program, one output,
one test. timing, grade: all tests of a submission. calibration, report, cli: limits, and what a person sees.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import ArchiveError, JudgeError, LanguageError, PackageError, SubmissionError
    from .facts import Evidence
    from .grade.judging import Options, judge
    from .language import Languages, load
    from .problem.model import Problem
    from .problem.opening import inspect, open_problem
    from .result import GroupResult, SubmissionResult, TestResult
    from .verdict import Finding, Verdict
    from .verdict.decide import decide

# Looked up at first use: who reads stored results needs neither YAML nor compilers.
_HOMES = {
    "judge": "grade.judging", "Options": "grade.judging", "open_problem": "problem.opening",
    "inspect": "problem.opening", "Problem": "problem.model", "Languages": "language", "load": "language",
    "SubmissionResult": "result", "GroupResult": "result", "TestResult": "result", "Evidence": "facts",
    "Verdict": "verdict", "Finding": "verdict", "decide": "verdict.decide", "JudgeError": "errors",
    "PackageError": "errors", "ArchiveError": "errors", "LanguageError": "errors", "SubmissionError": "errors",
}  # fmt: skip

__all__ = [
    "ArchiveError", "Evidence", "Finding", "GroupResult", "JudgeError", "LanguageError", "Languages", "Options",
    "PackageError", "Problem", "SubmissionError", "SubmissionResult", "TestResult", "Verdict", "decide", "inspect",
    "judge", "load", "open_problem",
]  # fmt: skip


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
