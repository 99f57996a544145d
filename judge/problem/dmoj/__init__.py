"""DMOJ's packages: a directory with init.yml, and mostly a zip with the tests beside it.

After the documentation of DMOJ (problem_format/problem_format.md, custom_checkers.md, custom_graders.md) and, where it
is silent, judge-server (dmoj/problem.py, dmoj/judge.py, dmoj/config.py). What needs Python from the package (custom
judges, Python checkers, dynamic keys) or makes tests at judging (generators) is refused by name, as is IOI-style
signature grading.

Each batch scores the lowest share of its cases, times its points; a batch ends at its first failure. A failed case of
0 points ends the judging.

    config    keys that cases inherit from batches, and batches from the file
    cases     test_cases in its three forms
    patterns  names of files that are matched by regular expressions of the package
    data      the files, in the directory or the zip, with the line ends that DMOJ gives them
    checkers  checkers and interactors
    scoring   points, batches, dependencies
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import yamlfile
from ..model import INTERACTIVE, PASS_FAIL, SCORING, SECOND, Limits, Problem
from ..tree import Tree
from . import config, scoring
from .cases import Cases
from .checkers import Programs
from .data import Data

if TYPE_CHECKING:
    from ..faults import Faults

INIT = "init.yml"
OUTPUT_BYTES = 25165824  # dmoj/problem.py: output_limit_length


def matches(root: Path) -> bool:
    """Has the directory an init.yml?"""
    return (root / INIT).is_file()


def read(root: Path, faults: Faults, *, into: Path | None = None) -> Problem | None:
    """None after a mistake that leaves nothing to judge; all mistakes are in ``faults``.

    ``into``: the caller's own directory for what is unpacked, and for copies of data whose line ends DMOJ changes.
    Without one, packages that need it are faults. Limits of time and memory are not in these packages: the site has
    them.
    """
    before = len(faults.errors)
    node = yamlfile.load(root / INIT, root, faults)
    if node is None:
        return None
    top = config.top(node, faults)
    if top is None:
        return None
    data = Data(root, Tree(root, faults), faults, into)
    data.open_archive(top)
    limits = _limits(top)
    programs = Programs(top, data, faults)
    limits = programs.limits(_limits(top))
    first, items = Cases(top, data, programs, limits, faults).all()
    arranged = scoring.arrange(first, items, short_circuit=top.boolean("short_circuit", False))
    if len(faults.errors) > before or arranged is None:
        return None
    kinds = {SCORING if arranged.scored else PASS_FAIL} | ({INTERACTIVE} if programs.interactor else set())
    return Problem(
        name=root.name, root=root, format="dmoj", data=arranged.root, kinds=frozenset(kinds), limits=limits,
        checkers=programs.checkers, interactor=programs.interactor,
    )  # fmt: skip


def _limits(top: config.Scope) -> Limits:
    """time_limit in seconds and memory_limit in KiB are no keys of DMOJ's, but are what a site's export may hold."""
    limits = Limits(output_bytes=top.integer("output_limit_length", OUTPUT_BYTES, low=0, high=1 << 40) or OUTPUT_BYTES)
    seconds = top.number("time_limit", None, low=0.001, high=86400)
    kilobytes = top.integer("memory_limit", None, low=1024, high=1 << 31)
    factor = top.number("wall_time_factor", None, low=1, high=1000)
    if seconds is not None:
        limits = replace(limits, time_ns=round(seconds * SECOND))
        if factor is not None:
            limits = replace(limits, wall_ns=round(seconds * factor * SECOND))
    if kilobytes is not None:
        limits = replace(limits, memory_bytes=kilobytes << 10)
    return limits
