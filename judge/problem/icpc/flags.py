"""Arguments of the default output validator (2025-09 and legacy: Default output validator specification)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..fields import Fields, near, number

WORDS = ("case_sensitive", "space_change_sensitive")
TOLERANCES = {
    "float_tolerance": ("float_relative", "float_absolute"),
    "float_relative_tolerance": ("float_relative",),
    "float_absolute_tolerance": ("float_absolute",),
}


def words(fields: Fields, key: str) -> tuple[str, ...]:
    """Flags in one text, separated by spaces; quotes are read as DOMjudge does (problemtools knows none)."""
    text = fields.text(key)
    try:
        return tuple(shlex.split(text))
    except ValueError:
        fields.wrong(key, "a quotation mark or backslash that has no end")
        return ()


def parse(flags: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Options of ``Checker("tokens")``, and what is wrong in words.

    A tolerance that is given twice is an error (2025-09, Comparing floating-point tokens).
    """
    options: dict[str, object] = {}
    wrong: list[str] = []
    words = list(flags)
    while words:
        word = words.pop(0)
        if word in WORDS:
            options[word] = True
        elif word in TOLERANCES:
            value = number(words[0]) if words else None
            if value is None or value < 0:
                got = f", not {words[0][:40]!r}" if words else ""
                wrong.append(f"{word} must be followed by a number that is not negative{got}")
                if words and words[0] not in WORDS and words[0] not in TOLERANCES:
                    words.pop(0)
                continue
            words.pop(0)
            for key in TOLERANCES[word]:
                if key in options:
                    wrong.append(f"{word}: the {key[6:]} tolerance is given twice")
                options[key] = value
        else:
            hint = near(word, [*WORDS, *TOLERANCES])
            wrong.append(f"the default validator knows no {word[:40]!r}" + (f"; {hint}" if hint else ""))
    return options, wrong
