"""The demo of examples/ci: a C and a Python project, in an image that mmdebstrap makes from Debian's packages.

The image is made once and kept in ``$PYSANDBOX_TEST_CACHE``, or the user's cache; making it needs a Debian mirror.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.conftest import Ci
from tests.slowness import SLOW

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/ci"


@pytest.mark.timeout(300 * SLOW)
def test_the_demo(pysandbox: Ci, ci_env: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed")
    kept = os.environ.get("PYSANDBOX_TEST_CACHE") or f"{os.environ.get('HOME', '/tmp')}/.cache/pysandbox-tests"
    made = subprocess.run(
        [EXAMPLE / "make-image", "ci-demo", f"{kept}/ci-demo"],
        env={**os.environ, **ci_env, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=280 * SLOW,
    )
    if made.returncode and "ci-demo" not in made.stdout and "E: " in made.stderr:
        pytest.skip(f"mmdebstrap cannot make the image here: {made.stderr.strip().splitlines()[-1][:200]}")
    assert made.returncode == 0, made.stderr
    done = pysandbox(
        "ci",
        "run",
        "-j",
        "2",
        EXAMPLE / "ci.yml",
        "--artifacts",
        "out",
        "--json",
        "r.json",
        env=ci_env,
        timeout=120 * SLOW,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = json.loads((tmp_path / "r.json").read_text())["jobs"]
    assert [(job["title"], job["status"]) for job in jobs] == [
        ("c (optimize=O0)", "passed"),
        ("c (optimize=O2)", "passed"),
        ("python", "passed"),
        ("both", "passed"),
    ]
    assert "0 failures" in jobs[0]["steps"][1]["output"]
    assert "4 passed" in jobs[2]["steps"][1]["output"]
    assert (tmp_path / "out/c-O2/count").read_bytes()[:4] == b"\x7fELF"
    assert 'failures="0"' in (tmp_path / "out/python/report.xml").read_text()
