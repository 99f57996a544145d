"""The jury's own submissions: submissions/ and, in 2025-09, submissions.yaml (Example submissions)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import patterns
from ..fields import Fields, as_number, near
from ..model import Expected, JurySubmission
from ..yamlfile import load
from .expectations import (
    FORMAT_WORDS,
    FURTHER,
    LEGACY_DIRECTORIES,
    LOWER,
    OWN_WORDS,
    UPPER,
    annotate,
    overall,
)
from .languages import CODES
from .metadata import CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..faults import Faults
    from ..tree import Entry, Tree
    from ..yamlfile import Node

_REQUIREMENTS = ("permitted", "required", "score", "message", "use_for_time_limit")
_KEYS = ("language", "entrypoint", "authors", "model_solution", *_REQUIREMENTS)
_DEFAULTS: dict[str, tuple[str, str]] = {
    "accepted": ("AC", ""), "rejected": ("", "RTE TLE WA"), "wrong_answer": ("AC WA", "WA"),
    "time_limit_exceeded": ("AC TLE", "TLE"), "run_time_error": ("AC RTE", "RTE"),
    "brute_force": ("AC RTE TLE", "RTE TLE"),
}  # fmt: skip


@dataclass(frozen=True)
class _Rule:
    """What one pattern says. permitted and required are the format's words (None: not given)."""

    pattern: str
    permitted: frozenset[str] | None = None
    required: frozenset[str] | None = None
    score: tuple[float, float] | None = None
    message: str = ""
    time: str = ""  # lower, upper, "false", or "" for what follows from the others
    language: str | None = None
    entrypoint: str | None = None
    scopes: dict[str, _Rule] = field(default_factory=dict)

    @property
    def use_for_time_limit(self) -> str:
        """Timelimit inference: must be too slow somewhere, or must not be anywhere."""
        if self.time:
            return "" if self.time == "false" else self.time
        if self.required == frozenset({"TLE"}):
            return UPPER
        return LOWER if self.permitted is not None and "TLE" not in self.permitted else ""

    def expected(self) -> Expected:
        permitted, required = _ours(self.permitted), _ours(self.required)
        if self.time == LOWER and self.permitted is None:
            permitted = _ours(frozenset({"AC", "WA", "RTE"}))
        if self.time == UPPER and self.required is None:
            required = _ours(frozenset({"TLE"}))
        return Expected(
            permitted=permitted, required=required, score=self.score, message=self.message,
            use_for_time_limit=self.use_for_time_limit,
        )  # fmt: skip


