"""From a path to a problem: which format it is, all of its faults, and its digest."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ..errors import JudgeError, PackageError
from .digest import digest
from .faults import Fault, Faults
from .model import Problem

_SUFFIXES = (".zip", ".kpp", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")


class _Format(Protocol):
    """What each format's module has. ``into``: where a reader may put what it makes; None: nowhere."""

    def matches(self, root: Path, /) -> bool: ...

    def read(self, root: Path, faults: Faults, /, *, into: Path | None) -> Problem | None: ...


def _formats() -> dict[str, _Format]:
    """In the order of asking: what declares itself by a file of its own first, folders of pairs last."""
    from . import dmoj, icpc, plain, polygon

    return {"icpc": icpc, "polygon": polygon, "dmoj": dmoj, "plain": plain}


def open_problem(path: Path, *, into: Path | None = None) -> Problem:
    """The problem. ``into``: a directory of the caller's, for what is unpacked and for copies (a package whose programs
    have constants in them, DMOJ's data); it must last as long as the problem is used. An archive cannot be opened
    without one, and most directories can.

    Raises PackageError with all faults; warnings are told by ``inspect`` alone.
    """
    problem, faults = inspect(path, into=into)
    errors = tuple(fault for fault in faults if fault.severity == "error")
    if problem is None or errors:
        raise PackageError(str(path), errors or (Fault(".", 0, "cannot be read"),))
    return problem


def inspect(path: Path, *, into: Path | None = None) -> tuple[Problem | None, tuple[Fault, ...]]:
    """The problem as far as it can be understood, and everything that is wrong with it or doubtful."""
    faults = Faults()
    name = _short_name(path)
    root = _root(path, into, faults)
    problem = _read(root, faults, into) if root is not None else None
    if problem is None:
        if not faults.errors:
            faults.error(".", 0, "cannot be read as a problem package")
        return None, faults.all
    problem = replace(problem, name=name)
    if problem.format.startswith("icpc") and not re.fullmatch(r"[a-z0-9]+", name):
        faults.warning(".", 0, f"the package's name {name[:60]!r} must be lower-case letters and digits")
    if not problem.tests and not faults.errors:
        faults.error(".", 0, "the package has no test")
    if not faults.errors:
        try:
            problem = replace(problem, digest=digest(problem))
        except OSError as error:
            faults.error(_inside(error.filename, problem.root), 0, f"cannot be read: {error.strerror}")
    return problem, faults.all


def _root(path: Path, into: Path | None, faults: Faults) -> Path | None:
    """The directory of the package."""
    try:
        if path.is_dir():
            return Path(os.path.realpath(path))
        if not path.exists():
            faults.error(".", 0, "no such file or directory")
            return None
        if not path.is_file():
            faults.error(".", 0, "neither a directory nor an archive")
            return None
    except OSError as error:
        faults.error(".", 0, f"cannot be read: {error.strerror}")
        return None
    if into is None:
        faults.error(
            ".", 0, "an archive, and no directory was given to unpack it", "open_problem(path, into=directory)"
        )
        return None
    from .archive import unpack

    try:
        return unpack(path, into)
    except PackageError as error:
        for fault in error.faults:
            faults.error(fault.file, fault.line, fault.message, fault.hint)
    except (JudgeError, OSError) as error:
        faults.error(".", 0, str(error))
    return None


def _read(root: Path, faults: Faults, into: Path | None) -> Problem | None:
    try:
        found = [(name, form) for name, form in _formats().items() if form.matches(root)]
    except OSError as error:
        faults.error(".", 0, f"cannot be read: {error.strerror}")
        return None
    if not found:
        faults.error(
            ".", 0, "no problem package: neither problem.yaml, problem.xml, init.yml nor pairs of inputs and answers"
        )
        return None
    (name, form), *rest = found
    others = [other for other, _ in rest if other != "plain"]
    if others:
        faults.warning(".", 0, f"read as {name}, but it might be {' or '.join(others)} too")
    return form.read(root, faults, into=into)


def _short_name(path: Path) -> str:
    name = os.path.basename(os.path.realpath(path))
    suffix = next((s for s in _SUFFIXES if name.lower().endswith(s)), "") if not path.is_dir() else ""
    return (name[: -len(suffix)] if suffix else name) or "problem"


def _inside(file: object, root: Path) -> str:
    """A path as one in the package."""
    return str(file).removeprefix(f"{root}/") if file else "."
