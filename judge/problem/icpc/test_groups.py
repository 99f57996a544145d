"""The tree of data/ in version 2025-09 (Test data, Result aggregation): sample, and secret with tests or groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..fields import Fields, near
from ..model import INTERACTIVE, MULTI_PASS, SCORING, Checker, Group, Scoring, Test
from ..yamlfile import LIMIT_BYTES, decode, load, parse, read_bytes
from . import constants
from .cases import CURRENT_EXTENSIONS, Case, collect
from .details import answer_size, directory_files
from .flags import parse as parse_flags

if TYPE_CHECKING:
    from ..faults import Faults
    from ..tree import Tree
    from ..yamlfile import Node
    from .metadata import Metadata

CONFIGURATION = "test_group.yaml"
_INHERITED = (
    "args", "input_validator_args", "output_validator_args", "input_visualizer_args", "output_visualizer_args",
    "full_feedback",
)  # fmt: skip
_GROUP_KEYS = (
    "max_score", "score_aggregation", "static_validation_score", "require_pass", "static_validator_args", *_INHERITED,
)  # fmt: skip
_TEST_KEYS = (*_INHERITED, "hint", "description")
_SCORING_KEYS = ("max_score", "score_aggregation", "require_pass")
_AGGREGATES = ("pass-fail", "sum", "min")
_HIGHEST = 10**15


@dataclass(frozen=True)
class _Config:
    """What a group says. max_score: None is unbounded. static: points of the static validation test case."""

    fields: Fields
    args: tuple[str, ...] = ()
    checker_args: tuple[str, ...] = ()
    max_score: int | None = None
    aggregate: str = "pass-fail"
    require_pass: tuple[str, ...] = ()
    static: int = 0
    has_static: bool = False


class Reader:
    """``custom``: the package has an output validator. ``static``: it has a static one."""

    def __init__(self, tree: Tree, metadata: Metadata, faults: Faults, *, custom: bool, static: bool) -> None:
        self._tree, self._meta, self._faults = tree, metadata, faults
        self._custom, self._static = custom, static
        self._scored = SCORING in metadata.kinds
        self._aggregates: dict[str, str] = {"sample": "pass-fail"}
        self.most: float | None = None  # the highest score of a submission

    def read(self) -> Group:
        if not self._tree.entries("data/secret"):
            self._faults.error("data/secret", 0, "there is no secret test data")
        for entry in self._tree.entries("data"):
            if not entry.directory:
                self._faults.error(entry.relative, 0, "a file where only directories may be")
            elif entry.name not in ("sample", "secret", "invalid_input", "invalid_output", "valid_output"):
                known = ("sample", "secret", "invalid_input", "invalid_output", "valid_output")
                self._faults.error(entry.relative, 0, "no such kind of test data", near(entry.name, known))
        children: list[Group | Test] = []
        if self._tree.has_directory("data/sample"):
            children.append(self._sample())
        if self._tree.has_directory("data/secret"):
            children.append(self._secret())
        # A problem with scores is scored by its secret data alone; every test of it counts, whatever came before.
        scoring = Scoring(on_reject="continue", ignore_sample=True) if self._scored else Scoring("pass-fail")
        return Group("", tuple(children), scoring)

    def _sample(self) -> Group:
        place = "data/sample"
        config = self._config(place, "pass-fail", None)
        cases, directories = collect(self._tree, place, CURRENT_EXTENSIONS, CONFIGURATION, self._faults)
        for entry in directories:
            self._faults.error(entry.relative, 0, "data/sample must not have groups")
        tests = tuple(self._test(case, config, True) for case in cases)
        # Every submission is run on all of them, and they have no part in the score.
        scoring = Scoring("pass-fail", on_reject="continue", accept_score=0.0) if self._scored else Scoring("pass-fail")
        return Group("sample", tests, scoring, True)

    def _secret(self) -> Group:
        place = "data/secret"
        config = self._config(place, "sum", 100)
        cases, directories = collect(self._tree, place, CURRENT_EXTENSIONS, CONFIGURATION, self._faults)
        self._aggregates["secret"] = config.aggregate
        if self._scored and config.aggregate == "pass-fail" and config.max_score is None:
            config.fields.wrong("score_aggregation", "pass-fail needs a max_score that is not unbounded")
        earlier = {"sample"} if self._tree.has_directory("data/sample") else set()
        self._requirements(config, "secret", earlier)
        if cases and directories:
            self._faults.error(
                place, 0, "has both tests and groups", f"such as {cases[0].base}.in and {directories[0].name}/"
            )
        self.most = config.max_score if self._scored else None
        children: list[Group | Test] = []
        for entry in directories:
            group = self._group(f"secret/{entry.name}", config, earlier)
            earlier = {*earlier, group.name}
            children.append(group)
        # In a group with groups a test's share means nothing: each group has a score of its own.
        scoring = self._scoring(config, 0 if directories else len(cases))
        children += [self._test(case, config, False, _points(scoring)) for case in cases]
        if not children and self._tree.entries(place):
            self._faults.error(place, 0, "there is neither a test nor a group")
        return Group("secret", tuple(children), scoring)

    def _group(self, name: str, secret: _Config, earlier: set[str]) -> Group:
        place = f"data/{name}"
        config = self._config(place, "pass-fail", None, parent=secret)
        self._aggregates[name] = config.aggregate
        cases, directories = collect(self._tree, place, CURRENT_EXTENSIONS, CONFIGURATION, self._faults)
        for entry in directories:
            cases += self._nested(entry.relative)
        if not cases and not config.has_static:
            self._faults.error(place, 0, "the group has no test")
        if self._scored:
            if secret.max_score is not None and config.max_score is None:
                self._tell(
                    config, place, "max_score", "must be given, since secret has one (100 unless it says otherwise)"
                )
            elif config.aggregate == "pass-fail" and config.max_score is None:
                self._tell(config, place, "max_score", "must be given for the aggregation pass-fail")
            if secret.aggregate == "pass-fail" and config.aggregate != "pass-fail":
                config.fields.wrong("score_aggregation", "must be pass-fail, since that of secret is")
        self._requirements(config, name, earlier)
        cases.sort(key=lambda case: case.base)
        scoring = self._scoring(config, len(cases))
        return Group(name, tuple(self._test(case, config, False, _points(scoring)) for case in cases), scoring)

    def _nested(self, place: str) -> list[Case]:
        """The tests in directories below a group: they are the group's own (Test data groups)."""
        cases, directories = collect(self._tree, place, CURRENT_EXTENSIONS, "", self._faults)
        for entry in directories:
            cases += self._nested(entry.relative)
        return cases

    def _tell(self, config: _Config, place: str, key: str, message: str) -> None:
        """At the key if it is there, else at the group's file or directory."""
        file = f"{place}/{CONFIGURATION}" if self._tree.file(f"{place}/{CONFIGURATION}") else place
        self._faults.error(file, config.fields.line(key), f"{key}: {message}")

    def _requirements(self, config: _Config, name: str, earlier: set[str]) -> None:
        """Only on what comes before, so there can be no circle (Group dependencies)."""
        for required in config.require_pass:
            if required == name:
                config.fields.wrong("require_pass", f"{name} requires itself")
            elif required not in earlier:
                exists = self._tree.has_directory(f"data/{required}")
                why = "must come before this group in the order of names" if exists else "there is no such group"
                if exists and name == "secret":
                    why = "secret may only require sample"
                config.fields.wrong("require_pass", f"{required[:60]!r}: {why}", near(required, earlier))
            elif self._aggregates.get(required, "pass-fail") != "pass-fail":
                config.fields.wrong("require_pass", f"{required!r} must have the aggregation pass-fail")

    def _scoring(self, config: _Config, tests: int) -> Scoring:
        if not self._scored:
            return Scoring("pass-fail")
        share, most = 0.0, config.max_score
        if most is not None and config.aggregate == "min":
            share = float(most)
        elif most is not None and config.aggregate == "sum" and tests:
            share = (most - config.static) / tests
        return Scoring(
            config.aggregate, "worst_error", "continue" if config.aggregate == "sum" else "break", share, 0.0,
            None if most is None else float(most), require_pass=config.require_pass,
            needs_score=most is None and bool(tests) and config.aggregate != "pass-fail",
        )  # fmt: skip

    def _config(self, place: str, aggregate: str, most: int | None, parent: _Config | None = None) -> _Config:
        name = place.removeprefix("data/")
        fields = Fields(self._load(f"{place}/{CONFIGURATION}"), self._faults, _GROUP_KEYS)
        for key in _SCORING_KEYS:
            if name == "sample" and fields.has(key):
                fields.wrong(key, "not permitted in sample")
            elif not self._scored and fields.has(key):
                fields.wrong(key, "pass-fail problems must not have it", "type: scoring in problem.yaml")
        config = _Config(fields, *self._arguments(fields, (), ()))
        node = fields.node("max_score")
        if node is not None and node.value == "unbounded":
            most = None
        elif node is not None:
            most = fields.integer("max_score", most, low=0, high=_HIGHEST)
        aggregate = fields.choice("score_aggregation", _AGGREGATES, aggregate)
        required = () if name == "sample" else fields.texts("require_pass", single=True) or ()
        static = self._static_score(fields, most)
        if static and aggregate == "pass-fail":
            fields.wrong("static_validation_score", "a number is not for the aggregation pass-fail")
        return replace(
            config, max_score=most, aggregate=aggregate, require_pass=required, static=static,
            has_static=fields.has("static_validation_score"),
        )  # fmt: skip

    def _static_score(self, fields: Fields, most: int | None) -> int:
        if fields.has("static_validator_args"):
            fields.texts("static_validator_args")
            if not fields.has("static_validation_score"):
                fields.wrong("static_validator_args", "means nothing without static_validation_score")
        node = fields.node("static_validation_score")
        if node is None:
            return 0
        if not self._static:
            fields.wrong("static_validation_score", "there is no static_validator/")
        fields.doubtful("static_validation_score", "static validators are not run here: nobody gets these points")
        if node.value == "pass-fail":
            return 0
        if not self._scored:
            fields.wrong("static_validation_score", "a number is only for scoring problems")
        return fields.integer("static_validation_score", 0, low=0, high=_HIGHEST if most is None else most) or 0

    def _load(self, relative: str) -> Node | None:
        """test_group.yaml, with its constants put in (Constants)."""
        entry = self._tree.file(relative)
        data = read_bytes(entry.path, relative, self._faults, LIMIT_BYTES) if entry else None
        text = (
            None if data is None else decode(constants.substitute(data, self._meta.constants), relative, self._faults)
        )
        return None if text is None else parse(text, relative, self._faults)

    def _arguments(
        self, fields: Fields, args: tuple[str, ...], checker_args: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """args and output_validator_args, each the given ones where the file has none."""
        own, checkers = fields.texts("args"), fields.texts("output_validator_args")
        for key in ("input_visualizer_args", "output_visualizer_args"):
            fields.texts(key)
        fields.boolean("full_feedback", False)
        node = fields.node("input_validator_args")
        if node is not None and not isinstance(node.value, dict):
            fields.texts("input_validator_args")
        if checkers is not None and not self._custom:
            for wrong in parse_flags(checkers)[1]:
                fields.wrong("output_validator_args", wrong)
        return args if own is None else own, checker_args if checkers is None else checkers

    def _test(self, case: Case, config: _Config, sample: bool, points: float | None = None) -> Test:
        name = case.base.rpartition("/")[2]
        if name == "test_group":
            self._faults.error(case.input.relative, 0, "a test must not be called test_group")
        settings = case.parts.get(".yaml")
        node = load(settings.path, Path(self._tree.real), self._faults) if settings else None
        fields = Fields(node, self._faults, _TEST_KEYS)
        args, checker_args = self._arguments(fields, config.args, config.checker_args)
        fields.text("hint")
        shown = [e for e in (".out", ".in.statement", ".ans.statement") if e in case.parts]
        if ".out" in shown and ".ans.statement" in shown:
            self._faults.error(case.input.relative, 0, "has both .out and .ans.statement")
        if shown and ".interaction" in case.parts:
            self._faults.error(case.input.relative, 0, f"has both .interaction and {shown[0]}")
        if ".interaction" in case.parts and not self._meta.kinds & {INTERACTIVE, MULTI_PASS}:
            self._faults.warning(case.input.relative, 0, ".interaction is for interactive and multi-pass problems")
        answer = case.parts.get(".ans")
        answer_size(answer, self._meta.limits, self._meta.kinds, self._faults)
        checker = None
        if not self._custom and checker_args:
            checker = Checker("tokens", parse_flags(checker_args)[0])
        return Test(
            case.base, case.input.path, answer.path if answer else None, sample, args=args,
            files=directory_files(self._tree, case.parts.get(".files")),
            checker_args=checker_args if self._custom else (), checker=checker, points=points,
            description=" ".join(fields.text("description").split()),
        )  # fmt: skip


def _points(scoring: Scoring) -> float | None:
    """What a test can get: a validator's score.txt must not be above it (Scoring test cases). None: unbounded, or not
    scored by itself."""
    bounded = scoring.max_score is not None and scoring.aggregate != "pass-fail"
    return scoring.accept_score if bounded else None
