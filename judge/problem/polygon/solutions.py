"""<solutions>: the jury's submissions, and what a tag says of their verdicts."""

from __future__ import annotations

import posixpath

from ..model import Expected, JurySubmission
from ..tree import Tree
from .programs import language
from .xmlfile import Element

_LOWER, _UPPER = "lower", "upper"
_ANY_FAILURE = frozenset({"WA", "PE", "PAC", "TLE", "ILE", "MLE", "OLE", "RTE", "SV"})
# Codeforces shows a presentation error as a wrong answer, so that neither tag excludes the other's word.
_WRONG = frozenset({"WA", "PE"})

TAGS = {
    "main": Expected(frozenset({"AC"}), use_for_time_limit=_LOWER),
    "accepted": Expected(frozenset({"AC"}), use_for_time_limit=_LOWER),
    "wrong-answer": Expected(_WRONG),
    "presentation-error": Expected(_WRONG),
    "time-limit-exceeded": Expected(frozenset({"TLE"}), use_for_time_limit=_UPPER),
    "time-limit-exceeded-or-accepted": Expected(frozenset({"TLE", "AC"})),
    "time-limit-exceeded-or-memory-limit-exceeded": Expected(frozenset({"TLE", "MLE"})),
    "memory-limit-exceeded": Expected(frozenset({"MLE"})),
    "runtime-error": Expected(frozenset({"RTE"})),
    "rejected": Expected(_ANY_FAILURE),
    "failed": Expected(_ANY_FAILURE),
}
IGNORED = "do-not-run"


def read(assets: Element, tree: Tree) -> tuple[JurySubmission, ...]:
    """In the order of the file."""
    found: list[JurySubmission] = []
    for element in [s for solutions in assets.all("solutions") for s in solutions.all("solution")]:
        tag, source = element.get("tag"), element.find("source")
        if source is None:
            element.error("a solution without <source>")
            continue
        place = posixpath.normpath(source.get("path") or ".")
        entry = tree.file(place)
        if entry is None:
            source.error(f"the solution {place[:100]!r} is not in the package")
            continue
        if tag == IGNORED:
            continue
        expected = TAGS.get(tag)
        if expected is None:
            element.warning(f"unknown tag {tag[:60]!r}: any verdict is as expected")
            expected = Expected()
        found.append(
            JurySubmission(place.removeprefix("solutions/"), entry.path, expected, language(source.get("type")))
        )
    return tuple(found)
