"""Submissions and interactors as texts, and one Job of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from judge.execute import Job, run_test
from judge.facts import Evidence
from judge.problem.model import MIB, PASS_FAIL, SECOND, Checker, Group, Limits, Problem, Test
from judge.program import PLACE, Program
from judge.verdict import Verdict
from judge.verdict.decide import decide
from sandbox import Sandbox
from tests.slowness import SLOW

# Tests that run in the lab too are few programs in C: they are not as much slower there as a Python is.
SCALE = 1 if SLOW == 1 else 4
LIMITS = Limits(
    time_ns=SECOND // 2 * SCALE, wall_ns=SECOND * SCALE, memory_bytes=64 * MIB, output_bytes=MIB,
    validation_time_ns=SECOND * SCALE, validation_memory_bytes=64 * MIB, validation_output_bytes=MIB,
)  # fmt: skip


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Program]:
    """``compiled("int main() {...}")`` -> Program."""
    made: dict[str, Program] = {}

    def program(text: str, **fields: Any) -> Program:
        if text not in made:
            directory = tmp_path_factory.mktemp("program")
            source = directory / "prog.c"
            head = "".join(f"#include <{name}.h>\n" for name in ("stdio", "stdlib", "string", "unistd", "signal"))
            source.write_text(head + text)
            subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", directory / "prog", source], check=True)
            source.unlink()
            made[text] = Program("prog", "c", (f"{PLACE}/prog",), str(directory), str(len(made)))
        return replace(made[text], **fields)

    return program


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Program]:
    """``scripted("print(1)")`` -> Program in Python."""

    def program(text: str, **fields: Any) -> Program:
        directory = tmp_path_factory.mktemp("script")
        (directory / "prog.py").write_text(text)
        argv = ("/usr/bin/python3", "-I", "-S", f"{PLACE}/prog.py")
        return replace(Program("prog", "python3", argv, str(directory), text), **fields)

    return program


def fds() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


@pytest.fixture
def judged(box: Sandbox, tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """``judged(program, input="…", answer="…")`` -> evidence, verdict and its word; no fd and no file is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    box.run(["true"], mem="64M")  # its spawner has fds of its own

    def judge(
        program: Program | None, *, input: str = "", answer: str = "", kinds: frozenset[str] = frozenset(),
        checkers: tuple[tuple[Checker, Program | None], ...] = ((Checker(), None),),
        interactor: tuple[Checker, Program] | None = None, profile: str = "icpc", cpuset: str | None = None,
        answers: Path | None = None, helper: Sandbox | None = None, problem: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None, **test: Any,
    ) -> SimpleNamespace:  # fmt: skip
        package = tmp_path / "package"
        package.mkdir(exist_ok=True)
        (package / "1.in").write_text(input)
        (package / "1.ans").write_text(answer)
        one = Test("secret/1", package / "1.in", package / "1.ans", **test)
        whole = Problem(
            "p", package, "plain", Group("", (one,)), limits=replace(LIMITS, **(limits or {})),
            kinds=kinds | {PASS_FAIL}, interactor=interactor[0] if interactor else None, **(problem or {}),
        )  # fmt: skip
        before = fds()
        job = Job(
            whole, one, program, checkers, interactor[1] if interactor else None, box, cpuset, scratch, answers,
            helper=helper,
        )
        evidence: Evidence = run_test(job)
        assert fds() == before, "an fd is left"
        assert {path.name for path in scratch.iterdir()} <= {"work", "files", "next"}
        verdict: Verdict = decide(evidence, profile)
        return SimpleNamespace(evidence=evidence, verdict=verdict, word=verdict.word, last=evidence.passes[-1:] or None)

    return judge
