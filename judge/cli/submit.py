"""``pysandbox judge PACKAGE SUBMISSION...`` and ``--all``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sandbox import RequestError, SandboxError

from ..errors import JudgeError, LanguageError, SubmissionError
from ..events import Ended
from ..grade.judging import Options, judge
from ..grade.jury import JuryResult, judge_all, unreadable
from ..language import Languages, load
from ..problem.model import Problem
from ..report import document, junit, matrix, table
from ..report.audience import for_team
from ..report.live import Live
from ..result import SubmissionResult
from . import EXIT_BAD, EXIT_GOOD
from .files import Target
from .opened import problem_of


def main(values: dict[str, Any], words: list[str]) -> int:
    """0 if all are accepted (with --all: as expected), else 1."""
    if values.get("html"):
        import jinja2  # noqa: F401  # its lack is to be known before the work, not after it
    with ExitStack() as stack:
        targets = {name: Target(f"--{name}", values.get(name)) for name in ("json", "junit", "html")}
        for target in targets.values():
            stack.callback(target.close)
        for word in words[1:]:
            if not Path(word).exists():
                raise RequestError("judge", word[:200], "there is no such submission")
        known = load(Path(values["languages"]) if values.get("languages") else None)
        problem = stack.enter_context(problem_of(words[0]))
        options = _options(values)
        live: Live | None = None if values.get("quiet") else stack.enter_context(Live())
        jury: tuple[JuryResult, ...] = ()
        if values.get("all"):
            if not problem.submissions:
                raise JudgeError(f"problem {problem.name} has no submissions of its own")
            jury = tuple(judge_all(problem, languages=known, options=options, listener=live))
            results: list[SubmissionResult] = [one.result for one in jury]
        else:
            results = []
            try:
                for word in words[1:]:
                    results.append(_one(problem, Path(word), known, options, live, len(words) > 2))
            except SandboxError:
                if results:  # of those that were judged there is something to say
                    _report(problem, results, jury, targets, jury_sees=bool(values.get("jury")))
                raise
        if live is not None:
            live.close()
        good = not any(one.mismatches for one in jury) if jury else all(r.verdict.accepted for r in results)
        _report(problem, results, jury, targets, jury_sees=bool(values.get("jury")))
    return EXIT_GOOD if good else EXIT_BAD


def _one(
    problem: Problem, submission: Path, languages: Languages, options: Options, live: Live | None, of_several: bool
) -> SubmissionResult:
    """What cannot be read is said in one line; where there are others, in its line of the table."""
    try:
        return judge(problem, submission, languages=languages, options=options, listener=live)
    except (SubmissionError, LanguageError) as error:
        if not of_several:
            raise
        result = unreadable(problem, submission, options, error)
        if live is not None:
            live(Ended(result))
        return result


def _options(values: dict[str, Any]) -> Options:
    fields: dict[str, Any] = {
        "jobs": values.get("jobs", 1), "profile": values.get("profile", "icpc"), "time_ns": values.get("time"),
        "memory_bytes": values.get("memory"), "language": values.get("language"), "fresh": values.get("fresh", False),
        "journal": Path(values["journal"]) if values.get("journal") else None, "reruns": values.get("reruns", 3),
        "early": not values.get("keep_going", False),
    }  # fmt: skip
    return Options(**fields)


def _report(
    problem: Problem, results: Sequence[SubmissionResult], jury: tuple[JuryResult, ...], targets: dict[str, Target], *,
    jury_sees: bool,
) -> None:  # fmt: skip
    shown = list(results) if jury_sees else [for_team(result) for result in results]
    seen = tuple(JuryResult(j.submission, result, j.mismatches) for j, result in zip(jury, shown, strict=False))
    if targets["json"].wanted:
        targets["json"].write(document.text(document.document(problem, shown, seen)))
    if targets["junit"].wanted:
        targets["junit"].write(junit.render(problem, shown, seen))
    if targets["html"].wanted:
        from ..report import html

        targets["html"].write(html.render(problem, shown, seen, when=time.strftime("%Y-%m-%d %H:%M %Z")))
    if any(target.is_stdout for target in targets.values()):
        return
    out = table.console()
    if jury:
        matrix.show(out, problem, seen)
    else:
        table.show(out, problem, shown, jury=jury_sees)
