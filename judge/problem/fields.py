"""Typed access to the keys of a mapping: a wrong type, a value out of bounds and an unknown key are faults with their
line, and the default is what the reader goes on with."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Faults
    from .yamlfile import Node

# Problem package format 2025-09, General requirements: decimal or scientific, which YAML 1.1 takes for text ("1e-6").
FLOAT = re.compile(r"[+-]?([0-9]*\.[0-9]+|[0-9]+\.|[0-9]+)([Ee][+-]?[0-9]+)?")


def near(word: str, words: Iterable[str]) -> str:
    """ "did you mean ...?", or nothing that is near."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.7)
    return f"did you mean {found[0]!r}?" if found else ""


def number(text: str) -> float | None:
    """A finite number as the format writes it, else None."""
    if len(text) > 400 or not FLOAT.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


class Fields:
    """The keys of one mapping. A node that is none is a fault, and all of its keys are absent then."""

    def __init__(
        self, node: Node | None, faults: Faults, known: Iterable[str], what: str = "", *, unknown_is_error: bool = True
    ) -> None:
        self._faults = faults
        self._node = node if node is not None and isinstance(node.value, dict) else None
        if node is not None and self._node is None:
            faults.error(node.file, node.line, f"{what or 'the file'} must be a mapping, not {node.kind}")
        if self._node is not None:
            allowed = list(known)
            for key, line in self._node.keys.items():
                if key not in allowed:
                    tell = faults.error if unknown_is_error else faults.warning
                    where = f" in {what}" if what else ""
                    tell(self._node.file, line, f"unknown key {_cut(key)!r}{where}", near(key, allowed))

    @property
    def file(self) -> str:
        return self._node.file if self._node is not None else ""

    def node(self, key: str) -> Node | None:
        """The value as it is; None if it is absent or empty."""
        found = self._node.get(key) if self._node is not None else None
        return None if found is None or found.value is None else found

    def line(self, key: str) -> int:
        """Where the key is (0: nowhere)."""
        return self._node.keys.get(key, 0) if self._node is not None else 0

    def has(self, key: str) -> bool:
        return self.node(key) is not None

    def wrong(self, key: str, message: str, hint: str = "") -> None:
        """A fault at this key."""
        self._faults.error(self.file, self.line(key), f"{key}: {message}", hint)

    def doubtful(self, key: str, message: str, hint: str = "") -> None:
        """A warning at this key."""
        self._faults.warning(self.file, self.line(key), f"{key}: {message}", hint)

    def text(self, key: str, default: str = "") -> str:
        node = self.node(key)
        if node is None:
            return default
        if not isinstance(node.value, str):
            hint = f'write "{node.text}"' if node.text and len(node.text) < 60 else ""
            self.wrong(key, f"must be a text, not {node.kind}", hint)
            return default
        return node.value

    def choice(self, key: str, words: Iterable[str], default: str) -> str:
        value, allowed = self.text(key, default), list(words)
        if value not in allowed:
            self.wrong(key, f"must be one of {', '.join(allowed)}; not {_cut(value)!r}", near(value, allowed))
            return default
        return value

    def boolean(self, key: str, default: bool) -> bool:
        node = self.node(key)
        if node is None:
            return default
        if not isinstance(node.value, bool):
            self.wrong(key, f"must be true or false, not {node.kind}")
            return default
        return node.value

    def integer(self, key: str, default: int | None, *, low: int, high: int) -> int | None:
        node = self.node(key)
        if node is None:
            return default
        value = node.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, f"must be a whole number, not {node.kind}")
            return default
        if not low <= value <= high:
            self.wrong(key, f"must be from {low} to {high}, not {_cut(node.text)}")
            return default
        return value

    def number(self, key: str, default: float | None, *, low: float, high: float, above: bool = False) -> float | None:
        """``above``: low itself is not allowed."""
        node = self.node(key)
        if node is None:
            return default
        value = as_number(node)
        if value is None:
            self.wrong(key, f"must be a number, not {node.kind}")
            return default
        if not low <= value <= high or (above and value == low):
            self.wrong(
                key, f"must be {'above' if above else 'at least'} {low:g} and at most {high:g}, not {_cut(node.text)}"
            )
            return default
        return value

    def texts(self, key: str, *, single: bool = False) -> tuple[str, ...] | None:
        """A list of texts (``single``: or one text); None if absent or wrong."""
        node = self.node(key)
        if node is None:
            return None
        if single and isinstance(node.value, str):
            return (node.value,)
        if not isinstance(node.value, list):
            self.wrong(key, f"must be a list of texts, not {node.kind}")
            return None
        found: list[str] = []
        for item in node.value:
            if isinstance(item.value, str):
                found.append(item.value)
            else:
                hint = f'write "{item.text}"' if item.text and len(item.text) < 60 else ""
                self._faults.error(
                    item.file, item.line, f"{key}: must be a list of texts; one of them is {item.kind}", hint
                )
        return tuple(found)


def as_number(node: Node) -> float | None:
    """A finite number, also one that YAML 1.1 takes for a text; None for all else."""
    if isinstance(node.value, bool):
        return None
    if isinstance(node.value, str):
        return number(node.value)
    if isinstance(node.value, (int, float)):
        try:
            value = float(node.value)
        except OverflowError:
            return None
        return value if math.isfinite(value) else None
    return None


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
