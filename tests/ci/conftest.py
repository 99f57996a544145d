"""A data directory with the image ``box`` (busybox), and the command line on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.images.store import Store
from tests.image_helper import busybox_image

Ci = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def box_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of all tests here; at the end nothing of a job may be in it."""
    data = tmp_path_factory.mktemp("ci") / "data"
    busybox_image(Store(str(data)), tmp_path_factory.mktemp("box"), "box")
    yield data
    assert left_in(data) == []


def left_in(data: Path) -> list[str]:
    """Containers, networks and runs that are still there."""
    found = []
    for name in ("containers", "networks", "ci/runs"):
        if (data / name).is_dir():
            found += [f"{name}/{entry}" for entry in os.listdir(data / name) if not entry.startswith(".")]
    return sorted(found)


@pytest.fixture
def ci_env(box_data: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """For processes, and for this one."""
    monkeypatch.setenv("PYSANDBOX_DATA", str(box_data))
    return {"PYSANDBOX_DATA": str(box_data)}


@pytest.fixture
def ci(pysandbox: Ci, ci_env: dict[str, str], tmp_path: Path) -> Ci:
    """``ci("image: box\\n…", "--json", "r.json")``: run a job file in tmp_path."""

    def run(text: str, *flags: str, command: str = "run", **options: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "ci.yml").write_text(text)
        return pysandbox("ci", command, "ci.yml", *flags, env=ci_env, **options)

    return run
