"""The text of a Dockerfile -> stages of instructions, with the line of each; no variable is looked at yet.

Format: the Dockerfile reference of Docker (docs.docker.com/reference/dockerfile), of which this is a subset: what
is not here is refused by name and line, never passed over. An instruction goes on over lines that end in the escape
character; comments and empty lines between them count as nothing ("Format"); here-documents are read with RUN and COPY.
"""

from __future__ import annotations

import json
import re

from ..errors import RequestError
from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1 << 20
MAX_INSTRUCTIONS = 2000

# word -> the flags that it may have
FLAGS: dict[str, tuple[str, ...]] = {
    "FROM": ("platform",), "RUN": (), "COPY": ("from", "chown", "chmod", "link"),
    "ENV": (), "WORKDIR": (), "USER": (), "ENTRYPOINT": (), "CMD": (), "ARG": (), "LABEL": (), "EXPOSE": (),
    "VOLUME": (), "STOPSIGNAL": (), "SHELL": (),
}  # fmt: skip
_REFUSED = {
    "ADD": "nothing is fetched or unpacked on the way here; write COPY, and unpack with RUN tar",
    "ONBUILD": "triggers for images built from this one are not built here",
    "HEALTHCHECK": "nothing here asks a container for its health; leave it out",
    "MAINTAINER": "deprecated; write LABEL org.opencontainers.image.authors=…",
    "INCLUDE": "no such instruction in Docker's own reference",
}
_DIRECTIVE = re.compile(r"#\s*([a-z]+)\s*=\s*(.+?)\s*$", re.IGNORECASE)
_HEREDOC = re.compile(r"<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\2")
_STAGE = re.compile(r"[a-z][a-z0-9_.-]*")


class Heredoc(Record):
    """``<<NAME``: ``expand``: variables in it are replaced (its name was not quoted)."""

    name: str
    content: str
    expand: bool


class Instruction(Record):
    """One instruction. ``text``: what followed its flags, lines joined; ``items``: the words of the exec form (a JSON
    array), None in the shell form."""

    word: str
    line: int
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    items: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def written(self) -> str:
        """The whole of it in one line, for people and for the history of the image."""
        flags = (f"--{name}={value}" if value else f"--{name}" for name, value in self.flags)
        return " ".join((self.word, *flags, self.text))

    def flag(self, name: str) -> str | None:
        """Its value, None without it."""
        return dict(self.flags).get(name)


class Stage(Record):
    """FROM and what follows it. ``base`` as it is written, ``name`` after AS, lower case, or ""."""

    base: str
    name: str
    platform: str
    line: int
    instructions: tuple[Instruction, ...]


class Dockerfile(Record):
    """All of a file. ``arguments``: the ARGs before the first FROM; ``escape``: its escape character."""

    path: str
    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    escape: str = "\\"


def fault(path: str, line: int, value: object, why: str) -> RequestError:
    """What is wrong, with its place."""
    return RequestError(f"{path}:{line}", value, why)


def parse(text: str, path: str = "Dockerfile") -> Dockerfile:
    """Read it. Raises RequestError whose field is PATH:LINE."""
    if len(text.encode("utf-8", "surrogateescape")) > MAX_BYTES:
        raise fault(path, 1, f"{len(text)} characters", f"larger than {MAX_BYTES} bytes")
    arguments: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for number, instruction in enumerate(_instructions(text, path)):
        if number >= MAX_INSTRUCTIONS:
            raise fault(path, instruction.line, instruction.word, f"more than {MAX_INSTRUCTIONS} instructions")
        if instruction.word == "FROM":
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif instruction.word == "ARG":
            arguments.append(instruction)
        else:
            raise fault(path, instruction.line, instruction.word, "only ARG may come before the first FROM")
    if not stages:
        raise fault(path, 1, "", "no FROM: no image to begin with")
    made: list[Stage] = []
    for first, rest in stages:
        made.append(_stage(path, first, rest, {stage.name for stage in made}))
    return Dockerfile(path=path, arguments=tuple(arguments), stages=tuple(made),
                      escape=_directives(text.split("\n"), path)[0])  # fmt: skip


