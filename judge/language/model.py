"""One language, as its block in languages.toml says it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Prepare:
    """What is made once for each version of a language's tools, and shown to its compiler in {prepared}."""

    command: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Language:
    """A block of languages.toml, whose head says what each field means."""

    id: str
    name: str
    run: tuple[str, ...]
    version: tuple[str, ...]
    tools: Mapping[str, tuple[str, ...]]
    extensions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    marks: str = ""
    priority: int = 0
    packages: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    see: tuple[str, ...] = ()
    prepare: Prepare | None = None
    compile: tuple[str, ...] = ()
    hello: Mapping[str, str] = field(default_factory=dict)
    in_place: bool = False
    each: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    run_env: Mapping[str, str] = field(default_factory=dict)
    entry: str = ""
    policy: str = "judge"
    compile_policy: str = "compiler"
    pids: int = 64
    extra_mib: int = 0
    stack: str = "unlimited"
    time_factor: float = 1.0

    @property
    def digest(self) -> str:
        """Of the whole block: a change of any field makes another program."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def takes(self, name: str) -> bool:
        """Is a file of this name one of its sources, once the language is known?"""
        return name.endswith((*self.extensions, *self.also)) and not name.startswith(".")


ENTRIES = ("", "file", "java", "kotlin", "scala")
