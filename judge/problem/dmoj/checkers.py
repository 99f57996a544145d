"""``checker`` and ``interactive`` (DMOJ's documentation, Custom checkers and Native Interactive Grading)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..fields import Fields, near
from ..includes import gather, testlib_missing
from ..model import SECOND, Checker, Limits
from ..yamlfile import Node
from .config import Scope
from .data import Data

if TYPE_CHECKING:
    from ..faults import Faults

TYPES = ("default", "testlib", "coci", "peg")
PROGRAM_KEYS = frozenset({
    "files", "lang", "type", "time_limit", "memory_limit", "compiler_time_limit", "feedback", "flags", "cached",
    "args_format_string",
})  # fmt: skip
INTERACTOR_KEYS = PROGRAM_KEYS | {"preprocessing_time", "unbuffered"}
HEADERS = frozenset({".h", ".hh", ".hpp", ".hxx", ".inc"})

# Names of DMOJ's executors, without their versions.
LANGUAGES = (
    (r"C(\d\d)?|CLANG", "c"), (r"CPP\d\w|CLANGX(\d\w)?", "cpp"), (r"PY3|PYTHON3", "python3"), (r"PYPY3", "pypy3"),
    (r"JAVA\d*", "java"), (r"KOTLIN", "kotlin"), (r"GO", "go"), (r"RUST", "rust"), (r"PAS", "pascal"),
    (r"HASK", "haskell"), (r"OCAML", "ocaml"), (r"NODEJS|V8JS", "javascript"), (r"MONOCS", "csharp"),
    (r"D", "d"), (r"PERL", "perl"), (r"RUBY\d?", "ruby"), (r"LUA", "lua"),
)  # fmt: skip
# How newer judge-servers call what older ones have as {input}.
PLACES = {"{input_file}": "{input}", "{output_file}": "{output}", "{answer_file}": "{answer}"}

STANDARD = Checker("tokens", {"case_sensitive": True, "line_sensitive": True})


class Programs:
    """The problem's checkers and its interactor, and those of single cases."""

    def __init__(self, top: Scope, data: Data, faults: Faults) -> None:
        self._top, self._data, self._faults = top, data, faults
        self._read: dict[int, Checker | None] = {}
        self._validation: dict[str, int] = {}
        self.interactor = self._interactor()
        self._node = top.node("checker")
        default = self._checker(top)
        # An interactor decides alone unless the package names another checker than the standard one, which then looks
        # at what the interactor wrote (dmoj/graders/bridged.py, check_result).
        self.checkers: tuple[Checker, ...] = ()
        if default is not None and (self.interactor is None or default != STANDARD) and self._checked(top):
            self.checkers = (default,)

    def own(self, scope: Scope) -> Checker | None:
        """The checker of a case that has another than the problem."""
        return None if scope.node("checker") is self._node or not self._checked(scope) else self._checker(scope)

    def needs_answer(self, scope: Scope) -> bool:
        """Is the output compared with an answer by one of our own checkers?"""
        checker = self._checker(scope)
        if checker is None or checker.source is not None:
            return False
        return self.interactor is None or (checker != STANDARD and self._writes(self.interactor))

    def limits(self, limits: Limits) -> Limits:
        """With what the package says about its own programs."""
        if "time" in self._validation:
            limits = replace(limits, validation_time_ns=self._validation["time"])
        if "memory" in self._validation:
            limits = replace(limits, validation_memory_bytes=self._validation["memory"])
        return limits

    def _checked(self, scope: Scope) -> bool:
        """Does a checker look at anything?"""
        if self.interactor is None or self._writes(self.interactor):
            return True
        scope.doubtful("checker", "ignored: the interactor is given no file to write to, and so decides alone")
        return False

    @staticmethod
    def _writes(interactor: Checker) -> bool:
        pattern = interactor.options.get("args")
        return "{output}" in pattern if isinstance(pattern, str) else interactor.options.get("type") == "testlib"

    def _checker(self, scope: Scope) -> Checker | None:
        node = scope.node("checker")
        if node is None:
            return STANDARD
        if id(node) not in self._read:
            self._read[id(node)] = self._make(scope, node)
        return self._read[id(node)]

    def _make(self, scope: Scope, node: Node) -> Checker | None:
        name, args = node, None
        if isinstance(node.value, dict):
            fields = Fields(node, self._faults, ("name", "args"), "checker", unknown_is_error=False)
            found = fields.node("name")
            if found is None:
                scope.wrong("checker", "has no name")
                return None
            name, args = found, fields.node("args")
        if not isinstance(name.value, str):
            scope.wrong("checker", f"must be a name, not {name.kind}")
            return None
        text = name.value
        if text == "bridged":
            if args is None:
                scope.wrong("checker", "bridged needs args with the files of the checker")
                return None
            return self._program(Fields(args, self._faults, PROGRAM_KEYS, "checker.args", unknown_is_error=False), args)
        if "." in text:
            scope.wrong("checker", f"{text[:60]}: checkers in Python for DMOJ's judge are not supported",
                        "a program with checker: bridged is")  # fmt: skip
            return None
        make = _BUILT_IN.get(text)
        if make is None:
            scope.wrong("checker", f"unknown checker {text[:60]!r}", near(text, [*_BUILT_IN, "bridged"]))
            return None
        kind, known = make
        try:
            return kind(Fields(args, self._faults, known, f"the arguments of {text}", unknown_is_error=False))
        except _Wrong as wrong:
            where = args or name
            self._faults.error(where.file, where.line, f"checker {text}: {wrong}")
            return None

    def _interactor(self) -> Checker | None:
        node = self._top.node("interactive")
        if node is None:
            return None
        fields = Fields(node, self._faults, INTERACTOR_KEYS, "interactive", unknown_is_error=False)
        extra = fields.number("preprocessing_time", None, low=0, high=86400)
        if extra is not None:
            # Theirs is on top of the submission's own limit, which stands in no package.
            self._raise("time", round(extra * SECOND))
        return self._program(fields, node) if isinstance(node.value, dict) else None

    def _program(self, fields: Fields, node: Node) -> Checker | None:
        names = fields.texts("files", single=True)
        if not names:
            if not fields.has("files"):
                self._faults.error(node.file, node.line, "no files: which program is it?")
            return None
        options: dict[str, object] = {
            "type": fields.choice("type", TYPES, "default"), "feedback": fields.boolean("feedback", True),
        }  # fmt: skip
        pattern = fields.text("args_format_string")
        if pattern:
            for theirs, ours in PLACES.items():
                pattern = pattern.replace(theirs, ours)
            options["args"] = pattern
        if fields.has("flags"):
            fields.doubtful("flags", "flags of the compiler are ignored")
        seconds = fields.number("time_limit", None, low=0.001, high=86400)
        if seconds is not None:
            self._raise("time", round(seconds * SECOND))
        kilobytes = fields.integer("memory_limit", None, low=1024, high=1 << 31)
        if kilobytes is not None:
            self._raise("memory", kilobytes << 10)
        paths = {name: self._data.file(name, self._scope_of(fields), "files") for name in names}
        if any(path is None for path in paths.values()):
            return None
        given = {name: path for name, path in paths.items() if path is not None}
        main = next((name for name in given if Path(name).suffix.lower() not in HEADERS), "")
        if not main:
            fields.wrong("files", "there is no source among them")
            return None
        include = {Path(name).name: path for name, path in given.items() if name != main}
        found, missing = gather(given[main], lambda name: include.get(name) or self._data.beside(name, main))
        if testlib_missing(missing, include):
            fields.wrong("files", f"{main} includes testlib.h, which is not in the package",
                         f"put testlib.h beside {main}")  # fmt: skip
        return Checker("bridged", options, given[main], self._language(fields), {**found, **include})

    def _scope_of(self, fields: Fields) -> Scope:
        return _At(self._top, fields)

    def _language(self, fields: Fields) -> str | None:
        name = fields.text("lang")
        if not name:
            return None
        for pattern, language in LANGUAGES:
            if re.fullmatch(pattern, name, re.IGNORECASE):
                return language
        if name.upper().startswith(("PY2", "PYPY2", "PYPY")):
            fields.wrong("lang", f"{name[:40]}: Python 2 is not supported")
        else:
            fields.doubtful("lang", f"{name[:40]!r} is not known; the language follows from the name of the file")
        return None

    def _raise(self, what: str, value: int) -> None:
        self._validation[what] = max(value, self._validation.get(what, 0))


