"""build(sources) -> Built: a program, or why there is none.

What the sources do to their compiler is a compile error: a limit that it ran into, a signal, its own complaint. What
the host lacks or what goes wrong out here is ``CompileFacts.fault``, and never blamed on the sources; so is a compiler
that cannot compile the language's own ``hello`` either, which is tried when a first submission fails. Only successes
are kept in the cache: a compiler that a busy or half-installed host let down once must not be remembered as a
submission's mistake (DOMjudge/domjudge#3656).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox import HostError, Sandbox, SandboxError

from ..errors import JudgeError
from ..facts import RunFacts
from ..language import Found, Language, Languages, probe
from ..language.entry import main_class, main_file, renamed
from ..language.words import fill, text
from ..problem.model import Limits
from ..program import PLACE, MemoryModel, Program
from ..result import CompileFacts
from . import ustar
from .cache import Cache, Entry
from .inside import BUILD, OUTPUT_BYTES, PREPARED, Order, compile_in
from .sources import Sources

# A change of this module that makes other programs of the same sources counts this up.
VERSION = 1
PREPARE_TIME_NS = 300_000_000_000
PREPARE_BYTES = 4 << 30

# Beside the sources at PLACE. Submissions cannot have names that begin with a dot.
_BUILT = f"{PLACE}/.build"
_KIT = f"{PLACE}/.kit"
_OUTPUT = "program"


@dataclass(frozen=True)
class Built:
    """program: None if it does not compile, or could not be tried: facts.fault."""

    program: Program | None
    facts: CompileFacts


def build(
    sources: Sources, *, languages: Languages, limits: Limits, cache: Cache, box: Sandbox | None = None
) -> Built:
    """Compile, or find it in the cache. The program's directory is there until ``cache`` is closed.

    Raises SubmissionError (an entry point that it does not have); faults of the host are in the result.
    """
    if box is None:
        with Sandbox() as own:
            return build(sources, languages=languages, limits=limits, cache=cache, box=own)
    language = sources.language
    try:
        found = probe(language, box, cache.versions)
        if not isinstance(found, Found):
            fault = f"language {language.id!r}: this host has no {found.what}; {found.fix}"
            return Built(None, CompileFacts(False, fault=fault))
        job = _Job(sources, found, limits, cache, box)
        return job.build()
    except JudgeError:  # the submission's own mistake
        raise
    except (SandboxError, OSError) as error:
        return Built(None, CompileFacts(False, fault=_fault(error)))


class _Job:
    def __init__(self, sources: Sources, found: Found, limits: Limits, cache: Cache, box: Sandbox) -> None:
        self.language = language = sources.language
        self.found, self.limits, self.cache, self.box = found, limits, cache, box
        self.name = sources.name
        own = {name: data for name, data in sources.files.items() if name not in sources.included}
        included = {name: data for name, data in sources.files.items() if name in sources.included}
        self.files = {**renamed(language, own), **included}
        takes = [name for name in self.files if language.takes(name.rpartition("/")[2])]
        self.sources = sorted(takes) or sorted(self.files)
        # The submission's come before the package's: a grader with a main of its own is found by its name.
        mine = [name for name in self.sources if name in own or name not in included] or self.sources
        self.main = self._main(mine, sources.entrypoint)
        self.main_class = ""
        if language.entry in ("java", "kotlin", "scala"):
            texts = {name: self.files[name] for name in self.sources}
            self.main_class = main_class(language, texts, sources.entrypoint)
        self.key = self._key()

    def build(self) -> Built:
        entry = self.cache.get(self.key)
        if entry is None:
            prepared = self._prepared()
            with self.cache.building(self.key):
                entry = self.cache.get(self.key)
                if entry is None:
                    return self._compile(prepared)
        facts = CompileFacts.from_json(entry.meta)
        return Built(self._program(entry), dataclasses.replace(facts, cached=True))

    def _main(self, names: Sequence[str], entrypoint: str | None) -> str:
        if self.language.entry != "file":
            entrypoint = None
        return main_file(list(names), entrypoint, self.name)

    def _key(self) -> str:
        parts: list[Any] = [
            VERSION, self.language.digest, self.found.version, sorted(self.found.tools.items()), self.main,
            self.main_class, self.sources,
            sorted((name, hashlib.sha256(data).hexdigest()) for name, data in self.files.items()),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _values(self, build: str) -> dict[str, str]:
        mib = self.limits.compile_memory_bytes >> 20
        running = build != BUILD
        main = f"{PLACE}/{self.main}" if running else self.main
        return {
            **self.found.tools, "build": build, "output": f"{build}/{_OUTPUT}", "kit": _KIT, "prepared": PREPARED,
            "main": main, "main_class": self.main_class, "main_stem": self.main.rpartition(".")[0],
            "compile_mib": str(mib), "heap_mib": str(max(16, mib * 3 // 4)),
        }  # fmt: skip

    def _commands(self) -> list[list[str]]:
        language, values = self.language, self._values(BUILD)
        if not language.compile:
            return []
        if language.each:
            return [fill(language.compile, {**values, "source": name}) for name in self.sources]
        return [fill(language.compile, values, {"sources": self.sources})]

    def _compile(self, prepared: Path | None) -> Built:
        language = self.language
        with self.cache.scratch() as scratch:
            files = scratch / "files"
            write_files(files, self.files, _kit(language))
            order = Order(
                sources=files, commands=self._commands(), time_ns=self.limits.compile_time_ns,
                memory_bytes=self.limits.compile_memory_bytes, policy=language.compile_policy,
                env=_environment(language.env, self._values(BUILD)), in_place=language.in_place, see=language.see,
                prepared=prepared,
            )  # fmt: skip
            facts = compile_into(self.box, order, scratch, files / ".build", self.found.version)
            if not facts.ok:
                broken = self._broken(prepared) if facts.run and facts.run.outcome == "exited" else ""
                return Built(None, dataclasses.replace(facts, message="", fault=broken) if broken else facts)
            if self.language.hello and self._works_key() not in self.cache.versions:
                self.cache.versions[self._works_key()] = "yes"
            return Built(self._program(self.cache.put(self.key, files, facts.to_json())), facts)

    def _broken(self, prepared: Path | None) -> str:
        """Is it the compiler that fails, whatever it is given (a library that is not installed, say)? Then why."""
        hello, versions = self.language.hello, self.cache.versions
        own = {name: data.encode() for name, data in hello.items()}
        if not own or own == self.files or self._works_key() in versions:
            return ""
        made = _Job(Sources(own, self.language, "hello"), self.found, Limits(), self.cache, self.box)._compile(prepared)
        if made.program is not None:
            return ""
        return f"{self.found.program} does not compile a program that is right: {made.facts.message[:1000]}"

    def _works_key(self) -> str:
        parts = ["works", VERSION, self.language.digest, self.found.identity, self.found.version]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _program(self, entry: Entry) -> Program:
        language, values = self.language, self._values(_BUILT)
        return Program(
            name=self.name, language=language.id, argv=tuple(fill(language.run, values)), directory=str(entry.files),
            digest=self.key, env=_environment(language.run_env, values), policy=language.policy,
            memory=MemoryModel(language.extra_mib << 20), pids=language.pids, time_factor=language.time_factor,
            stack=language.stack,
        )  # fmt: skip

    def _prepared(self) -> Path | None:
        """What the language's compiler wants to have been made before, once for each version of its tools."""
        prepare = self.language.prepare
        if prepare is None:
            return None
        parts = [VERSION, asdict(prepare), self.found.version, self.found.identity, sorted(self.found.tools.items())]
        key = hashlib.sha256(json.dumps(["prepared", *parts], sort_keys=True).encode()).hexdigest()
        entry = self.cache.get(key)
        if entry is None:
            with self.cache.building(key):
                entry = self.cache.get(key) or self._prepare(key)
        return entry.files / ".build"

    def _prepare(self, key: str) -> Entry:
        prepare = self.language.prepare
        assert prepare is not None
        values = {**self.found.tools, "build": BUILD, "output": f"{BUILD}/{_OUTPUT}"}
        with self.cache.scratch() as scratch:
            files = scratch / "files"
            write_files(files, {name: data.encode() for name, data in prepare.files.items()}, {})
            order = Order(
                sources=files, commands=[fill(prepare.command, values)], time_ns=PREPARE_TIME_NS,
                memory_bytes=PREPARE_BYTES, policy=self.language.compile_policy,
                env=_environment(prepare.env, values), see=self.language.see,
            )  # fmt: skip
            facts = compile_into(self.box, order, scratch, files / ".build", self.found.version)
            if not facts.ok:
                why = f"{self.found.program} could not prepare its library: {facts.message[:500]}"
                raise HostError(why, "see pysandbox judge languages")
            return self.cache.put(key, files, {})


