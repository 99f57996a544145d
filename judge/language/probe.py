"""What this host has of a language: its tools, as a sandbox sees them, and their version.

A tool counts only if a sandbox can see it: below /usr and its companions, links followed. A compiler in somebody's
home is not there. The version comes from the tool itself, run in a sandbox, and is remembered for as long as the file
stays what it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass

from sandbox import Sandbox

from .model import Language
from .words import fill

SEARCH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
# What every sandbox shows of the host (docs/cli.md), and of /etc.
_SHOWN = ("/usr/", "/bin/", "/sbin/", "/lib", "/nix/store/", "/gnu/store/")

# The JVM-based ones take 2 s on an idle machine.
_PROBE = {"time": 30, "wall": 60, "mem": "2G", "pids": 256, "policy": "compiler", "stack": "unlimited", "output": "1M"}
_ENV = {"HOME": "/tmp", "TMPDIR": "/tmp"}


@dataclass(frozen=True)
class Found:
    """version: what the tool says of itself; program: the first tool; tools: name -> path. identity: changes with the
    files of the tools."""

    version: str
    program: str
    tools: Mapping[str, str]
    identity: str


@dataclass(frozen=True)
class Missing:
    """what: the tool that is not there (or does not work); package: Debian's, several with spaces, "" for none."""

    what: str
    package: str

    @property
    def fix(self) -> str:
        return f"apt-get install {self.package}" if self.package else "Debian has no package of it"


@dataclass(frozen=True)
class Row:
    """One line of ``pysandbox judge languages``. status: "ready" or "missing"; fix: how to install it."""

    id: str
    name: str
    status: str
    version: str = ""
    missing: str = ""
    fix: str = ""


_remembered: dict[str, str] = {}


def probe(language: Language, box: Sandbox, versions: MutableMapping[str, str] | None = None) -> Found | Missing:
    """Does this host have it? ``versions`` outlives the process (``build.Cache.versions``); without it they are
    remembered in this one. Raises SandboxError where no sandbox can be made."""
    package = " ".join(language.packages)
    tools: dict[str, str] = {}
    for name, candidates in language.tools.items():
        path = next((found for candidate in candidates if (found := _find(candidate))), None)
        if path is None:
            return Missing(candidates[0] if candidates else name, package)
        tools[name] = path
    identity = _identity(tools)
    key = hashlib.sha256(json.dumps([language.version, tools, identity]).encode()).hexdigest()
    known = _remembered if versions is None else versions
    version = known.get(key)
    if version is None:
        result = box.run(fill(language.version, tools), env=_ENV, volumes=shown(language.see), **_PROBE)
        lines = (result.stdout + b"\n" + result.stderr).decode("utf-8", "replace").splitlines()
        said = [line.strip() for line in lines if any(c.isdigit() for c in line) and "warning:" not in line]
        if not result.ok or not said:
            why = said[0] if said else (result.error or result.outcome)
            return Missing(f"{next(iter(tools.values()))} does not work: {why}"[:200], package)
        version = known[key] = said[0][:200]
    return Found(version, next(iter(tools.values())), tools, identity)


def report(languages: Iterable[Language], box: Sandbox, versions: MutableMapping[str, str] | None = None) -> list[Row]:
    """A row for each language, in the given order."""
    rows = []
    for language in languages:
        found = probe(language, box, versions)
        if isinstance(found, Found):
            rows.append(Row(language.id, language.name, "ready", found.version))
        else:
            rows.append(Row(language.id, language.name, "missing", missing=found.what, fix=found.fix))
    return rows


def shown(paths: Iterable[str]) -> list[str]:
    """Volumes for what a language wants to see of the system: what is there, by its true path, read-only."""
    return [f"{os.path.realpath(path)}:{path}:ro" for path in paths if os.path.exists(path)]


def _find(candidate: str) -> str | None:
    """Absolute path of a tool that a sandbox can see, or None."""
    if "/" in candidate:
        return candidate if _is_shown(candidate) and os.path.exists(candidate) else None
    for directory in SEARCH:
        path = f"{directory}/{candidate}"
        if os.access(path, os.X_OK) and os.path.isfile(path) and _is_shown(path):
            return path
    return None


def _is_shown(path: str) -> bool:
    return path.startswith(_SHOWN) and os.path.realpath(path).startswith(_SHOWN)


def _identity(tools: Mapping[str, str]) -> str:
    facts = []
    for name, path in sorted(tools.items()):
        stat = os.stat(path)
        facts.append([name, path, os.path.realpath(path), stat.st_ino, stat.st_mtime_ns, stat.st_size])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
