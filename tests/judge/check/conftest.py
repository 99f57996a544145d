"""Outputs as fds, answers as files, programs as directories."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from judge.check import Outcome, builtin, check
from judge.facts import CheckFacts
from judge.problem.model import MIB, SECOND, Checker, Limits, Test
from judge.program import PLACE, Program
from sandbox import Sandbox

LIMITS = Limits(validation_time_ns=2 * SECOND, validation_memory_bytes=64 * MIB, validation_output_bytes=MIB)


def memfd(content: bytes) -> int:
    fd = os.memfd_create("output", os.MFD_CLOEXEC)
    for at in range(0, len(content), 1 << 20):
        os.write(fd, content[at : at + (1 << 20)])
    return fd


def compared(
    kind: str, got: bytes, want: bytes, flags: tuple[str, ...] = (), **options: object
) -> CheckFacts:
    """What a built-in checker says of ``got`` where ``want`` is the answer."""
    output, answer = memfd(got), memfd(want)
    try:
        return builtin.compare(Checker(kind, options), output, Path(f"/proc/self/fd/{answer}"), flags)
    finally:
        os.close(output)
        os.close(answer)


Checked = Callable[..., Outcome]


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
def test_of(tmp_path: Path) -> Test:
    (tmp_path / "1.in").write_bytes(b"the input\n")
    (tmp_path / "1.ans").write_bytes(b"42\n")
    return Test("secret/1", tmp_path / "1.in", tmp_path / "1.ans")


def script(tmp_path: Path, text: str) -> Program:
    """A program that is a shell script."""
    directory = tmp_path / "program"
    directory.mkdir(exist_ok=True)
    (directory / "run.sh").write_text(text)
    return Program("checker", "sh", ("/bin/sh", f"{PLACE}/run.sh"), str(directory), text)


@pytest.fixture
def checked(box: Sandbox, test_of: Test, tmp_path: Path) -> Checked:
    """``checked(kind, "shell script", output)``: what such a checker says."""

    def run(
        kind: str, text: str, output: bytes = b"", *, test: Test = test_of, limits: Limits = LIMITS,
        multi_pass: bool = False, **options: object,
    ) -> Outcome:  # fmt: skip
        fd = memfd(output)
        try:
            return check(Checker(kind, options), script(tmp_path, text), test, fd, box=box, limits=limits,
                         feedback=tmp_path / "feedback", multi_pass=multi_pass)  # fmt: skip
        finally:
            os.close(fd)

    return run
