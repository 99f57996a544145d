"""What belongs to a test besides its input and answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..model import INTERACTIVE, MULTI_PASS

if TYPE_CHECKING:
    from ..faults import Faults
    from ..model import Limits
    from ..tree import Entry, Tree

_DESCRIPTION_BYTES = 4096


def directory_files(tree: Tree, entry: Entry | None) -> dict[str, Path]:
    """Name below the directory -> file."""
    if entry is None:
        return {}
    return {e.relative.removeprefix(entry.relative + "/"): e.path for e in tree.files(entry.relative)}


def description(entry: Entry | None) -> str:
    """The start of a .desc file, in one line."""
    if entry is None:
        return ""
    try:
        with open(entry.path, "rb") as file:
            return " ".join(file.read(_DESCRIPTION_BYTES).decode(errors="replace").split())
    except OSError:
        return ""


def answer_size(entry: Entry | None, limits: Limits, kinds: frozenset[str], faults: Faults) -> None:
    """A right output is about as long as the answer, unless the answer is only something for a validator."""
    if entry is not None and not kinds & {INTERACTIVE, MULTI_PASS} and entry.size > limits.output_bytes:
        faults.warning(
            entry.relative, 0, f"the answer has {entry.size} bytes, the output limit is {limits.output_bytes}",
            "limits: output, in MiB",
        )  # fmt: skip
