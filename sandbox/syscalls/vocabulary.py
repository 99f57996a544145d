"""The two data files of decoding: signatures.txt (what arguments a call has) and constants.txt (their names)."""

from __future__ import annotations

from posixpath import dirname

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = dirname(__file__)
_CALLS = "signatures.txt"
ENUM = "enum"


class Constants(Record):
    """A set of named numbers: ``entries`` are (mask, name, value), mask 0 for single flags and for an enum."""

    name: str
    kind: str
    bits: int
    entries: tuple[tuple[int, str, int], ...]

    def words(self, value: int) -> str:
        """A number in names of this set, as far as there are any; the rest of it in figures."""
        value &= (1 << self.bits) - 1
        if self.kind == ENUM:
            known = next((name for _mask, name, each in self.entries if each == value), None)
            signed = value - (1 << self.bits) if value >> (self.bits - 1) else value
            return known or (str(signed) if -4096 < signed < 4096 else f"{value:#x}")
        if value == (1 << self.bits) - 1:
            return f"{value:#x}"  # every flag at once is none
        left, found = value, []
        for mask in dict.fromkeys(mask for mask, _name, _value in self.entries):
            for each_mask, name, each in self.entries:
                if each_mask == mask and (value & mask == each if mask else each and left & each == each):
                    found.append(name)
                    left &= ~(mask or each)
        if left:
            found.append(f"{left:#x}")
        zero = next((name for mask, name, each in self.entries if not mask and not each), "0")
        return "|".join(found) or zero


class Parameter(Record):
    """One argument of a call: ``kind`` is a word of decode.py or a set; ``length`` is the argument that counts it."""

    name: str
    kind: str
    length: int = -1


# The text of each entry, by name: one run needs few of them, and they are taken apart when they are needed.
_constants: dict[str, str] = {}
_signatures: dict[str, str] = {}


def constants(abi: str, name: str) -> Constants | None:
    """The set of that name, as the ABI has it; None if there is none."""
    known = _constant_texts()
    return next((_constant(each, known[each]) for each in (f"{abi}/{name}", name) if each in known), None)


def signature(abi: str, call: str) -> tuple[Parameter, ...] | None:
    """The arguments of a call, as the ABI has them; None if nothing is known."""
    known = _signature_texts()
    return next((_signature(known[each]) for each in (f"{abi}/{call}", call) if each in known), None)


def every_set() -> tuple[Constants, ...]:
    """All of constants.txt."""
    return tuple(_constant(name, text) for name, text in _constant_texts().items())


def every_signature() -> dict[str, tuple[Parameter, ...]]:
    """All of signatures.txt: ``call`` or ``abi/call`` -> its arguments."""
    return {call: _signature(text) for call, text in _signature_texts().items()}


def _lines(name: str) -> Iterator[str]:
    with open(f"{_FOLDER}/{name}", encoding="utf-8") as file:
        for line in file:
            if line[0] not in "#\n":
                yield line


def _constant_texts() -> dict[str, str]:
    if not _constants:
        name = ""
        texts: dict[str, str] = {}
        for line in _lines("constants.txt"):
            if line[0] == " ":
                texts[name] += line
            else:
                name, _, texts[name] = line.partition(" ")
        _constants.update(texts)
    return _constants


def _signature_texts() -> dict[str, str]:
    if not _signatures:
        _signatures.update((call, rest) for call, _, rest in (line.strip().partition(" ") for line in _lines(_CALLS)))
    return _signatures


def _constant(name: str, text: str) -> Constants:
    head, _, names = text.partition("\n")
    kind, *bits = head.split()
    entries = []
    mask = 0
    for word in names.split():
        if word[0] == "/":
            mask = int(word[1:] or "0", 0)
        else:
            constant, _, value = word.partition("=")
            entries.append((mask, constant, int(value, 0)))
    return Constants(name=name, kind=kind, bits=int(bits[0]) if bits else 32, entries=tuple(entries))


def _signature(text: str) -> tuple[Parameter, ...]:
    parameters = []
    for argument in text.split():
        name, kind, *length = argument.split(":")
        parameters.append(Parameter(name=name, kind=kind, length=int(length[0]) if length else -1))
    return tuple(parameters)
