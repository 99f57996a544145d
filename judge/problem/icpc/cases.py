"""Which files in a directory make which test (Test data in legacy.md and 2025-09.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..faults import Faults
    from ..tree import Entry, Tree

IMAGES = (".png", ".jpg", ".jpeg", ".svg")
LEGACY_EXTENSIONS = (".in", ".ans", ".desc", ".hint", ".interaction", *IMAGES)
DRAFT_EXTENSIONS = (*LEGACY_EXTENSIONS, ".files", ".args", ".out")
CURRENT_EXTENSIONS = (
    ".in", ".ans", ".files", ".yaml", ".out", ".interaction", ".in.statement", ".ans.statement", ".in.download",
    ".ans.download", *IMAGES,
)  # fmt: skip
CONFIGURATIONS = ("testdata.yaml", "test_group.yaml")


@dataclass
class Case:
    """base: without extension, relative to data/. parts: extension -> its file (".files": a directory)."""

    base: str
    parts: dict[str, Entry] = field(default_factory=dict)

    @property
    def input(self) -> Entry:
        return self.parts[".in"]


def collect(
    tree: Tree, directory: str, extensions: tuple[str, ...], configuration: str, faults: Faults
) -> tuple[list[Case], list[Entry]]:
    """The tests directly in a directory, and its other directories, both in order of their names.

    An ``.in`` declares a test and needs its ``.ans``; without it nothing else of the name may be there.
    ``configuration`` is the name of the group's own file, "" where there is no group.
    """
    cases: dict[str, Case] = {}
    others: list[Entry] = []
    for entry in tree.entries(directory):
        extension = _extension(entry.name, extensions)
        if entry.name in CONFIGURATIONS and not entry.directory:
            if entry.name != configuration:
                hint = (
                    f"the configuration of a group is its {configuration}"
                    if configuration
                    else "it is for groups alone"
                )
                faults.error(entry.relative, 0, "must not be here", hint)
        elif entry.directory and extension == ".in":
            faults.error(entry.relative, 0, "a directory where the input of a test is expected")
        elif entry.directory and extension != ".files":
            others.append(entry)
        elif entry.directory or extension not in ("", ".files"):
            base = entry.relative.removeprefix("data/")[: -len(extension)]
            cases.setdefault(base, Case(base)).parts[extension] = entry
        elif extension == ".files":
            faults.error(entry.relative, 0, "must be a directory with the files of a test")
        else:
            faults.warning(entry.relative, 0, "belongs to no test and is passed over")
    names = {entry.name for entry in others}
    found: list[Case] = []
    for base in sorted(cases):
        case = cases[base]
        name = base.rpartition("/")[2]
        if ".in" not in case.parts:
            _without_input(case, faults)
            continue
        if not name:
            faults.error(case.input.relative, 0, "a test must have a name before .in")
            continue
        if ".ans" not in case.parts:
            faults.error(case.input.relative, 0, f"there is no {name}.ans for this input")
        images = [e.name for extension, e in case.parts.items() if extension in IMAGES]
        if len(images) > 1:
            faults.error(case.input.relative, 0, f"more than one illustration: {', '.join(images)}")
        if name in names:
            faults.error(case.input.relative, 0, f"a test and a directory are both called {name}")
        found.append(case)
    return found, others


def _extension(name: str, extensions: tuple[str, ...]) -> str:
    """The longest that fits, "" for none."""
    return max((extension for extension in extensions if name.endswith(extension)), key=len, default="")


def _without_input(case: Case, faults: Faults) -> None:
    name = case.base.rpartition("/")[2]
    if set(case.parts) == {".interaction"}:
        return  # further sample interactions (legacy, Interactive problems)
    for extension, entry in sorted(case.parts.items()):
        what = "this answer" if extension == ".ans" else f"this {extension} file"
        faults.error(entry.relative, 0, f"there is no {name}.in for {what}")
