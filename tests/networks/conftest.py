"""Networks of a test, under a data directory of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import Result, run
from sandbox.networks.network import Network


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where records of named networks lie."""
    path = tmp_path / "data"
    monkeypatch.setenv("PYSANDBOX_DATA", str(path))
    return path


@pytest.fixture
def python_in() -> Callable[..., Result]:
    """``python_in(network, text, *words)``: that text in a sandbox of that network."""

    def inside(network: Network, text: str, *words: str) -> Result:
        return run(["python3", "-I", "-S", "-c", text, *words], net="join", network=network.place, wall=30)

    return inside


def namespaces() -> set[str]:
    """The network namespaces of this user's processes."""
    found = subprocess.run(["lsns", "-t", "net", "-n", "-o", "NS"], capture_output=True, text=True, check=True)
    return set(found.stdout.split())
