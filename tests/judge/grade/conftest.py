"""A cache of compiled programs and a journal for each test, and the languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.events import Event
from judge.grade.judging import Options, judge
from judge.language import Languages, load
from judge.problem.model import Problem
from judge.result import SubmissionResult

Judge = Callable[..., SubmissionResult]


@pytest.fixture(scope="session")
def languages() -> Languages:
    return load()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def judged(languages: Languages, cache: Path, tmp_path: Path) -> Judge:
    """``judged(problem, submission, jobs=1, ..., events=[])``."""

    def run(problem: Problem, submission: Path, events: list[Event] | None = None, **options: Any) -> SubmissionResult:
        chosen = replace(Options(cache=cache, journal=tmp_path / "journal.sqlite"), **options)
        listener = None if events is None else events.append
        return judge(problem, submission, languages=languages, options=chosen, listener=listener)

    return run