class _At(Scope):
    """``data.file`` with faults at the keys of a program's own mapping."""

    def __init__(self, top: Scope, fields: Fields) -> None:
        super().__init__(top.merged, top.own, top.faults)
        self._at = fields

    def wrong(self, key: str, message: str, hint: str = "") -> None:
        self._at.wrong(key, message, hint)


class _Wrong(ValueError):
    pass


def _standard(_: Fields) -> Checker:
    return STANDARD


def _floats(mode: str) -> Callable[[Fields], Checker]:
    def make(args: Fields) -> Checker:
        precision = args.integer("precision", 6, low=0, high=300)
        chosen = mode or args.choice("error_mode", ("default", "absolute", "relative"), "default")
        epsilon = 10.0 ** -(precision if precision is not None else 6)
        options = dict(STANDARD.options)
        if chosen in ("default", "absolute"):
            options["float_absolute"] = epsilon
        if chosen in ("default", "relative"):
            options["float_relative"] = epsilon
        return Checker("tokens", options)

    return make


def _identical(args: Fields) -> Checker:
    return Checker("exact", {"presentation": True} if args.boolean("pe_allowed", True) else {})


def _rstripped(args: Fields) -> Checker:
    if args.boolean("filter_new_line", False):
        raise _Wrong("filter_new_line is not supported")
    return Checker("exact", {"ignore_trailing_space": True})


