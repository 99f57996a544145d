"""What the acceptance tests share: hostile programs compiled once, the JSON of a run, a place on a disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import Result, run

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Judged = Callable[..., SimpleNamespace]
Program = Callable[[str], str]

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """``program("bomb")`` -> path of the executable made of programs/bomb.c."""
    directory = tmp_path_factory.mktemp("programs")
    built: dict[str, str] = {}

    def path_of(name: str) -> str:
        if name not in built:
            target = directory / name
            command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", target, PROGRAMS / f"{name}.c"]
            subprocess.run(command, check=True)
            built[name] = str(target)
        return built[name]

    return path_of


@pytest.fixture(scope="session")
def python_program() -> Callable[..., Result]:
    """``python_program("print(1)", mem="64M")`` -> the Result of that text in a sandbox."""

    def in_sandbox(text: str, *args: str, **options: object) -> Result:
        return run(["python3", "-I", "-S", "-c", text, *args], **options)

    return in_sandbox


@pytest.fixture
def judged(pysandbox: Callable[..., object], tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """``judged("--mem", "64M", "--", "prog")`` -> the parsed ``--json`` of that run, with ``code`` and ``said``."""

    def through_cli(*args: object, **options: object) -> SimpleNamespace:
        file = tmp_path / "result.json"
        done = pysandbox("run", "--json", file, *args, **options)
        found = json.loads(file.read_bytes())
        file.unlink()
        assert found["exit_status"] == done.returncode  # type: ignore[attr-defined]
        return SimpleNamespace(
            **{**found, "usage": SimpleNamespace(**found["usage"])},
            code=done.returncode, out=done.stdout, said=done.stderr,  # type: ignore[attr-defined]
        )  # fmt: skip

    return through_cli


def _kind_of_file_system(path: str) -> str:
    return subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def disk_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory on a real disk: what is written to a tmpfs is memory and not page cache."""
    for base in (str(tmp_path), "/var/tmp", os.getcwd()):
        if os.access(base, os.W_OK) and _kind_of_file_system(base) not in ("tmpfs", "ramfs"):
            made = tempfile.mkdtemp(dir=base, prefix="pysandbox-test-")
            yield Path(made)
            shutil.rmtree(made)
            return
    pytest.fail("no directory on a disk: /tmp, /var/tmp and the tree are all tmpfs")
