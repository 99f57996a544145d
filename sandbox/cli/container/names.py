"""Commands that take names of containers: one after another, a failure of one is no reason to leave the others out."""

from __future__ import annotations

import sys

from ...errors import RequestError, SandboxError
from ..flags import FLAGS, mixed
from ..main import EXIT_FAULT, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ...containers import Container


def parse(command: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Values of flags, and the other words. Raises RequestError."""
    flags = {option.short for option in FLAGS[command] if option.kind == "flag" and option.short}
    apart: list[str] = []
    for n, word in enumerate(words):
        if word == "--":
            apart += words[n:]
            break
        bundle = word[1:] if word[:1] == "-" and len(word) > 2 and set(word[1:]) <= flags else ""  # ps -aq
        apart += [f"-{letter}" for letter in bundle] if bundle else [word]
    return mixed(command, FLAGS[command], apart, command)


def some(command: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """As ``parse``; at least one container must be named."""
    values, names = parse(command, words)
    if not names:
        raise RequestError(command, "", f"name at least one container; see pysandbox help {command}")
    return values, names


def one(command: str, words: Sequence[str]) -> tuple[dict[str, Any], Container]:
    """As ``parse``, with exactly one container."""
    values, names = parse(command, words)
    if len(names) != 1:
        raise RequestError(command, " ".join(names)[:80], f"name one container; see pysandbox help {command}")
    return values, find(names[0])


def find(word: str) -> Container:
    """By name, id or the beginning of an id. Raises RequestError."""
    from ...containers import find as look_up

    return look_up(word)


def each(names: Sequence[str], act: Callable[[Container], object], *, show: bool = False) -> int:
    """``act`` on every one and print its name, or what ``act`` returns with ``show``; 125 if one of them failed."""
    status = 0
    for name in names:
        try:
            found = act(find(name))
            print(found if show else name)
            sys.stdout.flush()
        except SandboxError as error:
            tell(f"{name}: {error}")
            status = EXIT_FAULT
    return status
