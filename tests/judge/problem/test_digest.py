"""The digest changes with what bears on verdicts, and with nothing else."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from judge.problem.digest import digest
from judge.problem.model import Expected, JurySubmission
from judge.problem.opening import open_problem
from tests.judge.problem.packages import CURRENT, LEGACY, UUID, Files, good, write

RICH: Files = {
    **CURRENT, "output_validator/v/a.py": "1", "include/python3/x.py": "1", "data/secret/01.files/f": "1",
    "data/secret/01.yaml": "args: [a]\n",
}  # fmt: skip


def test_the_same_content_elsewhere_is_the_same(tmp_path: Path) -> None:
    one = good(tmp_path / "a", RICH)
    shutil.copytree(tmp_path / "a/sum", tmp_path / "b/other")
    assert open_problem(tmp_path / "b/other").digest == one.digest


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data/secret/01.in", "3 5\n"), ("data/sample/1.ans", "4\n"), ("data/secret/01.files/f", "2"),
        ("data/secret/01.yaml", "args: [b]\n"), ("output_validator/v/a.py", "2"), ("include/python3/x.py", "2"),
        ("data/secret/02.in", None), ("include/python3/y.py", ""), ("output_validator/v/b.py", ""),
        ("problem.yaml", f"problem_format_version: 2025-09\nname: Sum\nuuid: {UUID}\nlimits: {{time_limit: 2}}\n"),
    ],
)  # fmt: skip
def test_what_bears_on_verdicts_is_in_it(tmp_path: Path, name: str, content: str | None) -> None:
    changed: Files = {**RICH, name: "" if content is None else content}
    if content is None:
        changed["data/secret/02.ans"] = ""
    assert good(tmp_path / "a", RICH).digest != good(tmp_path / "b", changed).digest


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("statement/problem.en.md", "Other words"), ("submissions/accepted/more.py", ""), ("attachments/a", "x"),
        ("data/secret/01.yaml", "args: [a]\ndescription: new\n"), ("input_validators/check.py", "pass"),
    ],
)  # fmt: skip
def test_all_else_is_not(tmp_path: Path, name: str, content: str) -> None:
    assert good(tmp_path / "a", RICH).digest == good(tmp_path / "b", {**RICH, name: content}).digest


def test_an_executable_bit_of_a_program_counts(tmp_path: Path) -> None:
    one = good(tmp_path, RICH)
    (tmp_path / "sum/output_validator/v/a.py").chmod(0o755)
    assert digest(one) != one.digest


def test_names_of_the_package_do_not_count(tmp_path: Path) -> None:
    one = good(tmp_path, LEGACY)
    jury = JurySubmission("a", Path("/a"), Expected())
    assert digest(replace(one, name="x", title="y", submissions=(jury,), digest="")) == one.digest


def test_links_and_devices_are_not_read(tmp_path: Path) -> None:
    one = good(tmp_path, LEGACY)
    path = one.tests[0].input
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        digest(one)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        digest(one)


def test_large_files_are_read_in_pieces(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", LEGACY)
    with open(root / "data/secret/01.in", "wb") as file:
        file.truncate(64 << 20)
    one = open_problem(root)
    with open(root / "data/secret/01.in", "r+b") as file:
        file.seek(63 << 20)
        file.write(b"x")
    assert open_problem(root).digest != one.digest
