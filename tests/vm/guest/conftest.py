"""Tests that make sense in a guest of the lab only: ``./dev lab pytest tests/vm/guest``.

In it are alice, who runs the tests in a delegated scope of her user manager and may sudo, and bob, who has no
user manager, no range of ids and no rights.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TREE

IN_LAB = os.environ.get("PYSANDBOX_LAB") == "1"
collect_ignore_glob = [] if IN_LAB else ["test_*.py"]
SECONDS = 120

HERE = Path(__file__).resolve().parent

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All tests here are for guests: ``-m v2`` takes them without their saying so, but not those of the other guest."""
    elsewhere = []
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("v2")
            named = item.get_closest_marker("guests")
            guest = os.environ.get("PYSANDBOX_LAB_GUEST")
            if named and guest and guest not in named.args and config.option.markexpr:
                elsewhere.append(item)
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


def _run(command: list[str], *, check: bool, **options: object) -> subprocess.CompletedProcess[str]:
    given: dict[str, object] = {"stdin": subprocess.DEVNULL, "timeout": SECONDS, **options}
    done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
        command, text=True, capture_output=True, check=False, **given
    )
    if check:
        assert done.returncode == 0, f"{shlex.join(command)}: {done.returncode}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="session")
def as_root() -> Shell:
    """``as_root("systemctl start lxcfs")``: a shell line as root; fails the test unless ``check=False``."""

    def run(line: str, *, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        return _run(["sudo", "-n", "sh", "-c", line], check=check, **options)

    return run


@pytest.fixture(scope="session")
def systemd_scope() -> Shell:
    """``systemd_scope(argv, "Delegate=yes", "MemoryMax=64M")``: in a scope of alice's manager of its own.

    Without properties the scope is not delegated. Returns a ``CompletedProcess`` with text.
    """

    def run(argv: list[str], *properties: str, check: bool = False, **options: object):  # type: ignore[no-untyped-def]
        asked = [word for item in properties for word in ("-p", item)]
        return _run(["systemd-run", "--user", "--scope", "--quiet", "--collect", *asked, "--", *argv],
                    check=check, **options)  # fmt: skip

    return run


@pytest.fixture(scope="session")
def session_without_manager() -> Shell:
    """``session_without_manager(argv)``: as bob, in a service of the system: no user manager, no XDG_RUNTIME_DIR.

    The cgroup is root's, unless the properties say ``Delegate=yes``. In this tree, which bob can read.
    """

    def run(argv: list[str], *properties: str, check: bool = False, **options: object):  # type: ignore[no-untyped-def]
        asked = [word for item in properties for word in ("-p", item)]
        command = ["sudo", "-n", "systemd-run", "--pipe", "--wait", "--quiet", "--collect", "--uid=bob", *asked,
                   f"--working-directory={TREE}", f"--setenv=PYTHONPATH={TREE}", "--setenv=HOME=/home/bob",
                   "--", *(word.replace("$", "$$") for word in argv)]  # systemd expands variables # fmt: skip
        return _run(command, check=check, **options)

    return run
