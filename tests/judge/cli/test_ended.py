"""The command is ended in the middle, or fails: nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.judge.cli.packages import RIGHT, package
from tests.slowness import SLOW


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A package that has to be unpacked."""
    root = package(tmp_path / "sum")
    with zipfile.ZipFile(tmp_path / "sum.zip", "w") as archive:
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(root.parent))
    return tmp_path / "sum.zip"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it_and_leaves_nothing(
    number: signal.Signals, archive: Path, tmp_path: Path, pysandbox_argv: list[str], pysandbox_env: dict[str, str]
) -> None:
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(60)\n")
    (tmp_path / "tmp").mkdir()
    env = {**pysandbox_env, "XDG_STATE_HOME": str(tmp_path / "state"), "TMPDIR": str(tmp_path / "tmp")}
    words = ["judge", str(archive), "sleeps.py", "--time", "60s", "--json", "r.json"]
    process = subprocess.Popen([*pysandbox_argv, *words], env=env, cwd=tmp_path, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stderr is not None
    with process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "ready" in line:
                break
        time.sleep(0.3)  # the first test is under way
        assert os.listdir(tmp_path / "tmp")
        process.send_signal(number)
        _out, rest = process.communicate(timeout=20 * SLOW)
    assert process.returncode == 128 + number, (said, rest)
    assert "Traceback" not in rest
    assert os.listdir(tmp_path / "tmp") == []
    assert not (tmp_path / "r.json").exists()


def test_a_report_that_was_there_stays_and_no_new_one_is_left_empty(
    tmp_path: Path, pysandbox_argv: list[str], pysandbox_env: dict[str, str]
) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "right.py").write_text(RIGHT)
    words = ["judge", str(tmp_path), "right.py", "--json", "old.json", "--junit", "new.xml"]
    done = subprocess.run([*pysandbox_argv, *words], env=pysandbox_env, cwd=tmp_path, capture_output=True, text=True,
                          timeout=60 * SLOW)  # fmt: skip
    assert done.returncode == 125, "a directory that is no package"
    assert (tmp_path / "old.json").read_text() == "old" and not (tmp_path / "new.xml").exists()
