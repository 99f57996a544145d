"""What the tests of languages and compiling share: one sandbox and one cache for the session, and a build in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from judge.build import Built, Cache, build, read
from judge.language import Languages, load
from judge.problem.model import Limits
from judge.program import Program
from sandbox import Result, Sandbox

MEMORY = 256 << 20

Build = Callable[..., Built]


@pytest.fixture(scope="session")
def languages() -> Languages:
    return load()


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    """One directory for all who import this: Go's library takes ten seconds to prepare."""
    with Cache(tmp_path_factory.getbasetemp() / "judge-cache") as one:
        yield one


@pytest.fixture
def built(tmp_path: Path, languages: Languages, cache: Cache, box: Sandbox) -> Build:
    """``built({"main.c": "…"}, language=None, limits=Limits())`` -> Built. One file or several."""

    def make(
        files: Mapping[str, str | bytes], *, language: str | None = None, limits: Limits | None = None,
        entrypoint: str | None = None, cache: Cache = cache, languages: Languages = languages,
    ) -> Built:  # fmt: skip
        limits = limits or Limits()
        place = tmp_path / "submission"
        for name, text in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        path = place / next(iter(files)) if len(files) == 1 else place
        sources = read(path, languages, limit_bytes=limits.code_bytes, language=language, entrypoint=entrypoint)
        return build(sources, languages=languages, limits=limits, cache=cache, box=box)

    return make


@pytest.fixture(scope="session")
def judged(box: Sandbox) -> Callable[..., Result]:
    """``judged(program, stdin=b"…")`` -> Result of a run as a submission is run."""

    def run(program: Program, memory: int = MEMORY, **options: object) -> Result:
        assert program.directory is not None
        return box.run(
            program.command(memory), policy=program.policy, mem=memory + program.memory.extra_bytes,
            time=20, wall=60, env=dict(program.env), pids=program.pids, stack=program.stack,
            volumes=[f"{program.directory}:/submission"], **options,
        )  # fmt: skip

    return run