def compile_into(box: Sandbox, order: Order, scratch: Path, into: Path, compiler: str) -> CompileFacts:
    """Run the compiler and put what it made into the new directory ``into``. Raises SandboxError, OSError."""
    with compile_in(box, order, scratch) as outcome:
        if outcome.facts.outcome != "ok":
            said = "\n".join(part for part in (_why(outcome.facts), outcome.message) if part)
            said = said or "the compiler failed without a word"
            return CompileFacts(False, said, compiler=compiler, run=outcome.facts)
        into.mkdir(exist_ok=True)
        try:
            ustar.extract(outcome.packed, into, limit_bytes=OUTPUT_BYTES)
        except ustar.BadArchive as error:
            return CompileFacts(False, str(error), compiler=compiler, run=outcome.facts)
        return CompileFacts(True, outcome.message, compiler=compiler, run=outcome.facts)


def write_files(place: Path, *trees: Mapping[str, bytes]) -> None:
    """Write files that nobody else can have put there."""
    place.mkdir()
    for tree in trees:
        for name, data in tree.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o644)


def _kit(language: Language) -> dict[str, bytes]:
    return {f".kit/{name}": data.encode() for name, data in language.files.items()}


def _environment(env: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {name: text(value, values) for name, value in env.items()}


def _fault(error: Exception) -> str:
    return str(error) if isinstance(error, SandboxError) else f"{type(error).__name__}: {error}"


def _why(facts: RunFacts) -> str:
    """What ended the compiler, if it was not itself."""
    limits = facts.limits
    if facts.outcome == "memory":
        return f"the compiler needed more than {(limits.memory_bytes or 0) >> 20} MiB of memory"
    if facts.outcome == "cpu_time":
        return f"the compiler needed more than {(limits.time_ns or 0) / 1e9:g} s of CPU time"
    if facts.outcome in ("wall_time", "idle"):
        return f"the compiler took longer than {(limits.wall_ns or 0) / 1e9:g} s"
    if facts.outcome == "output":
        return f"the compiler printed more than {(limits.output_bytes or 0) >> 20} MiB"
    if facts.outcome == "syscall":
        return f"the compiler was ended for a forbidden system call: {', '.join(facts.denials) or 'of a foreign ABI'}"
    if facts.outcome == "signaled":
        return f"the compiler was ended by signal {facts.signal}"
    return ""
