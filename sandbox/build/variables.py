"""Variables and quotes in a Dockerfile ("Environment replacement" of its reference)."""

from __future__ import annotations

import re

from ..errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_DEPTH = 20


def expand(text: str, values: Mapping[str, str], escape: str = "\\", depth: int = 0) -> str:
    """``$name``, ``${name}``, ``${name:-word}``, ``${name-word}``, ``${name:+word}`` and ``${name+word}`` replaced; in
    single quotes nothing is. Quotes and escapes stay, but for an escaped dollar. Raises RequestError for another
    form."""
    if depth > MAX_DEPTH:
        raise RequestError("variable", text, f"nested deeper than {MAX_DEPTH}")
    out, at, quoted = [], 0, False
    while at < len(text):
        char = text[at]
        if char == "'" and (quoted or "'" in text[at + 1 :]):
            quoted = not quoted
        elif char == escape and at + 1 < len(text) and not quoted:
            follows = text[at + 1]
            out.append(follows if follows == "$" else char + follows)
            at += 2
            continue
        elif char == "$" and not quoted:
            found, at = _variable(text, at + 1, values, escape, depth)
            out.append(found)
            continue
        out.append(char)
        at += 1
    return "".join(out)


def _variable(text: str, at: int, values: Mapping[str, str], escape: str, depth: int) -> tuple[str, int]:
    if text[at : at + 1] != "{":
        name = _NAME.match(text, at)
        return (values.get(name[0], ""), name.end()) if name else ("$", at)
    end, level = at + 1, 1
    while end < len(text) and level:
        level += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    inner = text[at + 1 : end - 1]
    name = _NAME.match(inner)
    if level or not name:
        raise RequestError("variable", text[at - 1 : end], "expected ${NAME}, ${NAME:-word} or ${NAME:+word}")
    operator, word, value = inner[name.end() :][:2], inner[name.end() :], values.get(name[0])
    if not word:
        return value or "", end
    colon = operator.startswith(":")
    kind = operator[1:2] if colon else operator[:1]
    word = word[2 if colon else 1 :]
    there = bool(value) if colon else value is not None
    if kind == "-":
        return (value or "") if there else expand(word, values, escape, depth + 1), end
    if kind == "+":
        return expand(word, values, escape, depth + 1) if there else "", end
    raise RequestError("variable", text[at - 1 : end], "of the operators only :-, -, :+ and + are known")


def words(text: str, escape: str = "\\") -> tuple[str, ...]:
    """Split at blanks that are neither quoted nor escaped, quotes taken off. Raises RequestError for an open quote."""
    found: list[str] = []
    word: list[str] | None = None
    quote, at = "", 0
    while at < len(text):
        char = text[at]
        if char == escape and quote != "'" and at + 1 < len(text):
            follows = text[at + 1]
            # in double quotes a backslash before another character is itself, as in a shell
            kept = char + follows if quote and follows not in f'"$`{escape}' else follows
            word = [*(word or []), kept]
            at += 2
            continue
        if quote and char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote, word = char, word if word is not None else []
        elif not quote and char in " \t":
            if word is not None:
                found.append("".join(word))
            word = None
        else:
            word = [*(word or []), char]
        at += 1
    if quote:
        raise RequestError("quote", text, f"the quote {quote} is not closed")
    if word is not None:
        found.append("".join(word))
    return tuple(found)


def pairs(text: str, values: Mapping[str, str], escape: str = "\\") -> tuple[tuple[str, str], ...]:
    """ENV's and LABEL's ``NAME=VALUE ...``, or ``NAME VALUE`` to the end of the line. Raises RequestError."""
    expanded = expand(text, values, escape)
    first = text.split(None, 1)[0]
    if "=" not in first:
        name, _, value = expanded.partition(" ")
        if not value.strip():
            raise RequestError("variable", text, "expected NAME=VALUE")
        return ((name, value.strip()),)
    found = []
    for word in words(expanded, escape):
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise RequestError("variable", word, "expected NAME=VALUE")
        found.append((name, value))
    return tuple(found)
