"""``pysandbox judge check PACKAGE...``: every mistake with file and line; nothing is compiled or run."""

from __future__ import annotations

from pathlib import Path

from ..errors import JudgeError
from ..problem.faults import ERROR
from ..problem.opening import inspect
from ..report.text import clean
from . import EXIT_BAD, EXIT_GOOD
from .opened import place


def main(values: dict[str, object], words: list[str]) -> int:
    """0 if no package has an error; warnings do not count."""
    status = EXIT_GOOD
    for word in words:
        with place(Path(word)) as into:
            try:
                problem, faults = inspect(Path(word), into=into)
            except JudgeError as error:  # an archive that is refused as a whole
                print(f"{clean(word)}: error: {clean(str(error))}")
                status = EXIT_BAD
                continue
            for fault in faults:
                print(f"{clean(word)}: {clean(str(fault))}")
            errors = sum(fault.severity == ERROR for fault in faults)
            if errors or problem is None:
                status = EXIT_BAD
                print(f"{clean(word)}: {_count(errors, 'error')}, {_count(len(faults) - errors, 'warning')}")
                continue
            tests = problem.tests
            samples = sum(test.sample for test in tests)
            doubts = f"{_count(len(faults), 'warning')}, " if faults else ""
            print(
                f"{clean(word)}: {'no errors' if faults else 'good'}: {doubts}{problem.format}, "
                f"{_count(len(tests), 'test')} ({_count(samples, 'sample')}), "
                f"{_count(len(problem.submissions), 'submission')} of the jury"
            )
    return status


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
