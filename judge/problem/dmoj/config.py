"""Keys that are looked up in a case, then in its batch, then in the file (dmoj/config.py, ConfigNode)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fields import Fields, near
from ..yamlfile import Node

if TYPE_CHECKING:
    from ..faults import Faults

INHERITED = frozenset({
    "in", "out", "points", "checker", "generator", "generator_args", "binary_data", "output_limit_length",
    "output_prefix_length", "file_io", "symlinks", "wall_time_factor", "unbuffered",
})  # fmt: skip
CASE = INHERITED | {"batched", "dependencies"}
TOP = INHERITED | {
    "archive", "test_cases", "pretest_test_cases", "interactive", "signature_grader", "custom_judge", "grader",
    "short_circuit", "hints", "meta", "validator", "time_limit", "memory_limit",
}  # fmt: skip

_PYTHON = "only what needs no Python from the package can be judged"
_REFUSED = {
    "custom_judge": f"custom graders are Python: {_PYTHON}",
    "grader": f"custom graders are Python: {_PYTHON}",
    "signature_grader": "signature grading (a submission without a main function) is not supported",
}
_IGNORED = {
    "hints": "is ignored", "meta": "is ignored",
    "validator": "the tests' validator is not run",
    "unbuffered": "there is no pseudo-terminal: programs must flush what they write",
}  # fmt: skip


class Scope(Fields):
    """The keys of a case or batch with all that it inherits. ``own``: what it says itself."""

    def __init__(self, merged: Node, own: Node, faults: Faults) -> None:
        super().__init__(merged, faults, merged.keys)
        self.merged, self.own, self.faults = merged, own, faults

    def inner(self, node: Node, known: frozenset[str]) -> Scope | None:
        """A case's or batch's scope; None after a fault."""
        if not isinstance(node.value, dict) or not isinstance(self.merged.value, dict):
            self.faults.error(node.file, node.line, f"a test case must be a mapping, not {node.kind}")
            return None
        _look_at_keys(node, known, self.faults)
        inherited = {key: value for key, value in self.merged.value.items() if key in INHERITED}
        keys = {key: line for key, line in self.merged.keys.items() if key in INHERITED}
        merged = Node(node.file, node.line, {**inherited, **node.value}, keys={**keys, **node.keys})
        return Scope(merged, node, self.faults)

    def line(self, key: str) -> int:
        """Where the key is, or the case if nothing says it."""
        return super().line(key) or self.own.line


def top(node: Node, faults: Faults) -> Scope | None:
    """The file's own scope; None if it is no mapping."""
    if not isinstance(node.value, dict):
        faults.error(node.file, node.line, f"the file must be a mapping, not {node.kind}")
        return None
    _look_at_keys(node, TOP, faults)
    for key, why in _REFUSED.items():
        if key in node.value:
            faults.error(node.file, node.keys[key], f"{key}: {why}")
    for key, why in _IGNORED.items():
        found = node.get(key)
        if found is not None and found.value not in (None, False):
            faults.warning(node.file, node.keys[key], f"{key}: {why}")
    return Scope(node, node, faults)


def _look_at_keys(node: Node, known: frozenset[str], faults: Faults) -> None:
    for key, line in node.keys.items():
        if key.endswith("+"):
            faults.error(node.file, line, f"{key[:60]}: dynamic keys are Python: {_PYTHON}")
        elif key not in known:
            faults.warning(node.file, line, f"unknown key {key[:60]!r}, ignored", near(key, known))
