"""The two data files of decoding: signatures.txt (what arguments a call has) and constants.txt (their names)."""

from __future__ import annotations

from posixpath import dirname

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = dirname(__file__)
ENUM, FLAGS = "enum", "flags"


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


_constants: dict[str, Constants] = {}
_signatures: dict[str, tuple[Parameter, ...]] = {}


def constants(abi: str, name: str) -> Constants | None:
    """The set of that name, as the ABI has it; None if there is none."""
    if not _constants:
        _constants.update((each.name, each) for each in _read_constants())
    return _constants.get(f"{abi}/{name}") or _constants.get(name)


def signature(abi: str, call: str) -> tuple[Parameter, ...] | None:
    """The arguments of a call, as the ABI has them; None if nothing is known."""
    if not _signatures:
        _signatures.update(_read_signatures())
    return _signatures[f"{abi}/{call}"] if f"{abi}/{call}" in _signatures else _signatures.get(call)


def every_set() -> tuple[Constants, ...]:
    """All of constants.txt."""
    constants("", "")
    return tuple(_constants.values())


def every_signature() -> dict[str, tuple[Parameter, ...]]:
    """All of signatures.txt: ``call`` or ``abi/call`` -> its arguments."""
    signature("", "")
    return dict(_signatures)


def _lines(name: str) -> Iterator[str]:
    with open(f"{_FOLDER}/{name}", encoding="utf-8") as file:
        for line in file:
            if line[0] not in "#\n":
                yield line


def _read_constants() -> Iterator[Constants]:
    head: list[str] = []
    entries: list[tuple[int, str, int]] = []
    mask = 0
    for line in [*_lines("constants.txt"), "end"]:
        words = line.split()
        if line[0] != " ":
            if head:
                bits = int(head[2]) if len(head) > 2 else 32
                yield Constants(name=head[0], kind=head[1], bits=bits, entries=tuple(entries))
            head, entries, mask = words, [], 0
            continue
        for word in words:
            if word[0] == "/":
                mask = int(word[1:] or "0", 0)
            else:
                name, _, value = word.partition("=")
                entries.append((mask, name, int(value, 0)))


def _read_signatures() -> Iterator[tuple[str, tuple[Parameter, ...]]]:
    for line in _lines("signatures.txt"):
        call, *arguments = line.split()
        parameters = []
        for argument in arguments:
            name, kind, *length = argument.split(":")
            parameters.append(Parameter(name=name, kind=kind, length=int(length[0]) if length else -1))
        yield call, tuple(parameters)

