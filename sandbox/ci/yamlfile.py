"""YAML with the line of every key and value, built from the parser's events.

PyYAML's constructors of objects are never called. What a job file has no use for is a mistake: more than 256 KiB, a
second document, nesting beyond 24, a key twice, a tag, aliases that expand to more than 10,000 values.
"""

from __future__ import annotations

import os

from ..errors import HostError, RequestError
from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .faults import Faults

LIMIT_BYTES = 256 << 10
LIMIT_DEPTH = 24
LIMIT_VALUES = 10_000

_TYPES = {
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "null",
}


class Node(Record):
    """A value of the file. ``kind``: text, number, boolean, null, list or mapping.

    ``text``: a scalar as it was written, so that ``3.10`` stays what it is. ``keys``: the line of each key.
    """

    line: int
    kind: str
    text: str = ""
    items: tuple[Node, ...] = ()
    pairs: Mapping[str, Node] = {}
    keys: Mapping[str, int] = {}
    size: int = 1

    @property
    def words(self) -> str:
        """What it is, for a message."""
        if self.kind in ("list", "mapping"):
            return f"a {self.kind}"
        if self.kind == "null":
            return "nothing"
        return f"the {self.kind} {self.text[:60]!r}"


def read(path: str) -> str:
    """The file's text. Raises RequestError if it cannot be read, is too large or not UTF-8."""
    try:
        with open(path, "rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise RequestError("ci", path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > LIMIT_BYTES:
        raise RequestError("ci", path, f"larger than {LIMIT_BYTES >> 10} KiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RequestError("ci", os.fspath(path), f"line {line} is not UTF-8") from None


def parse(text: str, faults: Faults) -> Node:
    """The one document of ``text``. Mistakes of form end the parsing: JobFileError. Raises HostError without PyYAML."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise HostError("job files need the Python library yaml", "apt install python3-yaml") from None
    try:
        root = _Builder(yaml, faults).build(text)
    except _Stop:
        root = None
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        faults.add(mark.line + 1 if mark else 0, f"not YAML: {what}")
        root = None
    except yaml.reader.ReaderError as error:
        faults.add(text.count("\n", 0, max(0, error.position)) + 1, f"not YAML: the character {error.character!r}")
        root = None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        faults.add(0, f"not YAML: {' '.join(str(error).split())}")
        root = None
    faults.check()
    assert root is not None
    return root


class _Stop(Exception):
    """A mistake of form is in the faults already."""


class _Open:
    """A list or mapping whose end is still to come."""

    def __init__(self, line: int, anchor: str | None, mapping: bool) -> None:
        self.line, self.anchor, self.mapping = line, anchor, mapping
        self.items: list[Node] = []
        self.pairs: dict[str, Node] = {}
        self.keys: dict[str, int] = {}
        self.key: str | None = None
        self.size = 1


class _Builder:
    def __init__(self, yaml: Any, faults: Faults) -> None:
        self._yaml, self._faults = yaml, faults
        self._resolver = yaml.SafeLoader("")
        self._anchors: dict[str, Node] = {}
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._values = 0

    def build(self, text: str) -> Node:
        yaml = self._yaml
        documents = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._wrong(line, "a second document in one file")
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self._anchors:
                    self._wrong(line, f"the alias *{event.anchor} has no anchor before it")
                self._put(self._anchors[event.anchor], line)
            elif isinstance(event, yaml.ScalarEvent):
                node = self._scalar(event, line)
                self._name(event.anchor, node)
                self._put(node, line)
            elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                self._enter(event, line, isinstance(event, yaml.MappingStartEvent))
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                self._leave()
        return self._root or Node(line=1, kind="null")

    def _wrong(self, line: int, message: str, hint: str = "") -> None:
        self._faults.add(line, message, hint)
        raise _Stop

    def _name(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self._anchors[anchor] = node

    def _enter(self, event: Any, line: int, mapping: bool) -> None:
        if event.tag not in (None, "!"):
            self._wrong(line, f"the tag {event.tag[:60]} is not allowed")
        if len(self._open) >= LIMIT_DEPTH:
            self._wrong(line, f"nested more than {LIMIT_DEPTH} deep")
        if self._open and self._open[-1].mapping and self._open[-1].key is None:
            self._wrong(line, "a key must be a text")
        self._open.append(_Open(line, event.anchor, mapping))

    def _leave(self) -> None:
        top = self._open.pop()
        node = Node(
            line=top.line,
            kind="mapping" if top.mapping else "list",
            items=tuple(top.items),
            pairs=top.pairs,
            keys=top.keys,
            size=top.size,
        )
        self._name(top.anchor, node)
        self._put(node, top.line)

    def _put(self, node: Node, line: int) -> None:
        # An alias puts a whole tree at once: counted at its size, so that a few lines cannot become millions.
        self._values += node.size
        if self._values > LIMIT_VALUES:
            self._wrong(line, f"more than {LIMIT_VALUES} values")
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if not top.mapping:
            top.items.append(node)
        elif top.key is None:
            if node.kind in ("list", "mapping"):
                self._wrong(line, "a key must be a text")
            if node.text in top.pairs:
                self._wrong(line, f"the key {node.text[:60]!r} is there twice", f"first in line {top.keys[node.text]}")
            top.key = node.text
            top.keys[node.text] = line
            return
        else:
            top.pairs[top.key] = node
            top.key = None
        top.size += node.size

    def _scalar(self, event: Any, line: int) -> Node:
        tag = event.tag
        if tag not in (None, "!"):
            self._wrong(line, f"the tag {tag[:60]} is not allowed")
        tag = self._resolver.resolve(self._yaml.ScalarNode, event.value, event.implicit)
        return Node(line=line, kind=_TYPES.get(tag, "text"), text=event.value)
