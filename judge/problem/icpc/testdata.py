"""The tree of data/ with testdata.yaml (legacy.md, Test data groups), which problemtools reads in the draft too.

A group's keys are its parent's where its own file does not have them, key by key: legacy.md says that the file of the
nearest ancestor stands in as a whole, but problemtools, with which packages are made, merges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..fields import Fields, as_number, near
from ..model import SCORING, Checker, Group, Scoring, Test
from ..yamlfile import load
from .cases import DRAFT_EXTENSIONS, LEGACY_EXTENSIONS, Case, collect
from .details import answer_size, description, directory_files
from .flags import parse as parse_flags
from .flags import words
from .metadata import DRAFT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..faults import Faults
    from ..tree import Tree
    from ..yamlfile import Node
    from .metadata import Metadata

CONFIGURATION = "testdata.yaml"
_KEYS = (
    "on_reject", "grading", "grader_flags", "input_validator_flags", "output_validator_flags", "accept_score",
    "reject_score", "range",
)  # fmt: skip
_SCORING_ONLY = ("accept_score", "reject_score", "range")
_VERDICTS = ("worst_error", "first_error", "always_accept")
_AGGREGATES = ("sum", "avg", "min", "max")
_FLAGS = (*_VERDICTS, *_AGGREGATES, "ignore_sample", "accept_if_any_accepted")


@dataclass(frozen=True)
class _Config:
    """What holds in a group. high: the upper end of range. named: the one validator that output_validator_flags
    names."""

    on_reject: str = "break"
    custom: bool = False
    grader_flags: tuple[str, ...] = ()
    validator_flags: tuple[str, ...] = ()
    named: str = ""
    accept_score: float = 1.0
    reject_score: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")


@dataclass(frozen=True)
class Programs:
    """The package's own: output validators by name (empty: the default one), and the grader."""

    validators: Mapping[str, Checker]
    grader: Path | None = None


