"""Files that are added to every submission (Included files, or Included code)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..fields import near
from .languages import CODES
from .metadata import CURRENT, DRAFT

if TYPE_CHECKING:
    from ..faults import Faults
    from ..tree import Tree


def read(
    tree: Tree, version: str, languages: frozenset[str] | None, faults: Faults
) -> Mapping[str, Mapping[str, Path]]:
    """Language id, or "default", -> path below its directory -> file."""
    found: dict[str, dict[str, Path]] = {}
    for entry in tree.entries("include"):
        if not entry.directory:
            faults.error(entry.relative, 0, "files to include belong into a directory for their language")
            continue
        if entry.name == "default" and version not in (CURRENT, DRAFT):
            faults.warning(entry.relative, 0, "the legacy format has no default; it is read as in 2025-09")
        elif entry.name != "default" and entry.name not in CODES:
            faults.error(entry.relative, 0, f"{entry.name[:60]!r} is no language code", near(entry.name, CODES))
            continue
        elif entry.name != "default" and languages is not None and entry.name not in languages:
            faults.error(entry.relative, 0, f"{entry.name} is none of the languages of problem.yaml")
        files = tree.files(entry.relative)
        if not files:
            faults.error(entry.relative, 0, "the directory is empty")
        found[entry.name] = {file.relative.removeprefix(entry.relative + "/"): file.path for file in files}
    return found