def _sorted(args: Fields) -> Checker:
    return Checker("lines", {"split_on": args.choice("split_on", ("lines", "whitespace"), "lines")})


def _unordered(_: Fields) -> Checker:
    return Checker("lines", {"split_on": "whitespace"})


def _easy(_: Fields) -> Checker:
    return Checker("lines", {"split_on": "characters"})


def _linecount(args: Fields) -> Checker:
    if args.has("match"):
        raise _Wrong("match is Python, which is not supported")
    return Checker("lines", {"partial": True})


def _linematches(args: Fields) -> Checker:
    node = args.node("point_distribution")
    numbers: list[object] = [1] if node is None else []
    if node is not None:
        if not isinstance(node.value, list):
            raise _Wrong("point_distribution must be a list of numbers")
        numbers = [item.value for item in node.value]
    whole = [n for n in numbers if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    if len(whole) != len(numbers) or not sum(whole):
        raise _Wrong("point_distribution must be whole numbers, of which one is not 0")
    options: Mapping[str, object] = {
        "partial": True, "distribution": whole, "filler_lines_required": args.boolean("filler_lines_required", True),
    }  # fmt: skip
    return Checker("lines", options)


_BUILT_IN: dict[str, tuple[Callable[[Fields], Checker], tuple[str, ...]]] = {
    "standard": (_standard, ()), "easy": (_easy, ()),
    "floats": (_floats(""), ("precision", "error_mode")), "floatsabs": (_floats("absolute"), ("precision",)),
    "floatsrel": (_floats("relative"), ("precision",)), "identical": (_identical, ("pe_allowed",)),
    "sorted": (_sorted, ("split_on",)), "unordered": (_unordered, ()), "rstripped": (_rstripped, ("filter_new_line",)),
    "linecount": (_linecount, ("feedback", "match")),
    "linematches": (_linematches, ("point_distribution", "filler_lines_required")),
}  # fmt: skip
