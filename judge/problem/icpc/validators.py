"""Output validators and graders: which programs a directory holds (Programs in legacy.md and 2025-09.md)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..model import Checker

if TYPE_CHECKING:
    from ..faults import Faults
    from ..tree import Entry, Tree

_TEXTS = (".md", ".txt", ".rst")
_HEADERS = (".h", ".hpp", ".hh", ".hxx")


def programs(tree: Tree, directory: str, faults: Faults) -> list[Entry]:
    """Each file or directory is a program. But files that belong together are one, as DOMjudge has it: those with a
    ``build`` or ``run`` script or a header among them."""
    found = [e for e in tree.entries(directory) if e.directory or not _is_text(e.name)]
    for entry in found:
        if entry.directory and not tree.files(entry.relative):
            faults.error(entry.relative, 0, "an empty directory is no program")
    loose = [e for e in found if not e.directory]
    if len(loose) > 1 and any(e.name in ("build", "run") or e.name.endswith(_HEADERS) for e in loose):
        whole = _whole(tree, directory)
        if whole is not None and len(loose) == len(found):
            return [whole]
    return found


def single(tree: Tree, directory: str, faults: Faults) -> Entry | None:
    """The one program in ``output_validator/``: a file, a directory, or all the files there together."""
    found = programs(tree, directory, faults)
    if len(found) > 1 and all(not e.directory for e in found):
        return _whole(tree, directory)
    if len(found) > 1:
        faults.error(directory, 0, "more than one program: " + ", ".join(e.name for e in found)[:200])
    return found[0] if found else None


def checker(entry: Entry, *, strict: bool) -> Checker:
    """``strict``: what a validator says of scores must follow the rules of 2025-09 (Scoring test cases)."""
    return Checker("validator", {"strict_scores": True} if strict else {}, entry.path)


def name_of(entry: Entry) -> str:
    """A program's name: the directory's, or the base name of the file (legacy, Programs)."""
    return entry.name if entry.directory else os.path.splitext(entry.name)[0]


def _whole(tree: Tree, directory: str) -> Entry | None:
    parent, _, name = directory.rpartition("/")
    return next((e for e in tree.entries(parent) if e.name == name), None)


def _is_text(name: str) -> bool:
    return name.lower().endswith(_TEXTS) or name.upper().startswith(("README", "LICENSE"))
