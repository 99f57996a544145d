"""<checker> and <interactor>: programs that speak testlib.h, or what is built in and does the same.

An interactor reads the submission's output, and what it writes to its own output file is what the checker looks at
afterwards (testlib.h: registerInteraction).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from pathlib import Path

from ..includes import gather, testlib_missing
from ..model import Checker
from ..tree import Tree
from .xmlfile import Element


def _floats(absolute: float | None, relative: float | None) -> Checker:
    options: dict[str, object] = {"case_sensitive": True}
    if absolute is not None:
        options["float_absolute"] = absolute
    if relative is not None:
        options["float_relative"] = relative
    return Checker("tokens", options)


_TOKENS = Checker("tokens", {"case_sensitive": True})
# testlib's own (its checkers/), as far as what is built in accepts the same outputs: testlib allows no number but in
# its canonical form, so that equal integers are equal tokens. lcmp and fcmp count blank lines and are compiled.
STANDARD = {
    "wcmp": _TOKENS, "ncmp": _TOKENS, "icmp": _TOKENS, "hcmp": _TOKENS,
    "yesno": Checker("tokens", {"case_sensitive": False}), "nyesno": Checker("tokens", {"case_sensitive": False}),
    "uncmp": Checker("lines", {"split_on": "whitespace"}),
    "rcmp4": _floats(1e-4, 1e-4), "rcmp6": _floats(1e-6, 1e-6), "rcmp9": _floats(1e-9, 1e-9),
    "dcmp": _floats(1e-6, 1e-6), "rcmp": _floats(1.5e-6, None), "rncmp": _floats(1.5e-5, None),
}  # fmt: skip

# Polygon's types of sources: "cpp.g++17", "python.pypy3-64", "java21".
_LANGUAGES = (
    (r"cpp\..*", "cpp"), (r"c\..*", "c"), (r"python\.pypy3.*", "pypy3"), (r"python\.3.*", "python3"),
    (r"java.*", "java"), (r"kotlin.*", "kotlin"), (r"pas\..*", "pascal"), (r"csharp\..*", "csharp"), (r"go.*", "go"),
    (r"rust.*", "rust"), (r"js\..*|node.*", "javascript"), (r"d", "d"), (r"haskell\..*", "haskell"),
    (r"ocaml.*", "ocaml"), (r"perl\..*", "perl"), (r"php\..*", "php"), (r"ruby\..*", "ruby"), (r"scala.*", "scala"),
)  # fmt: skip


def language(kind: str) -> str | None:
    """The id of a source's type; None: to be detected."""
    return next((found for pattern, found in _LANGUAGES if re.fullmatch(pattern, kind, re.IGNORECASE)), None)


def read(assets: Element, judging: Element, tree: Tree) -> tuple[tuple[Checker, ...], Checker | None]:
    """The checkers (none only where there is an interactor) and the interactor."""
    talking, checking = assets.find("interactor"), assets.find("checker")
    interactor = _program(talking, "interactor", tree) if talking is not None else None
    if checking is None:
        if talking is None:
            assets.error("no <checker>")
        return (), interactor
    kind = checking.get("type", "testlib")
    if kind != "testlib":
        checking.error(f"a checker of the type {kind[:40]!r}; only testlib is known")
        return (), interactor
    name = checking.get("name").removeprefix("std::").removesuffix(".cpp")
    if checking.get("name").startswith("std::") and name in STANDARD:
        return (STANDARD[name],), interactor
    checker = _program(checking, "checker", tree)
    if checker is not None and judging.get("treat-points-from-checker-as-percent") == "true":
        checker = replace(checker, options={"percent": True})
    return (() if checker is None else (checker,)), interactor


def _program(element: Element, what: str, tree: Tree) -> Checker | None:
    source = element.find("source")
    if source is None:
        element.error(f"the {what} has no <source>")
        return None
    place = posixpath.normpath(source.get("path") or ".")
    entry = tree.file(place)
    if entry is None:
        source.error(f"the {what} {place[:100]!r} is not in the package")
        return None

    def lookup(name: str) -> Path | None:
        for directory in dict.fromkeys((posixpath.dirname(place), "files", "")):
            found = tree.file(posixpath.normpath(posixpath.join(directory, name)))
            if found is not None:
                return found.path
        return None

    include, missing = gather(entry.path, lookup)
    if testlib_missing(missing, include):
        source.error(f"the {what} {place} includes testlib.h, which is not in the package", "put it at files/testlib.h")
    return Checker("testlib", {}, entry.path, language(source.get("type")), include)
