"""Commands of languages.toml with their {names} filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_NAME = re.compile(r"\{([a-z0-9_]+)\}")


def fill(
    words: Iterable[str], values: Mapping[str, str], lists: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """A word that is one name of ``lists`` becomes as many words. Names that are not known stay as they are: those of
    the memory limit are filled in at each run (``Program.command``)."""
    filled: list[str] = []
    for word in words:
        name = _NAME.fullmatch(word)
        if lists and name and name[1] in lists:
            filled += lists[name[1]]
        else:
            filled.append(text(word, values))
    return filled


def text(word: str, values: Mapping[str, str]) -> str:
    return _NAME.sub(lambda name: values.get(name[1], name[0]), word)
