"""Which of several findings is shown: the one place where the order of words is declared.

``precedence`` orders the findings of one test, ``severity`` the verdicts of several tests (where a group asks for the
worst of them). ``shown_as`` renames what a profile has no word for.

icpc  Within a test: DOMjudge (TestcaseRunnerSubtask, determineVerdict: compare error, time limit, run error, output
      limit, what the validator says) and problemtools (TLE, RTE, validator); neither knows MLE, OLE and SV as words of
      their own, so these stand where those judges' run error stood. Across tests: problem package format, legacy,
      "Graders", worst_error: JE, RTE, MLE, TLE, OLE, WA. A presentation error is a wrong answer.
ioi   CMS (Sandbox.py of isolate): XX, TO, SG (an OOM kill is told apart), RE; then the checker's outcome, 0 to 1. A
      checker that tells a presentation error is repeated.
dmoj  dmoj/result.py: IE, TLE, MLE, OLE, RTE, WA; idleness is TLE there, a presentation error WA (contrib/testlib.py),
      and what it calls SC is a test that was skipped. Across tests: on_grading_end of the site: OLE, RTE, TLE, MLE, WA.

One rule is common to all of them and stands in ``decide``: an interactor that rejected before the submission ended has
decided (problemtools and DOMjudge: "validator first").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import JudgeError


@dataclass(frozen=True)
class Profile:
    """precedence, severity: words, the first that applies wins. shown_as: word -> the profile's word for it."""

    name: str
    precedence: tuple[str, ...]
    severity: tuple[str, ...]
    shown_as: Mapping[str, str] = field(default_factory=dict)

    def word(self, word: str) -> str:
        """This word as the profile shows it."""
        return self.shown_as.get(word, word)

    def rank(self, word: str) -> int:
        """Place in ``precedence``: the lowest of the findings is shown."""
        return self.precedence.index(word)

    def worst(self, words: Iterable[str]) -> str:
        """The worst of the verdicts of several tests; AC if there is none."""
        found = {self.word(word) for word in words}
        return next((word for word in self.severity if word in found), "AC")


ICPC = Profile(
    "icpc",
    precedence=("JE", "CE", "TLE", "ILE", "MLE", "SV", "RTE", "OLE", "WA", "PE", "PAC", "AC", "SK"),
    severity=("JE", "CE", "SV", "RTE", "MLE", "TLE", "ILE", "OLE", "WA", "PE", "PAC", "AC", "SK"),
    shown_as={"PE": "WA"},
)
IOI = Profile(
    "ioi",
    precedence=("JE", "CE", "TLE", "ILE", "MLE", "SV", "RTE", "OLE", "WA", "PE", "PAC", "AC", "SK"),
    severity=("JE", "CE", "TLE", "ILE", "MLE", "SV", "RTE", "OLE", "WA", "PE", "PAC", "AC", "SK"),
)
DMOJ = Profile(
    "dmoj",
    precedence=("JE", "CE", "TLE", "ILE", "MLE", "OLE", "SV", "RTE", "WA", "PE", "PAC", "AC", "SK"),
    severity=("JE", "CE", "OLE", "SV", "RTE", "TLE", "ILE", "MLE", "WA", "PE", "PAC", "AC", "SK"),
    shown_as={"PE": "WA", "ILE": "TLE"},
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in (ICPC, IOI, DMOJ)}

# The four words in which packages say what they expect (2025-09, submissions.yaml) and what each of ours is to them.
PACKAGE_WORDS: Mapping[str, str] = {
    "AC": "AC", "PAC": "AC", "WA": "WA", "PE": "WA", "TLE": "TLE", "ILE": "TLE",
    "RTE": "RTE", "MLE": "RTE", "OLE": "RTE", "SV": "RTE",
}  # fmt: skip


def profile_of(name: str) -> Profile:
    """The profile of that name. Raises JudgeError."""
    try:
        return PROFILES[name]
    except KeyError:
        raise JudgeError(f"no verdict profile {name!r}; there are {', '.join(PROFILES)}") from None
