"""The feedback directory of one test: what a validator left there, read as something that a stranger wrote.

Problem package format 2025-09, "Reporting additional feedback"; legacy, "Output Validators". The directory stays the
same over all passes; only nextpass.in is removed before the next.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from .. import safe
from .visible import lines

NEXT = "nextpass.in"
SCORE, MULTIPLIER = "score.txt", "score_multiplier.txt"
MESSAGE_BYTES = 4096
NUMBER_BYTES = 1024
# The format's own grammar of a number (General requirements): no inf, no nan, nothing in hexadecimal.
NUMBER = re.compile(r"[+-]?([0-9]*\.[0-9]+|[0-9]+\.|[0-9]+)([Ee][+-]?[0-9]+)?", re.ASCII)


class Broken(Exception):
    """A validator did not keep to the format. The text says how."""


@dataclass(frozen=True)
class Left:
    """score, multiplier: as written, None if there was no file. where: from diffposition.txt."""

    score: float | None = None
    multiplier: float | None = None
    message: str = ""
    team_message: str = ""
    where: str = ""
    next_pass: bool = False


def prepare(path: Path) -> None:
    """Make the directory if there is none, and remove the input of a next pass that has begun."""
    path.mkdir(mode=0o700, exist_ok=True)
    with safe.directory(path) as root:
        if os.geteuid() == 0:
            # Programs that root starts run as somebody else. What lies above keeps strangers out.
            os.fchmod(root, 0o777)
        safe.remove_beneath(root, NEXT)


def clear_next(path: Path) -> None:
    """An fd of it that is open stays good."""
    with safe.directory(path) as root:
        safe.remove_beneath(root, NEXT)


def open_next(path: Path, *, limit_bytes: int) -> int:
    """nextpass.in, as an fd at position 0 that the caller closes. Raises UnsafeFile (no regular file, a link, longer
    than ``limit_bytes``) or FileNotFoundError."""
    with safe.directory(path) as root:
        fd = safe.open_beneath(root, NEXT)
    size = os.fstat(fd).st_size
    if size > limit_bytes:
        os.close(fd)
        raise safe.UnsafeFile(NEXT, f"{size} bytes, more than {limit_bytes}")
    return fd


def read(path: Path) -> Left:
    """Everything that the format gives a meaning. Raises Broken for what it forbids and for what is not safe to read.

    judgeerror.txt, of older validators, is joined to the message for the jury.
    """
    try:
        with safe.directory(path) as root:
            score, multiplier = _number(root, SCORE), _number(root, MULTIPLIER)
            if score is not None and multiplier is not None:
                raise Broken(f"both {SCORE} and {MULTIPLIER}")
            if multiplier is not None and not 0 <= multiplier <= 1:
                raise Broken(f"{MULTIPLIER} is {multiplier:g}, not from 0 to 1")
            told = [text for name in ("judgemessage.txt", "judgeerror.txt") if (text := _text(root, name))]
            return Left(score, multiplier, "\n".join(told), _text(root, "teammessage.txt"),
                        _position(root), safe.exists(root, NEXT))  # fmt: skip
    except (safe.UnsafeFile, OSError) as error:
        raise Broken(str(error)) from error


def _text(root: int, name: str) -> str:
    try:
        content, more = safe.start_of(root, name, MESSAGE_BYTES)
    except FileNotFoundError:
        return ""
    return lines(content + b"..." * more, MESSAGE_BYTES + 3)


def _number(root: int, name: str) -> float | None:
    try:
        text = safe.read_beneath(root, name, NUMBER_BYTES).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise Broken(f"{name} holds no number: {lines(text.encode(), 60)!r}")
    return float(text)


def _position(root: int) -> str:
    """diffposition.txt of problemtools' default validator: bytes before the difference, in the answer and in the
    output."""
    try:
        words = safe.start_of(root, "diffposition.txt", NUMBER_BYTES)[0].split()
    except FileNotFoundError:
        return ""
    good = len(words) == 2 and all(word.isdigit() and len(word) < 20 for word in words)
    return f"byte {int(words[1]) + 1} of the output" if good else ""
