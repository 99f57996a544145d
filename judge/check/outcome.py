"""What a check gives: the facts, and whether the submission is to run again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..facts import CheckFacts


@dataclass(frozen=True)
class Outcome:
    """next_pass: the feedback directory that holds an input for the next pass (``feedback.open_next``); None: there is
    none, or the output was not accepted."""

    facts: CheckFacts
    next_pass: Path | None = None
