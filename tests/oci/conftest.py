"""A runtime with a root of its own, and a bundle to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TREE
from tests.oci import bundles
from tests.slowness import SLOW

Oci = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def oci(tmp_path: Path, pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> Iterator[Oci]:
    """``oci("create", "-b", bundle, "x")`` -> CompletedProcess; what is left at the end is deleted."""
    command = [*pysandbox_argv, "oci", "--root", str(tmp_path / "state")]

    def run(*words: str | Path, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        given = {"stdin": subprocess.DEVNULL, **options}
        # files: a container that goes on has our streams, and would keep a pipe open
        with open(tmp_path / "stdout", "w+b") as out, open(tmp_path / "stderr", "w+b") as err:
            done = subprocess.run([*command, *map(str, words)], env=pysandbox_env, text=True, timeout=20 * SLOW,
                                  check=False, stdout=out, stderr=err, **given)  # fmt: skip
        done.stdout, done.stderr = ((tmp_path / name).read_text() for name in ("stdout", "stderr"))
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    yield run
    for name in os.listdir(tmp_path / "state") if (tmp_path / "state").exists() else ():
        if not name.startswith("."):
            run("delete", "--force", name, check=False)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle as runc writes one, with a shell and without a terminal."""
    bundles.rootfs(tmp_path / "bundle" / "rootfs")
    return bundles.write(tmp_path / "bundle", config())


def config(**places: Any) -> dict[str, Any]:
    """Of runc's, for the tests' user; see bundles.changed."""
    usual = bundles.changed(bundles.runc(os.geteuid(), os.getegid()), process__terminal=False, root__readonly=False)
    return bundles.changed(usual, **places)


def program(script: str, **places: Any) -> dict[str, Any]:
    """A config whose program is a line of shell."""
    return config(process__args=["/bin/sh", "-c", script], **places)


def state(oci: Oci, name: str = "x") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(oci("state", name).stdout)
    return found


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """``pysandbox-oci`` of this tree, as one path, for engines."""
    path = tmp_path / "pysandbox-oci"
    path.write_text(f"#!/bin/sh\nPYTHONPATH={TREE} exec {sys.executable} -PB {TREE}/bin/pysandbox-oci \"$@\"\n")
    path.chmod(0o755)
    return path
