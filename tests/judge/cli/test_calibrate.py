"""``pysandbox judge calibrate`` with real submissions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.judge.cli.packages import RIGHT, SLOW, WRONG, package, submissions

Run = Callable[..., "subprocess.CompletedProcess[str]"]
# Some 0.25 s and more on any machine.
BUSY = "import time\nwhile time.process_time() < 0.25: pass\n" + RIGHT


def test_the_limit_follows_and_is_written(pysandbox: Run, tmp_path: Path) -> None:
    root = submissions(package(tmp_path / "sum", limit="", secret=1), accepted__fast=RIGHT, accepted__busy=BUSY,
                       time_limit_exceeded__slow=SLOW)  # fmt: skip
    before = (root / "problem.yaml").read_text()
    done = pysandbox("judge", "calibrate", "sum", "-q", "--runs", "2", "--write", "--json", "c.json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "c.json").read_text())
    roles = {one["name"]: (one["role"], one["beyond"]) for one in found["timed"]}
    assert roles == {
        "accepted/fast.py": ("lower", False), "accepted/busy.py": ("lower", False),
        "time_limit_exceeded/slow.py": ("upper", True),
    }  # fmt: skip
    assert found["t_ac"]["name"] == "accepted/busy.py" and found["t_ac"]["time_ns"] >= 250_000_000
    limit_s = found["limit_ns"] // 1_000_000_000
    assert found["limit_ns"] == limit_s * 1_000_000_000 and limit_s >= 1
    after = (root / "problem.yaml").read_text()
    assert after.replace(f"  time_limit: {limit_s}\n", "") == before and after != before
    assert "accepted/busy.py" in done.stdout and f"time limit {limit_s} s" in done.stdout
    assert done.stdout.splitlines()[-1] == f"written to {root}/problem.yaml"


def test_nothing_is_written_where_the_rules_are_not_met(pysandbox: Run, tmp_path: Path) -> None:
    root = submissions(package(tmp_path / "sum", limit="", secret=1), accepted__wrong=WRONG)
    before = (root / "problem.yaml").read_text()
    done = pysandbox("judge", "calibrate", "sum", "-q", "--runs", "1", "--write")
    assert done.returncode == 125
    assert "nothing is written" in done.stderr
    assert "error: accepted/wrong.py: " in done.stdout
    assert (root / "problem.yaml").read_text() == before


def test_a_limit_that_is_too_tight_is_said(pysandbox: Run, tmp_path: Path) -> None:
    submissions(package(tmp_path / "sum", limit="0.3", secret=1), accepted__busy=BUSY)
    done = pysandbox("judge", "calibrate", "sum", "-q", "--runs", "1")
    assert done.returncode == 1, done.stderr
    assert "the package has a time limit of its own: 0.3 s" in done.stdout
    assert "error: the package's limit, 0.3 s, is less than 2 times what accepted/busy.py needs" in done.stdout
