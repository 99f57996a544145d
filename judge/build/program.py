"""Programs of a package: validators, checkers, interactors, graders.

Problem package format 2025-09, "Other programs": a directory may have a ``build`` script, which is run in a copy of
it, and a ``run`` script or executable, which is the program. The legacy format knows the same two. Anything else is
compiled as a submission would be.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path

from sandbox import HostError, Sandbox

from ..errors import JudgeError
from ..language import Languages
from ..problem.model import Limits
from ..program import PLACE, Program
from .cache import Cache, Entry
from .compile import VERSION, build, compile_into, write_files
from .inside import WORK, Order
from .sources import PACKAGE_BYTES, Sources, read_files

_POLICY = "compiler"  # a build script is a shell with a compiler


def program(
    path: Path,
    role: str,
    *,
    languages: Languages,
    limits: Limits,
    cache: Cache,
    box: Sandbox | None = None,
    language: str | None = None,
    include: Mapping[str, Path] | None = None,
    root: Path | None = None,
) -> Program:
    """A program of the package, compiled. ``role``: "output validator", for messages.

    include: name -> file that is laid beside its sources (testlib.h). root: of the package, below which links may lead.
    Raises JudgeError if it does not compile, saying what the compiler said; LanguageError, SubmissionError as
    ``sources.read`` does; HostError for the host's own faults.
    """
    if box is None:
        with Sandbox() as own:
            return program(path, role, languages=languages, limits=limits, cache=cache, box=own, language=language,
                           include=include, root=root)  # fmt: skip
    own_root = root or path.parent
    files = read_files(path, limit_bytes=PACKAGE_BYTES, root=own_root)
    for name, source in (include or {}).items():
        files.setdefault(name, next(iter(read_files(source, limit_bytes=PACKAGE_BYTES, root=own_root).values())))
    if path.is_dir() and ({"build", "run"} & files.keys()):
        return _scripted(path, role, files, limits, cache, box)
    sources = {name: data for name, data in files.items() if not include or name not in include}
    found = languages.get(language) if language else languages.detect(sources or files)
    built = build(
        Sources(files, found, path.name, included=frozenset(include or ())), languages=languages, limits=limits,
        cache=cache, box=box,
    )  # fmt: skip
    if built.facts.fault:
        raise HostError(f"{role} {path.name}: {built.facts.fault}", "")
    if built.program is None:
        raise JudgeError(f"{role} {path.name} does not compile: {built.facts.message}")
    return built.program


def _scripted(path: Path, role: str, files: Mapping[str, bytes], limits: Limits, cache: Cache, box: Sandbox) -> Program:
    marks = {name: _executable(path / name) for name in files}
    contents = sorted((name, marks[name], hashlib.sha256(data).hexdigest()) for name, data in files.items())
    key = hashlib.sha256(json.dumps(["scripted", VERSION, contents]).encode()).hexdigest()
    entry = cache.get(key)
    if entry is None:
        with cache.building(key):
            entry = cache.get(key) or _run_build(path, role, files, marks, limits, cache, box, key)
    return Program(path.name, "script", (f"{PLACE}/run",), str(entry.files), key, policy="judge", pids=128)


def _run_build(
    path: Path, role: str, files: Mapping[str, bytes], marks: Mapping[str, bool], limits: Limits, cache: Cache,
    box: Sandbox, key: str,
) -> Entry:  # fmt: skip
    if "build" in files and not marks["build"]:
        raise JudgeError(f"{role} {path.name}: its build script is not executable")
    with cache.scratch() as scratch:
        sources = scratch / "sources"
        write_files(sources, files)
        for name, executable in marks.items():
            (sources / name).chmod(0o755 if executable else 0o644)
        made = scratch / "files"
        order = Order(
            sources=sources, commands=[["./build"]] if "build" in files else [], time_ns=limits.compile_time_ns,
            memory_bytes=limits.compile_memory_bytes, env={}, policy=_POLICY, packed=WORK,
        )  # fmt: skip
        facts = compile_into(box, order, scratch, made, "")
        if not facts.ok:
            raise JudgeError(f"{role} {path.name} does not build: {facts.message}")
        if not (made / "run").is_file() or not _executable(made / "run"):
            raise JudgeError(f"{role} {path.name} has no executable called run after its build script")
        return cache.put(key, made, {})


def _executable(path: Path) -> bool:
    return path.is_file() and bool(path.stat().st_mode & stat.S_IXUSR)
