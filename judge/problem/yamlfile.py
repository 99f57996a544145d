"""YAML with the line of every key and value, for files that strangers wrote.

Built from the parser's events, without recursion and without PyYAML's constructors of objects. What a well-meant file
has no use for is a fault: more than 256 KiB, a second document, nesting beyond 32, duplicate keys, tags, aliases that
expand to more than 20,000 values ("billion laughs").
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .faults import Faults

LIMIT_BYTES = 256 << 10
LIMIT_DEPTH = 32
LIMIT_VALUES = 20_000

Scalar = str | int | float | bool | None
_PLAIN = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Node:
    """A value: a scalar, a list of nodes or a dictionary of nodes.

    line: from 1. text: a scalar as it was written (keys are always taken as written: the language "no" is not false).
    keys: the line of each key. size: how many values it is, those of its aliases too.
    """

    file: str
    line: int
    value: Scalar | list[Node] | dict[str, Node]
    text: str = ""
    keys: Mapping[str, int] = field(default_factory=dict)
    size: int = 1

    def get(self, key: str) -> Node | None:
        """The value of this key of a mapping; None if there is none, or if this is no mapping."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    @property
    def kind(self) -> str:
        """What it is, in words for a message."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if isinstance(self.value, bool):
            return f"the boolean {self.text}"
        if self.value is None:
            return "empty"
        if isinstance(self.value, (int, float)):
            return f"the number {_short(self.text)}"
        return f"the text {_short(self.text)!r}"


def load(path: Path, package_root: Path, faults: Faults) -> Node | None:
    """The file's one document; an empty file is an empty mapping. None after a mistake, which is then in ``faults``."""
    try:
        name = str(path.relative_to(package_root))
    except ValueError:
        name = path.name
    data = read_bytes(path, name, faults, LIMIT_BYTES)
    text = None if data is None else decode(data, name, faults)
    return None if text is None else parse(text, name, faults)