def _stage(path: str, first: Instruction, rest: list[Instruction], taken: set[str]) -> Stage:
    words = first.text.split()
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise fault(path, first.line, first.text, "expected FROM IMAGE or FROM IMAGE AS NAME")
    name = words[2].lower() if len(words) == 3 else ""
    if name and not _STAGE.fullmatch(name):
        raise fault(path, first.line, name, "a stage's name is a letter, then letters, digits, '_', '.' or '-'")
    if name in taken - {""}:
        raise fault(path, first.line, name, "two stages have this name")
    return Stage(base=words[0], name=name, platform=first.flag("platform") or "", line=first.line,
                 instructions=tuple(rest))  # fmt: skip


def _directives(lines: list[str], path: str) -> tuple[str, int]:
    """(the escape character, how many lines at the top are directives)."""
    escape = "\\"
    for number, line in enumerate(lines):
        found = _DIRECTIVE.fullmatch(line.strip())
        if not found:
            return escape, number
        if found[1].lower() == "escape":
            if found[2] not in ("\\", "`"):
                raise fault(path, number + 1, found[2], "the escape character is \\ or `")
            escape = found[2]
        elif found[1].lower() not in ("syntax", "check"):
            return escape, number  # a comment
    return escape, len(lines)


def _instructions(text: str, path: str) -> Iterator[Instruction]:
    lines = text.removeprefix("﻿").split("\n")
    escape, at = _directives(lines, path)
    while at < len(lines):
        if not lines[at].strip() or lines[at].lstrip().startswith("#"):
            at += 1
            continue
        first, joined = at + 1, ""
        while at < len(lines):
            line = lines[at].rstrip("\r")
            at += 1
            if joined and (not line.strip() or line.lstrip().startswith("#")):
                continue
            stripped = line.rstrip()
            if stripped.endswith(escape):
                joined += stripped[:-1] if joined else stripped[:-1].lstrip()
                if at == len(lines):
                    break
                continue
            joined += line if joined else line.lstrip()
            break
        heredocs, at = _heredocs(joined, lines, at, path, first)
        yield _instruction(joined.strip(), first, heredocs, path)


def _heredocs(joined: str, lines: list[str], at: int, path: str, first: int) -> tuple[tuple[Heredoc, ...], int]:
    word = joined.split(None, 1)[0].upper() if joined.split() else ""
    found = []
    for tabs, quote, name in _HEREDOC.findall(joined) if word in ("RUN", "COPY") else ():
        content = []
        while True:
            if at >= len(lines):
                raise fault(path, first, f"<<{name}", "the end of this here-document is missing")
            line = lines[at].rstrip("\r")
            at += 1
            if tabs:
                line = line.lstrip("\t")
            if line == name:
                break
            content.append(f"{line}\n")
        found.append(Heredoc(name=name, content="".join(content), expand=not quote))
    return tuple(found), at


def _instruction(text: str, line: int, heredocs: tuple[Heredoc, ...], path: str) -> Instruction:
    word, _, rest = text.partition(" ") if " " in text else (*text.partition("\t")[:2], text.partition("\t")[2])
    word, rest = word.strip().upper(), rest.strip()
    if word in _REFUSED:
        raise fault(path, line, word, _REFUSED[word])
    if word not in FLAGS:
        raise fault(path, line, word[:40], f"no such instruction; there are {', '.join(FLAGS)}")
    flags, rest = _flags(word, rest, line, path)
    if not rest:
        raise fault(path, line, word, "nothing follows it")
    items = _exec_form(rest) if word not in ("FROM", "ARG", "ENV", "LABEL") and not heredocs else None
    if word == "SHELL" and not items:
        raise fault(path, line, rest, 'expected a JSON array: SHELL ["/bin/bash", "-c"]')
    return Instruction(word=word, line=line, text=rest, flags=flags, items=items, heredocs=heredocs)


def _flags(word: str, rest: str, line: int, path: str) -> tuple[tuple[tuple[str, str], ...], str]:
    flags: list[tuple[str, str]] = []
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        rest = rest.lstrip()
        name, equals, value = flag[2:].partition("=")
        if name not in FLAGS[word]:
            known = ", ".join(f"--{n}" for n in FLAGS[word]) or "none"
            raise fault(path, line, flag, f"{word} has no such flag here; there are: {known}")
        if not equals and name != "link":
            raise fault(path, line, flag, f"expected --{name}=VALUE")
        flags.append((name, value))
    return tuple(flags), rest


def _exec_form(text: str) -> tuple[str, ...] | None:
    """The words of a JSON array; what is none is the shell form, as for Docker."""
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return None
    return tuple(items)