class Reader:
    """``nodes``: names of all tests and groups. ``score_range``: lowest and highest of a submission, None if there is
    none."""

    def __init__(
        self, tree: Tree, version: str, faults: Faults, *, nodes: Iterable[str], scored: bool,
        score_range: tuple[float, float] | None, minimize: bool,
    ) -> None:  # fmt: skip
        self._tree, self._version, self._faults = tree, version, faults
        self._nodes, self._scored, self._range, self._minimize = list(nodes), scored, score_range, minimize
        self._lines: dict[str, int] = {}

    def read(self) -> tuple[JurySubmission, ...]:
        rules = self._rules() if self._version == CURRENT else []
        found: list[tuple[Entry, str]] = []
        for directory in self._tree.entries("submissions"):
            if not directory.directory:
                if directory.name != "submissions.yaml" or self._version != CURRENT:
                    self._faults.warning(directory.relative, 0, "not in a directory of submissions, and passed over")
                continue
            for entry in self._tree.entries(directory.relative):
                if entry.directory and not self._tree.files(entry.relative):
                    self._faults.error(entry.relative, 0, "an empty directory is no submission")
                else:
                    found.append((entry, directory.name))
        names = [entry.relative.removeprefix("submissions/") for entry, _ in found]
        for rule in rules:
            if rule.pattern not in _DEFAULTS and not any(patterns.covers(rule.pattern, name) for name in names):
                line = self._lines.get(rule.pattern, 0)
                self._faults.warning("submissions/submissions.yaml", line, f"{rule.pattern!r} matches no submission")
        if not any(directory == "accepted" for _, directory in found):
            self._faults.warning("submissions/accepted", 0, "there is no accepted submission")
        read = self._by_rules if self._version == CURRENT else self._by_directory
        return tuple(read(entry, directory, name, rules) for (entry, directory), name in zip(found, names, strict=True))

    def _by_directory(self, entry: Entry, directory: str, name: str, rules: list[_Rule]) -> JurySubmission:
        expected = LEGACY_DIRECTORIES.get(directory)
        annotated = self._annotated(entry, expected or Expected())
        if expected is None and annotated is None:
            self._faults.warning(
                entry.relative, 0, f"what is expected of a submission in {directory[:60]!r} is not known",
                near(directory, LEGACY_DIRECTORIES) or "@EXPECTED_RESULTS@ in it says so",
            )  # fmt: skip
        if directory == "partially_accepted" and not self._scored:
            self._faults.error(entry.relative, 0, "partially_accepted is only for scoring problems")
        known = annotated or expected or Expected()
        if known.score is None:
            known = replace(known, score=self._legacy_score(directory))
        return JurySubmission(name, entry.path, known)

    def _legacy_score(self, directory: str) -> tuple[float, float] | None:
        """The best of the range for accepted (as problemtools has it), anything but that for partially_accepted."""
        if self._range is None:
            return None
        low, high = self._range
        best = low if self._minimize else high
        if math.isinf(best):
            return None
        if directory == "accepted":
            return best, best
        if directory == "partially_accepted" and low < high:
            return (math.nextafter(low, high), high) if self._minimize else (low, math.nextafter(high, low))
        return None

    def _by_rules(self, entry: Entry, directory: str, name: str, rules: list[_Rule]) -> JurySubmission:
        matching = [rule for rule in rules if patterns.covers(rule.pattern, name)]
        if not matching:
            known = Expected(frozenset({FURTHER[directory]})) if directory in FURTHER else Expected()
            annotated = self._annotated(entry, known)
            if annotated is None and directory not in FURTHER:
                self._faults.warning(
                    entry.relative, 0, f"what is expected of a submission in {directory[:60]!r} is not known",
                    near(directory, _DEFAULTS) or "submissions.yaml says so",
                )  # fmt: skip
            return JurySubmission(name, entry.path, annotated or known)
        expected = self._combined(matching, entry.relative)
        languages = [rule.language for rule in matching if rule.language]
        entrypoints = [rule.entrypoint for rule in matching if rule.entrypoint]
        return JurySubmission(
            name, entry.path, self._annotated(entry, expected) or expected, languages[-1] if languages else None,
            entrypoints[-1] if entrypoints else None,
        )  # fmt: skip

    def _combined(self, rules: list[_Rule], place: str) -> Expected:
        """Every one must hold: the first is the whole's, further ones and those for some tests are parts."""
        whole = [rule.expected() for rule in rules]
        permitted = frozenset[str]()
        for one in whole:
            if one.permitted:
                both = permitted & one.permitted if permitted else one.permitted
                if not both:
                    self._faults.error(place, 0, "the patterns that match it permit nothing in common")
                permitted = both
        uses = {one.use_for_time_limit for one in whole} - {""}
        if len(uses) > 1:
            self._faults.error(
                place, 0, "the patterns that match it make it both a lower and an upper bound of the time limit"
            )
        if rules[0].required is not None and permitted and not permitted & whole[0].required:
            self._faults.error(place, 0, "it must have a verdict that no test is permitted to have")
        parts = [("", one) for one in whole[1:] if one != Expected()]
        parts += [(scope, inner.expected()) for rule in rules for scope, inner in rule.scopes.items()]
        return replace(
            whole[0], verdicts=overall(permitted, whole[0].required, self._scored), permitted=permitted,
            use_for_time_limit=min(uses, default=""), parts=tuple(parts),
        )  # fmt: skip

    def _annotated(self, entry: Entry, expected: Expected) -> Expected | None:
        files = self._tree.files(entry.relative) if entry.directory else [entry]
        return annotate(expected, files, self._faults)

    def _rules(self) -> list[_Rule]:
        """The defaults of the directories, changed by keys of their names, and then all others."""
        defaults = {
            name: _Rule(name, frozenset(p.split()) if p else None, frozenset(r.split()) if r else None)
            for name, (p, r) in _DEFAULTS.items()
        }
        entry = self._tree.file("submissions/submissions.yaml")
        node = load(entry.path, Path(self._tree.real), self._faults) if entry else None
        self._lines = dict(node.keys) if node is not None else {}
        if node is None or not isinstance(node.value, dict):
            if node is not None:
                self._faults.error(node.file, node.line, f"must be a mapping of patterns, not {node.kind}")
            return list(defaults.values())
        others: list[_Rule] = []
        for pattern, inner in node.value.items():
            line = node.keys[pattern]
            wrong = patterns.fault(pattern)
            if wrong:
                self._faults.error(node.file, line, f"the pattern {pattern[:60]!r}: {wrong}")
                continue
            base = defaults.get(pattern, _Rule(pattern))
            rule = self._rule(inner, base, line)
            if pattern in defaults:
                defaults[pattern] = rule
            else:
                others.append(rule)
        return [*defaults.values(), *others]

    def _rule(self, node: Node, base: _Rule, line: int, *, inner: bool = False) -> _Rule:
        if node.value is None:
            return base
        known = _REQUIREMENTS if inner else _KEYS
        scopes: dict[str, _Rule] = {}
        if isinstance(node.value, dict) and not inner:
            for key, value in node.value.items():
                if key not in known and isinstance(value.value, (dict, type(None))):
                    wrong = patterns.fault(key)
                    if wrong:
                        self._faults.error(node.file, node.keys[key], f"the pattern {key[:60]!r}: {wrong}")
                    elif not any(patterns.covers(key, name) for name in self._nodes):
                        hint = near(key, [*known, *self._nodes[:2000]])
                        self._faults.error(
                            node.file, node.keys[key], f"{key[:60]!r} is no key, and no test or group", hint
                        )
                    else:
                        scopes[key] = self._rule(value, _Rule(key), node.keys[key], inner=True)
        fields = Fields(node, self._faults, (*known, *scopes, *self._told(node, known, inner)), base.pattern[:60])
        rule = replace(
            base, permitted=self._words(fields, "permitted", base.permitted),
            required=self._words(fields, "required", base.required), score=self._score(fields) or base.score,
            message=fields.text("message", base.message), time=self._time(fields, base.time), scopes=scopes,
        )  # fmt: skip
        if not inner:
            language = fields.text("language")
            if language and language not in CODES:
                fields.wrong("language", f"{language[:40]!r} is no language code of the format", near(language, CODES))
            fields.boolean("model_solution", False)
            rule = replace(
                rule, language=language or base.language, entrypoint=fields.text("entrypoint") or base.entrypoint
            )
        if rule.required and rule.permitted is not None and not rule.required & rule.permitted:
            self._faults.error(node.file, line, f"{base.pattern[:60]}: nothing of required is permitted")
        return rule

    def _told(self, node: Node, known: tuple[str, ...], inner: bool) -> list[str]:
        """Keys that have had their fault already."""
        if inner or not isinstance(node.value, dict):
            return []
        return [k for k, v in node.value.items() if k not in known and isinstance(v.value, (dict, type(None)))]

    def _words(self, fields: Fields, key: str, default: frozenset[str] | None) -> frozenset[str] | None:
        words = fields.texts(key)
        if words is None:
            return default
        for word in words:
            if word in OWN_WORDS:
                fields.doubtful(key, f"{word} is a word of ours; the format has AC, WA, TLE and RTE")
            elif word not in FORMAT_WORDS:
                fields.wrong(key, f"{word[:40]!r} is none of AC, WA, TLE, RTE", near(word.upper(), FORMAT_WORDS))
        if not words:
            fields.wrong(key, "must not be an empty list")
            return default
        return frozenset(word for word in words if word in FORMAT_WORDS or word in OWN_WORDS)

    def _score(self, fields: Fields) -> tuple[float, float] | None:
        node = fields.node("score")
        if node is None:
            return None
        if not self._scored:
            fields.wrong("score", "only scoring problems have scores", "type: scoring in problem.yaml")
        values = [as_number(item) for item in node.value] if isinstance(node.value, list) else [as_number(node)] * 2
        if len(values) != 2 or values[0] is None or values[1] is None or values[0] > values[1]:
            fields.wrong("score", "must be a number, or a list of two with the lower one first")
            return None
        return values[0], values[1]

    def _time(self, fields: Fields, default: str) -> str:
        node = fields.node("use_for_time_limit")
        if node is None or node.value is True:
            return default
        if node.value is False:
            return "false"
        return fields.choice("use_for_time_limit", (LOWER, UPPER), "") or default


def _ours(words: frozenset[str] | None) -> frozenset[str]:
    return frozenset().union(*(FORMAT_WORDS.get(word, {word}) for word in words)) if words is not None else frozenset()
