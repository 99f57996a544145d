"""``pysandbox judge check``: all mistakes, each with file and line, and nothing else."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def plain(root: Path) -> Path:
    root.mkdir()
    for n in (1, 2):
        (root / f"{n}.in").write_text("1 2\n")
        (root / f"{n}.ans").write_text("3\n")
    return root


def test_a_good_package(pysandbox: Run, tmp_path: Path) -> None:
    done = pysandbox("judge", "check", plain(tmp_path / "sum"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}/sum: good: plain, 2 tests (no samples), no submissions of the jury\n"


def test_every_mistake_has_its_place(pysandbox: Run, tmp_path: Path) -> None:
    package = tmp_path / "sum"
    (package / "data" / "secret").mkdir(parents=True)
    (package / "data" / "secret" / "1.in").write_text("1\n")
    (package / "problem.yaml").write_text("problem_format_version: 2025-09\nname: Sum\nlimits:\n  memori: 64\n")
    done = pysandbox("judge", "check", "sum")
    assert (done.returncode, done.stderr) == (1, "")
    assert any(line.startswith("sum: problem.yaml:4: ") and "memori" in line for line in done.stdout.splitlines())
    assert "sum: data/secret/1" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("sum: ") and "error" in done.stdout.splitlines()[-1]


def test_several_packages(pysandbox: Run, tmp_path: Path) -> None:
    plain(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    done = pysandbox("judge", "check", "bad", "good")
    assert done.returncode == 1
    assert "bad: " in done.stdout and "good: good: plain" in done.stdout


def test_an_archive(pysandbox: Run, tmp_path: Path) -> None:
    package = plain(tmp_path / "sum")
    with zipfile.ZipFile(tmp_path / "sum.zip", "w") as archive:
        for file in sorted(package.iterdir()):
            archive.write(file, file.name)
    done = pysandbox("judge", "check", "sum.zip", env={"TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "sum.zip: good: plain, 2 tests" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sum", "sum.zip"]  # nothing is left of it


def test_an_archive_with_a_way_out(pysandbox: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../out.in", "1")
    done = pysandbox("judge", "check", "evil.zip")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "error" in done.stdout and not (tmp_path.parent / "out.in").exists()


def test_hostile_names_are_made_visible(pysandbox: Run, tmp_path: Path) -> None:
    package = plain(tmp_path / "sum")
    (package / "\x1b[31m.in").write_text("1")
    done = pysandbox("judge", "check", "sum")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\\x1b" in done.stdout


@pytest.mark.parametrize("words", [["judge", "check"], ["judge", "check", "none"], ["judge", "check", "--none", "x"],
                                   ["judge"], ["judge", "a"], ["judge", "--all", "a", "b"], ["judge", "languages", "x"],
                                   ["judge", "-j", "0", "a", "b"], ["judge", "-j", "x", "a", "b"],
                                   ["judge", "--time", "0", "a", "b"], ["judge", "--memory", "1", "a", "b"],
                                   ["judge", "--profile", "x", "a", "b"], ["judge", "--json", "/no/such/x", "a", "b"],
                                   ["judge", "calibrate"], ["judge", "verdict"], ["judge", "none", "none"],
                                   ["judge", "verdict", "none"]], ids=" ".join)  # fmt: skip
def test_wrong_words_are_one_line_and_125(pysandbox: Run, words: list[str]) -> None:
    done = pysandbox(*words)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("pysandbox: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["judge", "-h"], ["judge", "check", "--help"], ["judge", "a", "b", "--help"]])
def test_help_from_anywhere(pysandbox: Run, words: list[str]) -> None:
    done = pysandbox(*words)
    assert done.returncode == 0 and done.stdout == pysandbox("help", "judge").stdout
