"""What every test can use, and what no test may leave behind.

Two kinds of leftovers are looked for here: cgroups after each test, and children, cgroups and mounts
at the end of the session. Processes that a test orphans are found by ``scripts/as_user.py``, under
which ``./dev test`` runs everything: a test process that were itself a subreaper would keep zombies
that pid 1 takes away elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.slowness import SLOW

TREE = Path(__file__).resolve().parent.parent
CGROUPS = Path("/sys/fs/cgroup")
LEAF_PREFIX = "pysandbox-"
# The helper that a warm API keeps: it lives as long as its caller and is no leftover.
SPAWNER_NAME = "pysandbox-spawn"
SETTLE_S = 3.0 * SLOW

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure(config: pytest.Config) -> None:
    if os.geteuid() == 0 and not config.option.collectonly:
        pytest.exit("the tests do not run as root; use: ./dev test [pytest arguments]", returncode=4)


@pytest.fixture(scope="session")
def pysandbox_argv() -> list[str]:
    """The start of a command line that runs this tree's command from any directory."""
    # -P: a directory called sandbox in the current one must not win over the tree.
    return [sys.executable, "-P", "-m", "sandbox.cli"]


@pytest.fixture(scope="session")
def pysandbox_env() -> dict[str, str]:
    """An environment in which ``pysandbox_argv`` finds this tree."""
    return {**os.environ, "PYTHONPATH": str(TREE)}


@pytest.fixture
def pysandbox(pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path) -> Run:
    """``pysandbox("run", "--mem", "64M", "--", "true", input="…", env={…}, timeout=60)`` -> CompletedProcess.

    Runs in the test's own tmp_path, with text streams and no standard input, unless told otherwise.
    Never checks the exit status: that is what tests look at.
    """

    def run(
        *args: str | bytes | os.PathLike[str],
        env: dict[str, str] | None = None,
        timeout: float = 60 * SLOW,
        **options: object,
    ) -> subprocess.CompletedProcess[str]:
        kept: dict[str, object] = {"text": True, "cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if "input" not in options:
            kept["stdin"] = subprocess.DEVNULL
        if options.get("text") is not False and "errors" not in options:
            kept["errors"] = "surrogateescape"
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [*pysandbox_argv, *args], env={**pysandbox_env, **(env or {})}, timeout=timeout, **{**kept, **options}
        )

    return run


def _parent_of(pid: int) -> int:
    """Parent of a living process, 0 if there is none."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state in "ZX" else int(parent)


def _is_ours(pid: int) -> bool:
    """Is it this process, a descendant of it, or one that is dead? A living stranger's is not."""
    if pid == os.getpid() or not _parent_of(pid):
        return True
    while pid > 1:
        pid = _parent_of(pid)
        if pid == os.getpid():
            return True
    return False


def _delegated() -> list[Path]:
    """The topmost cgroup directories that belong to this user, in every hierarchy."""
    found: list[Path] = []
    for directory, names, _files in os.walk(CGROUPS):
        for name in list(names):
            path = Path(directory, name)
            try:
                owned = path.lstat().st_uid == os.geteuid()
            except OSError:
                owned = True  # gone meanwhile: nothing to walk into
            if owned:
                found.append(path)
                names.remove(name)
    return found


def _leaves() -> set[str]:
    """Leaf cgroups of runs that are ours, or whose caller is dead."""
    found = set()
    for top in _delegated():
        for directory, _names, _files in os.walk(top):
            name = os.path.basename(directory)
            pid = name.removeprefix(LEAF_PREFIX).partition("-")[0]
            if name.startswith(LEAF_PREFIX) and pid.isdigit() and _is_ours(int(pid)):
                found.add(directory)
    return found


def _children() -> set[str]:
    """Living children of this process other than the spawner, as ``pid (name)``."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _parent_of(int(entry)) == os.getpid():
            try:
                name = Path(f"/proc/{entry}/comm").read_text().strip()
            except OSError:
                continue
            if name != SPAWNER_NAME:
                found.add(f"{entry} ({name})")
    return found


def _mounts() -> set[str]:
    """Mounts of this mount namespace that speak of us."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split(" ", 1)[1] for line in lines if "pysandbox" in line}


def _left(look: Callable[[], set[str]], before: set[str]) -> set[str]:
    """What is there now and was not before, after some time to go away by itself."""
    end = time.monotonic() + SETTLE_S
    while (left := look() - before) and time.monotonic() < end:
        time.sleep(0.05)
    return left


@pytest.fixture(scope="session", autouse=True)
def no_leaks() -> Iterator[None]:
    """Fails the session if a child, a cgroup or a mount stays behind it."""
    looks = {"child process": _children, "cgroup": _leaves, "mount": _mounts}
    before = {what: look() for what, look in looks.items()}
    yield
    left = [f"{what} {item}" for what, look in looks.items() for item in sorted(_left(look, before[what]))]
    assert not left, f"left behind by the tests: {left}"


@pytest.fixture(autouse=True)
def no_cgroup_leak(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a cgroup, so that the session's verdict has a name."""
    if request.node.get_closest_marker("keeps_cgroups"):
        yield
        return
    before = _leaves()
    yield
    left = _left(_leaves, before)
    assert not left, f"cgroups left behind: {sorted(left)}"
