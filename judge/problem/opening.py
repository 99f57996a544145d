"""From a path to a problem: which format it is, all of its faults, and its digest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import JudgeError, PackageError
from .digest import digest
from .faults import Fault, Faults
from .model import Problem

# An archive may unpack to this much: the format advises against files above 100 MiB.
LIMIT_BYTES = 8 << 30
LIMIT_FILES = 200_000
_SUFFIXES = (".zip", ".kpp", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")


@dataclass(frozen=True)
class _Format:
    name: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Faults], Problem | None]


def _formats() -> list[_Format]:
    """In the order of asking: what declares itself by a file of its own first, folders of pairs last."""
    from . import dmoj, icpc, plain, polygon

    return [
        _Format("icpc", icpc.matches, icpc.read), _Format("polygon", polygon.matches, polygon.read),
        _Format("dmoj", dmoj.matches, dmoj.read), _Format("plain", plain.matches, plain.read),
    ]  # fmt: skip


def open_problem(path: Path, *, into: Path | None = None) -> Problem:
    """The problem. ``into``: an empty directory of the caller's, where an archive is unpacked; it must last as long as
    the problem is used.

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
    problem = _read(root, faults) if root is not None else None
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
            return path.resolve()
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
        return unpack(path, into, limit_bytes=LIMIT_BYTES, limit_files=LIMIT_FILES)
    except PackageError as error:
        for fault in error.faults:
            faults.error(fault.file, fault.line, fault.message, fault.hint)
    except (JudgeError, OSError) as error:
        faults.error(".", 0, str(error))
    return None


def _read(root: Path, faults: Faults) -> Problem | None:
    found = [form for form in _formats() if form.matches(root)]
    if not found:
        faults.error(
            ".", 0, "no problem package: neither problem.yaml, problem.xml, init.yml nor pairs of inputs and answers"
        )
        return None
    others = [form.name for form in found[1:] if form.name != "plain"]
    if others:
        faults.warning(".", 0, f"read as {found[0].name}, but it might be {' or '.join(others)} too")
    return found[0].read(root, faults)


def _short_name(path: Path) -> str:
    name = path.resolve().name
    suffix = next((s for s in _SUFFIXES if name.lower().endswith(s)), "") if not path.is_dir() else ""
    return (name[: -len(suffix)] if suffix else name) or "problem"


def _inside(file: object, root: Path) -> str:
    """A path as one in the package."""
    return str(file).removeprefix(f"{root}/") if file else "."
