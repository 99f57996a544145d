"""Numbers of conditions in names that the language has (``AF_VSOCK`` for 40), for whoever reads the file."""

from __future__ import annotations

from .constants import CONSTANTS


def named(call: str, index: int, value: int) -> str:
    """A number for argument ``index`` of a call, in names joined by ``|`` if all of it has names, else ""."""
    from ..syscalls.vocabulary import constants, signature

    parameters = signature("", call) or ()
    if index >= len(parameters):
        return ""
    known = constants("", parameters[index].kind)
    words = known.words(value).split("|") if known is not None else []
    if not words or any(word not in CONSTANTS for word in words):
        return ""
    total = 0
    for word in words:
        total |= CONSTANTS[word]
    return "|".join(words) if total == value else ""
