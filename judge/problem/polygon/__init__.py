"""Polygon's packages: problem.xml beside tests/, files/ and solutions/.

There is no public specification; this follows what Polygon writes. Needed is the full package, in which the tests are
there. Checkers and interactors speak testlib.h, which packages mostly hold and which is not ours to ship; testlib's
own checkers that a built-in one equals (std::wcmp.cpp) need no compiler.

    xmlfile    XML with the line of every element
    testset    the tests, their groups and points
    programs   checker and interactor
    solutions  the jury's submissions and what their tags promise
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..model import INTERACTIVE, PASS_FAIL, SCORING, Problem
from ..tree import Tree
from . import programs, solutions, testset, xmlfile

if TYPE_CHECKING:
    from ..faults import Faults
    from .xmlfile import Element

DESCRIPTION = "problem.xml"


def matches(root: Path) -> bool:
    """Has the directory a problem.xml?"""
    return (root / DESCRIPTION).is_file()


def read(root: Path, faults: Faults, *, into: Path | None = None) -> Problem | None:
    """None after a mistake that leaves nothing to judge; all mistakes are in ``faults``. ``into``: not needed here."""
    before = len(faults.errors)
    top = xmlfile.load(root / DESCRIPTION, DESCRIPTION, faults)
    if top is None:
        return None
    if top.tag != "problem":
        top.error(f"the root must be <problem>, not <{top.tag[:60]}>")
        return None
    tree = Tree(root, faults)
    judging = top.find("judging")
    if judging is None:
        top.error("no <judging>")
        return None
    found = testset.read(judging, tree)
    assets = top.find("assets") or top
    checkers, interactor = programs.read(assets, judging, tree)
    jury = solutions.read(assets, tree)
    if judging.get("run-count", "1") not in ("1", ""):
        judging.error(f"run-count={judging.get('run-count')[:20]!r}: problems that run a submission more than once per "
                      "test are not supported")  # fmt: skip
    if found is None or len(faults.errors) > before:
        return None
    return Problem(
        name=top.get("short-name") or root.name, root=root, format="polygon", data=found.root, title=_title(top),
        kinds=frozenset({SCORING if found.scored else PASS_FAIL} | ({INTERACTIVE} if interactor else set())),
        limits=found.limits, checkers=checkers, interactor=interactor, submissions=jury,
    )  # fmt: skip


def _title(top: Element) -> str:
    """The English one, else the first."""
    names = [name for names in top.all("names") for name in names.all("name")]
    names.sort(key=lambda name: name.get("language") != "english")
    return names[0].get("value") if names else ""
