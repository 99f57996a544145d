"""XML with the line of every element. No document type, so no entities: nothing expands, nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from ..yamlfile import read_bytes

if TYPE_CHECKING:
    from ..faults import Faults

LIMIT_BYTES = 8 << 20
LIMIT_DEPTH = 32
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass
class Element:
    """text: of this element alone, without white space around it."""

    tag: str
    attributes: Mapping[str, str]
    file: str
    line: int
    faults: Faults = field(repr=False)
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def get(self, attribute: str, default: str = "") -> str:
        return self.attributes.get(attribute, default)

    def find(self, tag: str) -> Element | None:
        """The first child of this name."""
        return next((child for child in self.children if child.tag == tag), None)

    def all(self, tag: str) -> list[Element]:
        """All children of this name."""
        return [child for child in self.children if child.tag == tag]

    def error(self, message: str, hint: str = "") -> None:
        """A fault at this element's line."""
        self.faults.error(self.file, self.line, _CONTROL.sub("?", message), hint)

    def warning(self, message: str, hint: str = "") -> None:
        self.faults.warning(self.file, self.line, _CONTROL.sub("?", message), hint)


class _Wrong(Exception):
    pass


def load(path: Path, name: str, faults: Faults) -> Element | None:
    """The root element; None after a mistake, which is then in ``faults``."""
    data = read_bytes(path, name, faults, LIMIT_BYTES)
    if data is None:
        return None
    builder = _Builder(name, faults)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        faults.error(name, error.lineno, f"not XML: {expat.ErrorString(error.code)}")
        return None
    except _Wrong as wrong:
        faults.error(name, builder.parser.CurrentLineNumber, str(wrong))
        return None
    except (ValueError, LookupError) as error:
        faults.error(name, 0, f"not XML: {error}")  # an encoding that this Python does not know
        return None
    return builder.root


class _Builder:
    def __init__(self, name: str, faults: Faults) -> None:
        self._name, self._faults = name, faults
        self.root: Element | None = None
        self._open: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.buffer_text = True

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= LIMIT_DEPTH:
            raise _Wrong(f"nested more than {LIMIT_DEPTH} deep")
        element = Element(tag, attributes, self._name, self.parser.CurrentLineNumber, self._faults)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        element.text = element.text.strip()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text

    def _doctype(self, *_: object) -> None:
        raise _Wrong("a document type is not allowed")
