"""problem.yaml, in its three versions (Problem metadata in legacy.md and in 2025-09.md)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..fields import Fields, as_number, near
from ..model import INTERACTIVE, MIB, MULTI_PASS, PASS_FAIL, SCORING, SECOND, SUBMIT_ANSWER, Limits, TimeRule
from .flags import parse as parse_flags
from .flags import words
from .languages import CODES

if TYPE_CHECKING:
    from ..faults import Faults
    from ..yamlfile import Node

LEGACY, DRAFT, CURRENT = "icpc-legacy", "icpc-draft", "icpc-2025-09"
VERSIONS = {
    "legacy": LEGACY, "legacy-icpc": LEGACY, "2023-07-draft": DRAFT, "2023-07": DRAFT,
    "2025-09": CURRENT, "2025-09-draft": CURRENT, "draft": CURRENT,
}  # fmt: skip

_LEGACY_KEYS = (
    "problem_format_version", "type", "name", "uuid", "author", "source", "source_url", "license", "rights_owner",
    "limits", "validation", "validator_flags", "grading", "keywords",
)  # fmt: skip
_KEYS = (
    "problem_format_version", "type", "name", "uuid", "version", "credits", "source", "license", "rights_owner",
    "embargo_until", "limits", "keywords", "languages", "allow_file_writing", "constants",
)  # fmt: skip
_LICENSES = ("unknown", "public domain", "cc0", "cc by", "cc by-sa", "educational", "permission")
_TYPES = (PASS_FAIL, SCORING, MULTI_PASS, INTERACTIVE, SUBMIT_ANSWER)
_INCOMPATIBLE = ((PASS_FAIL, SCORING), (SUBMIT_ANSWER, MULTI_PASS), (SUBMIT_ANSWER, INTERACTIVE))
_CREDITS = ("authors", "contributors", "testers", "translators", "packagers", "acknowledgements")
# key, unit, name in Limits
_LIMITS = (
    ("memory", MIB, "memory_bytes"), ("output", MIB, "output_bytes"), ("code", 1 << 10, "code_bytes"),
    ("compilation_time", SECOND, "compile_time_ns"), ("compilation_memory", MIB, "compile_memory_bytes"),
    ("validation_time", SECOND, "validation_time_ns"), ("validation_memory", MIB, "validation_memory_bytes"),
    ("validation_output", MIB, "validation_output_bytes"),
)  # fmt: skip
_MOST = 1 << 20  # MiB: a TiB; seconds: twelve days
_LONGEST_S = 86_400.0


@dataclass(frozen=True)
class Metadata:
    """What problem.yaml says about judging. names: the languages that it has a name for (None: no map of them).

    Of the legacy format: minimize: the best score is the lowest. custom: "validation: custom". flags: validator_flags.
    overrides: keys of testdata.yaml that stand, deprecated, under grading in problem.yaml and then hold for all groups
    (as problemtools reads them).
    """

    version: str
    title: str = ""
    kinds: frozenset[str] = frozenset({PASS_FAIL})
    limits: Limits = Limits()
    languages: frozenset[str] | None = None
    allow_file_writing: bool = True
    constants: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] | None = None
    minimize: bool = False
    custom: bool = False
    flags: tuple[str, ...] = ()
    overrides: Mapping[str, Node] = field(default_factory=dict)


def version_of(node: Node, faults: Faults) -> str | None:
    """Which format it is; None after a fault."""
    found = node.get("problem_format_version")
    if found is None or found.value is None:
        return LEGACY
    if found.text in VERSIONS:
        if found.text in ("draft", "2025-09-draft"):
            faults.warning(found.file, found.line, f"the version {found.text!r} is read as 2025-09")
        return VERSIONS[found.text]
    hint = near(found.text, VERSIONS) or "known are legacy, 2023-07-draft and 2025-09"
    faults.error(found.file, found.line, f"problem_format_version: {found.text[:60]!r} is unknown", hint)
    return None


def read(node: Node, version: str, faults: Faults) -> Metadata:
    return _legacy(node, faults) if version == LEGACY else _current(node, version, faults)


def _legacy(node: Node, faults: Faults) -> Metadata:
    fields = Fields(node, faults, _LEGACY_KEYS)
    custom, further = _validation(fields)
    kinds = _legacy_kinds(fields, [word for word in further if word != "score"])
    if "score" in further and SCORING not in kinds:
        fields.wrong("validation", "score is only for scoring problems", "type: scoring")
    if kinds & {INTERACTIVE, MULTI_PASS}:
        custom = True
    limits = Fields(
        fields.node("limits"), faults,
        ("time_multiplier", "time_safety_margin", "time_limit", "time_resolution", "validation_passes")
        + tuple(key for key, _, _ in _LIMITS), "limits",
    )  # fmt: skip
    # time_limit and validation_passes are none of the legacy format's, but DOMjudge reads them (ImportProblemService).
    rule = TimeRule(
        limits.number("time_multiplier", 5.0, low=1.0, high=1e6) or 5.0,
        limits.number("time_safety_margin", 2.0, low=1.0, high=1e6) or 2.0, _resolution(limits),
    )  # fmt: skip
    title, names = _name(fields, required=False)
    flags = words(fields, "validator_flags")
    if not custom:
        for wrong in parse_flags(flags)[1]:
            fields.wrong("validator_flags", wrong)
    grading = Fields(
        fields.node("grading"), faults,
        ("objective", "show_test_data_groups", "accept_score", "reject_score", "range", "on_reject"), "grading",
    )  # fmt: skip
    if fields.has("grading") and SCORING not in kinds:
        fields.wrong("grading", "only scoring problems may have it", "type: scoring")
    minimize = grading.choice("objective", ("max", "min"), "max") == "min"
    if minimize:
        grading.doubtful("objective", "scores are reported as they are; nothing here compares them")
    grading.boolean("show_test_data_groups", False)
    overrides: dict[str, Node] = {}
    for key in ("accept_score", "reject_score", "range", "on_reject"):
        found = grading.node(key)
        if found is not None:
            overrides[key] = found
            grading.doubtful(key, "deprecated here; it is read for all groups", "put it into data/testdata.yaml")
    _license(fields, "author")
    if fields.has("source_url") and not fields.has("source"):
        fields.wrong("source_url", "must not be given without source")
    if fields.has("uuid"):
        _uuid(fields)
    return Metadata(
        LEGACY, title, kinds, _limits(limits, rule, kinds), names=names, minimize=minimize, custom=custom,
        flags=flags,
        overrides=overrides,
    )  # fmt: skip


def _legacy_kinds(fields: Fields, further: list[str]) -> frozenset[str]:
    """pass-fail or scoring; DOMjudge reads more of them, separated by spaces. ``further``: those of validation."""
    words = fields.text("type", PASS_FAIL).split()
    for word in words:
        if word not in (PASS_FAIL, SCORING, INTERACTIVE, MULTI_PASS):
            fields.wrong("type", f"must be pass-fail or scoring, not {word[:40]!r}", near(word, (PASS_FAIL, SCORING)))
    return _combined(fields, [word for word in words if word in _TYPES and word != SUBMIT_ANSWER] + further)


def _combined(fields: Fields, words: list[str]) -> frozenset[str]:
    for one, other in _INCOMPATIBLE:
        if one in words and other in words:
            fields.wrong("type", f"{one} and {other} exclude each other")
    kinds = set(words)
    if SCORING in kinds:
        kinds.discard(PASS_FAIL)
    else:
        kinds.add(PASS_FAIL)
    if SUBMIT_ANSWER in kinds:
        kinds -= {MULTI_PASS, INTERACTIVE}
    return frozenset(kinds)


def _validation(fields: Fields) -> tuple[bool, list[str]]:
    """Is it custom, and what else it says: interactive, multi-pass (DOMjudge), score."""
    words = fields.text("validation", "default").split() or ["default"]
    if words[0] not in ("default", "custom"):
        fields.wrong("validation", f"must begin with default or custom, not {words[0][:40]!r}",
                     near(words[0], ("default", "custom")))  # fmt: skip
        return False, []
    further = (INTERACTIVE, MULTI_PASS, "score")
    for word in words[1:]:
        if words[0] == "default":
            fields.wrong("validation", f"after default nothing may follow, as {word[:40]!r} does")
        elif word not in further:
            fields.wrong("validation", f"{word[:40]!r} is none of {', '.join(further)}", near(word, further))
    custom = words[0] == "custom"
    return custom, [word for word in words[1:] if custom and word in further]


def _current(node: Node, version: str, faults: Faults) -> Metadata:
    fields = Fields(node, faults, _KEYS)
    words = fields.texts("type", single=True)
    if words is not None and not words:
        fields.wrong("type", "must not be an empty list")
    for word in words or ():
        if word not in _TYPES:
            fields.wrong("type", f"{word[:40]!r} is none of {', '.join(_TYPES)}", near(word, _TYPES))
    if len(set(words or ())) != len(words or ()):
        fields.wrong("type", "a type is given twice")
    kinds = _combined(fields, [word for word in words or () if word in _TYPES])
    title, names = _name(fields, required=True)
    if fields.has("uuid"):
        _uuid(fields)
    else:
        faults.error(node.file, node.line, "the key uuid is missing", "uuidgen makes one")
    fields.text("version")
    limits = Fields(
        fields.node("limits"), faults,
        ("time_multipliers", "time_limit", "time_resolution", "validation_passes", *(key for key, _, _ in _LIMITS)),
        "limits",
    )  # fmt: skip
    multipliers = Fields(
        limits.node("time_multipliers"), faults, ("ac_to_time_limit", "time_limit_to_tle"), "time_multipliers"
    )
    rule = TimeRule(
        multipliers.number("ac_to_time_limit", 2.0, low=1.0, high=1e6) or 2.0,
        multipliers.number("time_limit_to_tle", 1.5, low=1.0, high=1e6) or 1.5, _resolution(limits),
    )  # fmt: skip
    _license(fields, "credits")
    _credits(fields, faults)
    _source(fields, faults)
    if fields.has("embargo_until"):
        found = fields.node("embargo_until")
        if found is None or not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", found.text):
            fields.wrong("embargo_until", "must be YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ")
    fields.texts("keywords")
    return Metadata(
        version, title, kinds, _limits(limits, rule, kinds), _languages(fields),
        # The draft's default, as problemtools has it, is the other one.
        fields.boolean("allow_file_writing", version == DRAFT), _constants(fields, faults), names,
    )  # fmt: skip


def _resolution(limits: Fields) -> int:
    value = limits.number("time_resolution", 1.0, low=0.0, high=_LONGEST_S, above=True)
    return max(1, round((value or 1.0) * SECOND))


def _limits(limits: Fields, rule: TimeRule, kinds: frozenset[str]) -> Limits:
    values: dict[str, int] = {}
    for key, unit, name in _LIMITS:
        value = limits.integer(key, None, low=1, high=_MOST)
        if value is not None:
            values[name] = value * unit
    time = limits.number("time_limit", None, low=0.0, high=_LONGEST_S, above=True)
    if limits.has("validation_passes") and MULTI_PASS not in kinds:
        limits.wrong("validation_passes", "only multi-pass problems may have it")
    passes = limits.integer("validation_passes", 2, low=2, high=10_000) or 2
    return Limits(
        time_ns=None if time is None else max(1, round(time * SECOND)), rule=rule, validation_passes=passes, **values
    )


def _name(fields: Fields, *, required: bool) -> tuple[str, frozenset[str] | None]:
    """The English name, or the first, and the languages it is there for."""
    node = fields.node("name")
    if node is None:
        if required:
            fields.wrong("name", "is missing")
        return "", frozenset({"en"}) if required else None
    if isinstance(node.value, dict):
        texts = {key: value.value for key, value in node.value.items() if isinstance(value.value, str)}
        for key, value in node.value.items():
            if not re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", key):
                fields.wrong("name", f"{key[:40]!r} is no language code as en, fil or pt-BR")
            if key not in texts:
                fields.wrong("name", f"the name for {key[:40]!r} must be a text, not {value.kind}")
        if not node.value:
            fields.wrong("name", "must not be empty")
        return texts.get("en", next(iter(texts.values()), "")), frozenset(node.value)
    return fields.text("name"), frozenset({"en"}) if required else None


def _uuid(fields: Fields) -> None:
    value = fields.text("uuid")
    try:
        uuid.UUID(value or "0" * 32)
    except ValueError:
        fields.wrong("uuid", f"{value[:60]!r} is no UUID", "uuidgen makes one")


def _license(fields: Fields, author: str) -> None:
    """``author``: the key whose people are the rights owners where none is named."""
    license = fields.choice("license", _LICENSES, "unknown")
    if license == "public domain" and fields.has("rights_owner"):
        fields.wrong("rights_owner", "must not be set where the license is public domain")
    fields.text("rights_owner")
    if license not in ("unknown", "public domain") and not any(
        fields.has(k) for k in ("rights_owner", author, "source")
    ):
        fields.wrong("license", f"{license} needs a rights_owner, {author} or source")


def _credits(fields: Fields, faults: Faults) -> None:
    node = fields.node("credits")
    if node is None or isinstance(node.value, str):
        return
    credits = Fields(node, faults, _CREDITS, "credits")
    for key in _CREDITS:
        found = credits.node(key)
        if found is None:
            continue
        if key != "translators":
            _people(found, key, faults)
        elif isinstance(found.value, dict):
            for person in found.value.values():
                _people(person, key, faults)
        else:
            credits.wrong(key, f"must be a mapping of languages to people, not {found.kind}")


def _people(node: Node, what: str, faults: Faults) -> None:
    if isinstance(node.value, list):
        if not node.value:
            faults.error(node.file, node.line, f"{what}: must not be an empty list")
        for item in node.value:
            _person(item, what, faults)
    else:
        _person(node, what, faults)


def _person(node: Node, what: str, faults: Faults) -> None:
    if isinstance(node.value, dict):
        person = Fields(node, faults, ("name", "email", "orcid", "kattis"), f"a person of {what}")
        if not person.text("name"):
            faults.error(node.file, node.line, f"{what}: a person without a name")
    elif not isinstance(node.value, str):
        faults.error(node.file, node.line, f"{what}: a person is a text or a mapping, not {node.kind}")


def _source(fields: Fields, faults: Faults) -> None:
    node = fields.node("source")
    if node is None:
        return
    for item in node.value if isinstance(node.value, list) else [node]:
        if isinstance(item.value, dict):
            if not Fields(item, faults, ("name", "url"), "source").text("name"):
                faults.error(item.file, item.line, "source: the name is missing")
        elif not isinstance(item.value, str):
            faults.error(
                item.file, item.line, f"source: must be a text or a mapping with name and url, not {item.kind}"
            )


def _languages(fields: Fields) -> frozenset[str] | None:
    words = fields.texts("languages", single=True)
    if words is None or words == ("all",):
        return None
    if not words:
        fields.wrong("languages", "must not be an empty list")
        return None
    for word in words:
        if word not in CODES:
            fields.wrong("languages", f"{word[:40]!r} is no language code of the format", near(word, CODES))
    return frozenset(words)


def _constants(fields: Fields, faults: Faults) -> dict[str, str]:
    """As they are written: what replaces {{name}} is the text of the value."""
    node = fields.node("constants")
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        fields.wrong("constants", f"must be a mapping, not {node.kind}")
        return {}
    found: dict[str, str] = {}
    for key, value in node.value.items():
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", key):
            faults.error(node.file, node.keys[key], f"constants: {key[:60]!r} is no name", "letters, digits and _")
        elif isinstance(value.value, str) or as_number(value) is not None:
            found[key] = value.text
        else:
            faults.error(value.file, value.line, f"constants: {key} must be a text or a number, not {value.kind}")
    return found
