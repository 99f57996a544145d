"""Typed access to config.json: every error names the place by its JSON path.

Properties that are not known are left alone, as config.md ("Extensibility") demands; a value of the wrong type is an
error. ``null`` is the same as absent, as it is for the Go types that most engines write with.
"""

from __future__ import annotations

from ..errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"}


class Node:
    """An object of the file and its place in it, such as ``process.user``."""

    __slots__ = ("data", "place")

    def __init__(self, data: dict[str, Any], place: str = "") -> None:
        self.data, self.place = data, place

    def at(self, key: str) -> str:
        """The place of a property."""
        return f"{self.place}.{key}" if self.place else key

    def has(self, key: str) -> bool:
        return self.data.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        return str(self._typed(key, str, default))

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, bool, False))

    def number(self, key: str, default: int = 0) -> int:
        """An integer that fits into 64 bits, signed or unsigned."""
        value = int(self._typed(key, int, default))
        if not -(1 << 63) <= value < 1 << 64:
            self.fail(key, "does not fit into 64 bits", value)
        return value

    def node(self, key: str) -> Node:
        """An empty one if it is absent."""
        return Node(self._typed(key, dict, {}), self.at(key))

    def nodes(self, key: str) -> list[Node]:
        """Of a list of objects."""
        return [Node(self._kind(f"{key}[{i}]", item, dict), f"{self.at(key)}[{i}]")
                for i, item in enumerate(self._typed(key, list, []))]  # fmt: skip

    def texts(self, key: str) -> tuple[str, ...]:
        """Of a list of texts."""
        return tuple(self._kind(f"{key}[{i}]", item, str) for i, item in enumerate(self._typed(key, list, [])))

    def numbers(self, key: str) -> tuple[int, ...]:
        """Of a list of numbers."""
        return tuple(self._kind(f"{key}[{i}]", item, int) for i, item in enumerate(self._typed(key, list, [])))

    def pairs(self, key: str) -> dict[str, str]:
        """Of an object whose values are texts."""
        found = self.node(key)
        return {name: found.text(name) for name in found.data}

    def fail(self, key: str, why: str, value: object = None) -> NoReturn:
        """Raise RequestError for this property."""
        raise fault(self.at(key) if key else self.place, why, self.data.get(key) if value is None else value)

    def _typed(self, key: str, kind: type, default: Any) -> Any:
        value = self.data.get(key)
        return default if value is None else self._kind(key, value, kind)

    def _kind(self, key: str, value: Any, kind: type) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(key, f"expected {_NAMES[kind]}", value)
        return value


def fault(place: str, why: str, value: object) -> RequestError:
    """The error for a place of config.json."""
    return RequestError(f"config.json: {place}", value, why)


def load(text: bytes) -> Node:
    """The top of the file. Raises RequestError for what is no JSON object or of another major version."""
    import json

    try:
        data = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RequestError("config.json", text[:40].decode("utf-8", "replace"), f"not JSON: {error}".lower()) from None
    if not isinstance(data, dict):
        raise RequestError("config.json", data, "expected an object")
    top = Node(data)
    version = top.text("ociVersion")
    parts = version.partition("-")[0].partition("+")[0].split(".")
    if len(parts) != 3 or not all(part.isdecimal() and part.isascii() for part in parts):
        top.fail("ociVersion", "expected a version such as 1.2.0", version)
    if parts[0] != "1":
        top.fail("ociVersion", "bundles of version 1 of the specification are known", version)
    return top
