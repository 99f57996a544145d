"""Words of the format, and what is expected by a directory's name (legacy.md and 2025-09.md, Example submissions).

The format has four words, we have more: each of ours is one of the format's. DOMjudge's annotations have finer ones.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..fields import number
from ..model import Expected
from ..yamlfile import read_bytes

if TYPE_CHECKING:
    from ..faults import Faults
    from ..tree import Entry

AC, WA, TLE = frozenset({"AC", "PAC"}), frozenset({"WA", "PE"}), frozenset({"TLE", "ILE"})
RTE = frozenset({"RTE", "MLE", "OLE", "SV"})
FORMAT_WORDS = {"AC": AC, "WA": WA, "TLE": TLE, "RTE": RTE}
OWN_WORDS = ("PAC", "PE", "ILE", "MLE", "OLE", "SV", "CE", "JE")
LOWER, UPPER = "lower", "upper"

# Beyond the format: one directory for each verdict that it has no word for.
FURTHER = {
    "memory_limit_exceeded": "MLE", "output_limit_exceeded": "OLE", "idleness_limit_exceeded": "ILE",
    "presentation_error": "PE", "security_violation": "SV", "compile_error": "CE", "compiler_error": "CE",
    "judge_error": "JE",
}  # fmt: skip
_FURTHER = {name: Expected(frozenset({word})) for name, word in FURTHER.items()}
LEGACY_DIRECTORIES = {
    "accepted": Expected(AC, use_for_time_limit=LOWER), "partially_accepted": Expected(AC),
    "wrong_answer": Expected(WA), "time_limit_exceeded": Expected(TLE, use_for_time_limit=UPPER),
    "run_time_error": Expected(RTE), "rejected": Expected(WA | TLE | RTE), "brute_force": Expected(TLE | RTE),
    **_FURTHER,
}  # fmt: skip

# DOMjudge, SubmissionService: PROBLEM_RESULT_REMAP, and our own words.
_RESULTS = {
    "CORRECT": AC, "ACCEPTED": AC, "WRONG-ANSWER": WA, "WRONG_ANSWER": WA, "NO-OUTPUT": WA, "NO_OUTPUT": WA,
    "TIMELIMIT": TLE, "TIME_LIMIT_EXCEEDED": TLE, "RUN-ERROR": RTE, "RUN_TIME_ERROR": RTE,
    "OUTPUT-LIMIT": frozenset({"OLE"}), "OUTPUT_LIMIT": frozenset({"OLE"}), "MEMORY-LIMIT": frozenset({"MLE"}),
    "COMPILER-ERROR": frozenset({"CE"}), "COMPILER_ERROR": frozenset({"CE"}), "COMPARE-ERROR": frozenset({"JE"}),
    **FORMAT_WORDS, **{word: frozenset({word}) for word in OWN_WORDS},
}  # fmt: skip
_ANNOTATION = re.compile(rb"@EXPECTED_(RESULTS|SCORE)@: ([^\n]*)", re.IGNORECASE)
_SOURCE_BYTES = 1 << 20


def overall(permitted: frozenset[str], required: frozenset[str], scored: bool) -> frozenset[str]:
    """Which words a submission as a whole may get whose tests must all be ``permitted``, one of them ``required``
    (empty: any)."""
    words = permitted or AC | WA | TLE | RTE
    if scored:
        return words | AC
    return words - AC if required and not required & AC else words


def annotate(expected: Expected, files: list[Entry], faults: Faults) -> Expected | None:
    """With @EXPECTED_RESULTS@ or @EXPECTED_SCORE@ of its files; None if there is neither.

    Where the directory's name says something too, the annotation must allow it, and can only make it narrower.
    """
    found: list[tuple[str, int, str, str]] = []
    for entry in files:
        data = read_bytes(entry.path, entry.relative, faults, _SOURCE_BYTES) if entry.size <= _SOURCE_BYTES else None
        for match in _ANNOTATION.finditer(data or b""):
            line = (data or b"").count(b"\n", 0, match.start()) + 1
            found.append((entry.relative, line, match[1].decode().upper(), match[2].decode(errors="replace").strip()))
    if not found:
        return None
    for kind in ("RESULTS", "SCORE"):
        several = [f for f in found if f[2] == kind]
        if len(several) > 1:
            faults.error(several[1][0], several[1][1], f"a second @EXPECTED_{kind}@ in one submission")
    for file, line, kind, text in found[:2]:
        score = number(text) if kind == "SCORE" else None
        if score is not None:
            expected = replace(expected, score=(score, score))
            continue
        words: set[str] = set()
        for name in text.upper().rstrip("*/-> ").split(","):
            result = _RESULTS.get(name.strip())
            if result is None:
                faults.error(
                    file, line, f"@EXPECTED_{kind}@: {name.strip()[:40]!r} is no result", "such as WRONG-ANSWER"
                )
            words |= result or set()
        allowed = frozenset(words & expected.verdicts) if expected.verdicts else frozenset(words)
        if words and not allowed:
            faults.error(
                file, line, f"@EXPECTED_{kind}@ contradicts the directory", ", ".join(sorted(expected.verdicts))
            )
        elif words:
            if not words <= (expected.verdicts or words):
                faults.warning(file, line, f"@EXPECTED_{kind}@ allows more than the directory, which is what counts")
            expected = replace(expected, verdicts=allowed)
    return expected
