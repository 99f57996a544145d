"""The init's reading of a filter is the kernel's: on the policies as they are, on random filters, and on nonsense."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandbox.listening import Listening, filter_of
from sandbox.seccomp import filter_for

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parent.parent / "sandbox" / "native"


def built(target: Path, *flags: str) -> Path:
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", *flags, f"-I{NATIVE}", "-o",
               str(target), str(HERE / "bpf_harness.c")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without sanitizers: under a filter that answers every call with an errno they could not work."""
    return built(tmp_path_factory.mktemp("bpf") / "harness")


def said(*command: object) -> list[int]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-2000:])
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("asking", [False, True])
@pytest.mark.parametrize("policy", ["default", "strict"])
def test_policies(policy: str, asking: bool, harness: Path, tmp_path: Path) -> None:
    compiled = filter_for(policy)
    program = compiled.program
    if asking:
        listening = Listening(number=1536, sysinfo=True, denials=True)
        program = filter_of(program, compiled.asking, listening, os.uname().machine)
    file = tmp_path / "filter"
    file.write_bytes(program)
    returns = sum(program[at] == 6 for at in range(0, len(program), 8))
    compared, reached = said(harness, "kernel", 7, 300_000, file)
    assert compared > 290_000 and reached > returns * 0.6, (returns, reached)


def test_random_filters(harness: Path) -> None:
    compared, reached = said(harness, "random", 11, 400)
    assert compared > 75_000 and reached > 10


def test_nonsense_is_death_and_stays_inside(tmp_path: Path) -> None:
    sanitized = built(tmp_path / "sanitized", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    rounds, killed = said(sanitized, "spoilt", 3, 300_000)
    assert rounds * 0.5 < killed


def test_the_harness_notices(harness: Path, tmp_path: Path) -> None:
    """A program that the kernel refuses is no comparison."""
    file = tmp_path / "filter"
    file.write_bytes(bytes(16))
    assert subprocess.run([harness, "kernel", "1", "10", file], check=False).returncode == 4