def read_bytes(path: Path, name: str, faults: Faults, limit_bytes: int) -> bytes | None:
    """A regular file's content, never through a link and never of a FIFO or device. None after a fault."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        faults.error(name, 0, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            faults.error(name, 0, "not a regular file")
            return None
        with open(fd, "rb", closefd=False) as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        faults.error(name, 0, f"cannot be read: {error.strerror}")
        return None
    finally:
        os.close(fd)
    if len(data) > limit_bytes:
        faults.error(name, 0, f"larger than {limit_bytes >> 10} KiB")
        return None
    return data


def decode(data: bytes, name: str, faults: Faults) -> str | None:
    """As UTF-8 without a byte-order mark (problem package format, General Requirements). None after a fault."""
    if data.startswith(b"\xef\xbb\xbf"):
        faults.error(name, 1, "starts with a byte-order mark", "save it as UTF-8 without BOM")
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.error(name, line, f"not UTF-8: byte {data[error.start]:#04x}")
        return None


class _Wrong(Exception):
    def __init__(self, line: int, message: str, hint: str = "") -> None:
        self.line, self.message, self.hint = line, message, hint
        super().__init__(message)


def parse(text: str, name: str, faults: Faults) -> Node | None:
    """A document's text; ``name`` is what faults call it."""
    try:
        return _Builder(name).build(text)
    except _Wrong as wrong:
        faults.error(name, wrong.line, wrong.message, wrong.hint)
    except yaml.MarkedYAMLError as error:
        mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = " ".join(part for part in (error.context, error.problem) if part)
        faults.error(name, mark.line + 1 if mark else 0, f"not YAML: {what}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, max(0, error.position)) + 1
        faults.error(name, line, f"not YAML: the character {error.character!r} is not allowed")
    except yaml.YAMLError as error:
        faults.error(name, 0, f"not YAML: {' '.join(str(error).split())}")
    except (RecursionError, ValueError, OverflowError) as error:
        # PyYAML's scanner lets some of int()'s and chr()'s own errors through ("\UFFFFFFFF").
        faults.error(name, 0, f"not YAML: {' '.join(str(error).split())}")
    return None


class _Open:
    """A list or mapping whose end is still to come."""

    def __init__(self, line: int, anchor: str | None, mapping: bool) -> None:
        self.line, self.anchor = line, anchor
        self.items: list[Node] | None = None if mapping else []
        self.pairs: dict[str, Node] = {}
        self.lines: dict[str, int] = {}
        self.key: Node | None = None
        self.size = 1


class _Builder:
    def __init__(self, name: str) -> None:
        self._name = name
        self._constructor = yaml.SafeLoader("")
        self._resolve: Any = self._constructor.resolve
        self._anchors: dict[str, Node] = {}
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._values = 0

    def build(self, text: str) -> Node:
        documents = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            mark: Any = event.start_mark
            line = mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Wrong(line, "a second document in one file")
            elif isinstance(event, yaml.AliasEvent):
                known = self._anchors.get(event.anchor or "")
                if known is None:
                    raise _Wrong(line, f"the alias *{event.anchor} has no anchor before it")
                self._put(known, line, alias=True)
            elif isinstance(event, yaml.ScalarEvent):
                node = self._scalar(event, line)
                if event.anchor:
                    self._anchors[event.anchor] = node
                self._put(node, line)
            elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                self._enter(event, line)
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                self._leave()
        if self._root is None or self._root.value is None:
            return Node(self._name, 1, {})
        return self._root

    def _enter(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, line: int) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", f"{_PLAIN}map" if mapping else f"{_PLAIN}seq"):
            raise _Wrong(line, f"the tag {_short(event.tag)} is not allowed")
        if len(self._open) >= LIMIT_DEPTH:
            raise _Wrong(line, f"nested more than {LIMIT_DEPTH} deep")
        if self._open and self._open[-1].items is None and self._open[-1].key is None:
            raise _Wrong(line, "a key must be a text")
        self._open.append(_Open(line, event.anchor, mapping))

    def _leave(self) -> None:
        top = self._open.pop()
        value: list[Node] | dict[str, Node] = top.pairs if top.items is None else top.items
        node = Node(self._name, top.line, value, keys=top.lines, size=top.size)
        if top.anchor:
            self._anchors[top.anchor] = node
        self._put(node, top.line)

    def _put(self, node: Node, line: int, alias: bool = False) -> None:
        self._values += node.size if alias else 1
        if self._values > LIMIT_VALUES:
            raise _Wrong(line, f"more than {LIMIT_VALUES} values" + (" by aliases" if alias else ""))
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if top.items is not None:
            top.items.append(node)
            top.size += node.size
        elif top.key is None:
            if isinstance(node.value, (list, dict)):
                raise _Wrong(line, "a key must be a text")
            if node.text in top.pairs:
                raise _Wrong(
                    line, f"the key {_short(node.text)!r} is there twice", f"first in line {top.lines[node.text]}"
                )
            top.key, top.lines[node.text] = node, line
        else:
            top.pairs[top.key.text] = node
            top.size += node.size
            top.key = None

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Node:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolve(yaml.ScalarNode, event.value, event.implicit)
        value: Scalar = event.value
        if tag in (f"{_PLAIN}int", f"{_PLAIN}float", f"{_PLAIN}bool", f"{_PLAIN}null"):
            try:
                value = self._constructor.construct_object(yaml.ScalarNode(tag, event.value))
            except (yaml.YAMLError, ValueError, KeyError, IndexError, OverflowError) as error:
                raise _Wrong(
                    line, f"{_short(event.value)!r} is not a value of the type {tag[len(_PLAIN) :]}"
                ) from error
        elif tag not in (f"{_PLAIN}str", f"{_PLAIN}timestamp", f"{_PLAIN}merge", f"{_PLAIN}value"):
            raise _Wrong(line, f"the tag {_short(tag)} is not allowed")
        return Node(self._name, line, value, event.value)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
