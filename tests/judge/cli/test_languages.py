"""``pysandbox judge languages``, and what is said where a library of the judge's is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_what_this_host_has(pysandbox: Run) -> None:
    done = pysandbox("judge", "languages", "--json", "-")
    rows = {row["id"]: row for row in json.loads(done.stdout)}
    assert (done.returncode, done.stderr) == (0, "")
    assert rows["python3"]["status"] == "ready"
    assert rows["python3"]["version"].startswith(f"Python {sys.version_info.major}.")
    missing = [row for row in rows.values() if row["status"] != "ready"]
    assert all(row["missing"] and row["fix"] for row in missing)


def test_a_language_of_ones_own(pysandbox: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        '[mine]\nname = "My own"\nextensions = [".mine"]\nrun = ["{tool}", "{main}"]\nversion = ["{tool}"]\n'
        'tools = { tool = ["no-such-tool"] }\npackages = ["my-package"]\n'
    )
    done = pysandbox("judge", "languages", "--languages", "mine.toml", env={"COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("mine "))
    assert line.split(None, 4)[1:4] == ["My", "own", "no"] and "apt-get install my-package" in line


def test_a_broken_file_is_one_line(pysandbox: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[mine]\nname = 3\n")
    done = pysandbox("judge", "languages", "--languages", "mine.toml")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.count("\n") == 1 and "mine.toml" in done.stderr


@pytest.mark.parametrize(("library", "package", "words"), [
    ("yaml", "python3-yaml", ["judge", "check", "x"]), ("rich", "python3-rich", ["judge", "languages"]),
    ("jinja2", "python3-jinja2", ["judge", "--html", "x.html", "x", "y"]),
])  # fmt: skip
def test_a_missing_library_is_named(
    library: str, package: str, words: list[str], pysandbox: Run, pysandbox_env: dict[str, str], tmp_path: Path
) -> None:
    """As on a host that has none of it: an import that fails."""
    (tmp_path / "x").mkdir()
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {library!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    path = f"{tmp_path}/hide:{pysandbox_env['PYTHONPATH']}"
    done = pysandbox(*words, env={"PYTHONPATH": path})
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == f"pysandbox: the judge needs the Python library {library}; apt install {package}\n"
    assert not (tmp_path / "x.html").exists()


def test_no_judge_in_the_installation(pysandbox_env: dict[str, str], tmp_path: Path) -> None:
    import shutil

    tree = Path(pysandbox_env["PYTHONPATH"])
    shutil.copytree(tree / "sandbox", tmp_path / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    argv = [sys.executable, "-P", "-m", "sandbox.cli", "judge", "languages"]
    done = subprocess.run(argv, env={**pysandbox_env, "PYTHONPATH": str(tmp_path)}, cwd="/", capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert done.returncode == 125
    assert done.stderr == "pysandbox: this installation has no judge; install all of the pysandbox wheel\n"
