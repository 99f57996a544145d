"""The words, and what a verdict is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

WORDS = {
    "AC": "accepted",
    "PAC": "partially accepted",
    "PE": "presentation error",
    "WA": "wrong answer",
    "TLE": "time limit exceeded",
    "ILE": "idleness limit exceeded",
    "MLE": "memory limit exceeded",
    "OLE": "output limit exceeded",
    "RTE": "run-time error",
    "SV": "security violation",
    "CE": "compile error",
    "JE": "judge error",
    "SK": "not judged",
}


@dataclass(frozen=True)
class Finding:
    """One thing that speaks for a word: ``detail`` names counter, limit and time ("CPU 1.102 s, limit 1 s")."""

    word: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """``word`` is the first of the findings in the profile's order; ``findings`` are all of them, in that order.

    share: of the full score, 0 to 1, where the checker gave one; score: an absolute one instead.
    """

    word: str
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    share: float | None = None
    score: float | None = None

    @property
    def accepted(self) -> bool:
        """Is it AC? PAC is not, although it scores."""
        return self.word == "AC"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "findings": [asdict(f) for f in self.findings]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        return cls(**{**data, "findings": tuple(Finding(**f) for f in data["findings"])})