class Reader:
    def __init__(self, tree: Tree, metadata: Metadata, programs: Programs, faults: Faults) -> None:
        self._tree, self._meta, self._programs, self._faults = tree, metadata, programs, faults
        self._extensions = DRAFT_EXTENSIONS if metadata.version == DRAFT else LEGACY_EXTENSIONS
        self._scored = SCORING in metadata.kinds
        self.range = (float("-inf"), float("inf"))  # of all the problem

    def read(self) -> Group:
        if not self._tree.entries("data/secret"):
            self._faults.error("data/secret", 0, "there is no secret test data")
        config, scoring = self._config("data", _Config())
        self.range = (config.low, config.high)
        children: list[Group | Test] = []
        for entry in self._tree.entries("data"):
            if entry.name in ("sample", "secret") and entry.directory:
                children.append(self._group(entry.name, config, entry.name == "sample"))
            elif entry.directory and entry.name.startswith(("invalid_", "valid_")):
                continue  # for validators of inputs and outputs: nothing to judge
            elif entry.name != CONFIGURATION:
                self._faults.error(entry.relative, 0, "only the groups sample and secret may be in data/")
        return Group("", tuple(children), scoring)

    def _group(self, name: str, parent: _Config, sample: bool) -> Group:
        place = f"data/{name}"
        config, scoring = self._config(place, parent)
        cases, directories = collect(self._tree, place, self._extensions, CONFIGURATION, self._faults)
        children: list[Group | Test] = [self._test(case, config, sample) for case in cases]
        for entry in directories:
            children.append(self._group(f"{name}/{entry.name}", config, sample))
        if not children and name == "sample":
            if not any(e.name.endswith(".interaction") for e in self._tree.entries(place)):
                self._faults.warning(place, 0, "there is no sample test")
        elif not children and self._tree.entries(place):
            self._faults.error(place, 0, "the group has no test")
        elif not children and name != "secret":
            self._faults.error(place, 0, "the group is empty")
        children.sort(key=lambda child: child.name)
        return Group(name, tuple(children), scoring, sample)

    def _test(self, case: Case, config: _Config, sample: bool) -> Test:
        flags = (*self._meta.flags, *config.validator_flags)
        checker: Checker | None = None
        if not self._programs.validators:
            if config.validator_flags:
                checker, flags = Checker("tokens", parse_flags(flags)[0]), ()
        elif config.named in self._programs.validators:
            checker = self._programs.validators[config.named]
        answer = case.parts.get(".ans")
        if ".args" in case.parts:
            self._faults.error(
                case.parts[".args"].relative, 0, "arguments in an .args file are not read",
                "2025-09 has args in the test's own .yaml",
            )  # fmt: skip
        answer_size(answer, self._meta.limits, self._meta.kinds, self._faults)
        return Test(
            case.base, case.input.path, answer.path if answer else None, sample,
            files=directory_files(self._tree, case.parts.get(".files")),
            checker_args=flags if self._programs.validators else (), checker=checker,
            description=description(case.parts.get(".desc")),
        )  # fmt: skip

    def _config(self, place: str, parent: _Config) -> tuple[_Config, Scoring]:
        root = place == "data"
        entry = self._tree.file(f"{place}/{CONFIGURATION}")
        node = load(entry.path, Path(self._tree.real), self._faults) if entry else None
        fields = Fields(node, self._faults, _KEYS)
        config = parent
        if not root and not config.custom and "ignore_sample" in config.grader_flags:
            config = replace(config, grader_flags=tuple(f for f in config.grader_flags if f != "ignore_sample"))
        if fields.has("on_reject"):
            config = replace(config, on_reject=fields.choice("on_reject", ("break", "continue"), parent.on_reject))
        if fields.has("grading"):
            custom = fields.choice("grading", ("default", "custom"), "default") == "custom"
            if custom and self._programs.grader is None:
                fields.wrong("grading", "custom, but graders/ has no program")
            config = replace(config, custom=custom)
        if fields.has("grader_flags"):
            config = replace(config, grader_flags=self._grader_flags(fields, config.custom, root))
        if fields.has("input_validator_flags"):
            self._input_flags(fields)
        if fields.has("output_validator_flags"):
            config = self._output_flags(fields, config)
        config = self._scores(fields, config)
        for key, override in self._meta.overrides.items():
            config = self._overridden(key, override, config, place)
        if root and not config.custom and "ignore_sample" in config.grader_flags and config.on_reject == "break":
            line = fields.line("grader_flags")
            self._faults.error(
                f"{place}/{CONFIGURATION}", line, "ignore_sample with on_reject break: a failed sample would end all",
                "on_reject: continue",
            )  # fmt: skip
        return config, self._scoring(config)

    def _scoring(self, config: _Config) -> Scoring:
        flags = () if config.custom else config.grader_flags
        verdict = [flag for flag in flags if flag in _VERDICTS] or ["worst_error"]
        aggregate = [flag for flag in flags if flag in _AGGREGATES] or ["sum"]
        return Scoring(
            aggregate[-1], "any_accepted" if "accept_if_any_accepted" in flags else verdict[-1], config.on_reject,
            config.accept_score, config.reject_score, config.high if config.high < float("inf") else None,
            "ignore_sample" in flags, grader=self._programs.grader if config.custom else None,
            grader_flags=config.grader_flags if config.custom else (),
        )  # fmt: skip

    def _grader_flags(self, fields: Fields, custom: bool, root: bool) -> tuple[str, ...]:
        flags = words(fields, "grader_flags")
        if custom:
            return flags
        for flag in flags:
            if flag not in _FLAGS:
                fields.wrong("grader_flags", f"the default grader knows no {flag[:40]!r}", near(flag, _FLAGS))
            elif flag == "ignore_sample" and not root:
                fields.wrong("grader_flags", "ignore_sample is only for data/testdata.yaml")
        return tuple(flag for flag in flags if flag in _FLAGS and (root or flag != "ignore_sample"))

    def _input_flags(self, fields: Fields) -> None:
        """Input validators are not run by a judge: the form alone is looked at."""
        node = fields.node("input_validator_flags")
        if node is not None and isinstance(node.value, dict):
            named = Fields(node, self._faults, ("name", "flags"), "input_validator_flags")
            named.text("name"), named.text("flags")
        else:
            fields.text("input_validator_flags")

    def _output_flags(self, fields: Fields, config: _Config) -> _Config:
        """A text is the flags; a mapping names the validator that alone is used for the group, and its flags."""
        node = fields.node("output_validator_flags")
        named = ""
        if node is not None and isinstance(node.value, dict):
            inner = Fields(node, self._faults, ("name", "flags"), "output_validator_flags")
            named, flags = inner.text("name"), words(inner, "flags")
            if named not in self._programs.validators:
                inner.wrong(
                    "name", f"there is no output validator {named[:60]!r}", near(named, self._programs.validators)
                )
        else:
            flags = words(fields, "output_validator_flags")
        if not self._programs.validators:
            # validator_flags have been looked at where they stand: only what these add is to be told here.
            before = parse_flags(self._meta.flags)[1]
            for wrong in parse_flags((*self._meta.flags, *flags))[1]:
                if wrong not in before:
                    fields.wrong("output_validator_flags", wrong)
        return replace(config, validator_flags=flags, named=named)

    def _scores(self, fields: Fields, config: _Config) -> _Config:
        for key in _SCORING_ONLY:
            if fields.has(key) and not self._scored:
                fields.wrong(key, "only scoring problems may have it", "type: scoring in problem.yaml")
        if fields.has("accept_score"):
            config = replace(config, accept_score=fields.number("accept_score", 1.0, low=-1e18, high=1e18) or 0.0)
        if fields.has("reject_score"):
            config = replace(config, reject_score=fields.number("reject_score", 0.0, low=-1e18, high=1e18) or 0.0)
        node = fields.node("range")
        if node is not None:
            found = _range(node)
            if found is None:
                fields.wrong("range", "must be two numbers, the lower one first", 'such as "0 100"')
            else:
                config = replace(config, low=found[0], high=found[1])
        return config

    def _overridden(self, key: str, node: Node, config: _Config, place: str) -> _Config:
        tell = place == "data"
        if key == "on_reject":
            words = {"first_error": "break", "worst_error": config.on_reject, "grade": "continue"}
            if node.text not in words and tell:
                self._faults.error(node.file, node.line, f"on_reject: must be one of {', '.join(words)}")
            return replace(config, on_reject=words.get(node.text, config.on_reject))
        if key == "range":
            found = _range(node)
            if found is None:
                if tell:
                    self._faults.error(node.file, node.line, "range: must be two numbers, the lower one first")
                return config
            return replace(config, low=found[0], high=found[1])
        value = as_number(node)
        if value is None:
            if tell:
                self._faults.error(node.file, node.line, f"{key}: must be a number, not {node.kind}")
            return config
        return replace(config, accept_score=value) if key == "accept_score" else replace(config, reject_score=value)


def _range(node: Node) -> tuple[float, float] | None:
    words = node.text.split()
    if isinstance(node.value, (list, dict)) or len(words) != 2:
        return None
    ends: list[float] = []
    for word in words:
        infinite = {"inf": float("inf"), "+inf": float("inf"), "-inf": float("-inf")}.get(word)
        try:
            ends.append(float(word) if infinite is None else infinite)
        except ValueError:
            return None
    return (ends[0], ends[1]) if ends[0] <= ends[1] else None
