"""Options of the built-in checkers: from the package's metadata and from validator flags, which win."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class OptionError(ValueError):
    """A checker was asked for something that it does not know: the package's fault."""


@dataclass(frozen=True)
class Tokens:
    """Of the kind "tokens". Tolerances are None if none is set: then a number is text.

    line_sensitive: the gap between two tokens must hold a line end in both or in neither. presentation: an output
    that is right but for its white space is a presentation error, else wrong.
    """

    case_sensitive: bool = False
    space_change_sensitive: bool = False
    line_sensitive: bool = False
    float_absolute: float | None = None
    float_relative: float | None = None
    presentation: bool = False


@dataclass(frozen=True)
class Exact:
    """Of the kind "exact". ignore_trailing_space: at the end of lines and of the file, empty lines there included."""

    ignore_trailing_space: bool = False
    presentation: bool = False


@dataclass(frozen=True)
class Lines:
    """Of the kind "lines". split_on: what may come in any order: "lines", "whitespace" (tokens), "characters" (without
    case). partial: in order, and each line that is right gives its share, all the same or after ``distribution``.
    filler_lines_required: with distribution, an output with another number of lines is wrong.
    """

    split_on: str = "lines"
    partial: bool = False
    distribution: tuple[float, ...] | None = None
    filler_lines_required: bool = True


def tokens(options: Mapping[str, object], flags: Sequence[str]) -> Tokens:
    """Flags as in the problem package format (Default output validator specification). Raises OptionError."""
    values: dict[str, Any] = _values(options, Tokens)
    words = [word for flag in flags for word in flag.split()]
    seen: set[str] = set()
    while words:
        word = words.pop(0)
        if word in ("case_sensitive", "space_change_sensitive"):
            values[word] = True
        elif word in FLOATS:
            if not words:
                raise OptionError(f"{word} needs a number")
            if seen & (set(FLOATS) if word == "float_tolerance" else {word, "float_tolerance"}):
                raise OptionError(f"{word} and another tolerance for the same")
            seen.add(word)
            values |= dict.fromkeys(FLOATS[word], _tolerance(word, words.pop(0)))
        else:
            raise OptionError(f"the default validator has no flag {word!r}")
    return Tokens(**values)


FLOATS = {
    "float_absolute_tolerance": ("float_absolute",),
    "float_relative_tolerance": ("float_relative",),
    "float_tolerance": ("float_absolute", "float_relative"),
}


def exact(options: Mapping[str, object], flags: Sequence[str]) -> Exact:
    _no_flags("exact", flags)
    return Exact(**_values(options, Exact))


def lines(options: Mapping[str, object], flags: Sequence[str]) -> Lines:
    _no_flags("lines", flags)
    found = Lines(**_values(options, Lines))
    if found.split_on not in ("lines", "whitespace", "characters"):
        raise OptionError(f"split_on: {found.split_on!r} is neither lines nor whitespace nor characters")
    if found.distribution is not None and (not found.distribution or sum(found.distribution) <= 0):
        raise OptionError("distribution: the sum must be more than 0")
    return found


def _no_flags(kind: str, flags: Sequence[str]) -> None:
    if flags:
        raise OptionError(f"the checker {kind} takes no flags, got {' '.join(flags)!r}")


def _values(options: Mapping[str, object], kind: type) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in options.items():
        annotation = kind.__annotations__.get(name)
        if annotation is None:
            raise OptionError(f"no option {name!r}")
        values[name] = READERS[annotation](name, value)
    return values


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise OptionError(f"{name}: {value!r} is neither true nor false")
    return value


def _tolerance(name: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise OptionError(f"{name}: {value!r} is no number") from None
    if not math.isfinite(number) or number < 0 or isinstance(value, bool):
        raise OptionError(f"{name}: {value!r} is no tolerance: a number from 0 up")
    return number


def _word(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise OptionError(f"{name}: {value!r} is no text")
    return value


def _numbers(name: str, value: object) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise OptionError(f"{name}: {value!r} is no list")
    return tuple(_tolerance(name, item) for item in value)


READERS: dict[str, Callable[[str, object], Any]] = {
    "bool": _boolean,
    "float | None": lambda name, value: None if value is None else _tolerance(name, value),
    "str": _word,
    "tuple[float, ...] | None": _numbers,
}
