"""Imports go one way (DESIGN: errors at the bottom, the command line on top), and the launch stays light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parent.parent.parent
PACKAGE = TREE / "sandbox"

# From the bottom up. A module imports from lower layers, or from its own unit (a name here is a module or
# a package; a package is one unit).
LAYERS = (
    ("errors", "record", "peer"),
    ("units", "lightjson", "cache", "capabilities", "diagnose", "executable", "syscalls", "locks"),
    ("raw", "policy"),
    ("denials",),
    ("request", "result", "steps", "subid"),
    ("spec", "host", "keeper"),
    ("words",),
    ("roots",),
    ("validate",),
    ("listening",),
    ("fs", "identity", "landlock", "net", "procfs", "procview", "seccomp", "sysinfo", "cgroup"),  # the rooms
    ("plan", "admin", "disks"),
    ("native",),
    ("outcome", "streams", "userns", "notify", "hints", "slots", "scratch", "lxcfs", "enforce"),
    ("supervise", "warm"),
    ("decide",),
    ("joining",),
    ("aio", "running"),
    ("pipeline",),
    ("images",),
    ("networks",),
    ("containers",),
    ("build", "ci", "oci"),
    ("doctor", "trace"),
    ("cli",),
)  # fmt: skip
ROOMS = LAYERS[10]
# Files that are one unit with another.
SAME_UNIT = {"isolation": "validate"}

SLOW = (
    "dataclasses",
    "enum",
    "typing",
    "re",
    "argparse",
    "json",
    "socket",
    "hashlib",
    "subprocess",
    "pathlib",
    "inspect",
    "ast",
    "threading",
    "asyncio",
    "logging",
    "tempfile",
    "shutil",
    "random",
    "tomllib",
    "ctypes",
    "signal",
    "contextlib",
    "collections",
    "functools",
    "seccomp",
    "pyseccomp",
    "importlib.metadata",
)


def modules() -> dict[str, Path]:
    """``cgroup.v1`` -> its file, for all of the package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(name: str) -> set[str]:
    """What a module imports at run time, anywhere in its code: names below ``sandbox``, or ``!foreign``."""
    tree = ast.parse(MODULES[name].read_text())
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    if not name:
        package = []
    for_types = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for_types |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {f"!{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(f"!{node.module}")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            for alias in node.names:
                target = ".".join([*base, *((node.module or "").split(".") if node.module else []), alias.name])
                parent = target.rpartition(".")[0]
                found.add(target if target in MODULES else parent)
    return found


def unit(name: str) -> str:
    first = name.split(".")[0]
    return SAME_UNIT.get(first, first)


def layer(name: str) -> int:
    return next(n for n, names in enumerate(LAYERS) if unit(name) in names)


def test_every_module_has_a_layer() -> None:
    named = [name for names in LAYERS for name in names]
    assert len(named) == len(set(named))
    assert {unit(name) for name in MODULES if name} == set(named)


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name))
def test_imports_go_down(name: str) -> None:
    for target in sorted(imported(name)):
        if target.startswith("!"):
            continue
        if target in ("", "native._core"):  # the version number; what cffi has built
            continue
        assert unit(target) == unit(name) or layer(target) < layer(name), f"{name} imports {target}"


def test_rooms_do_not_know_each_other() -> None:
    for name in MODULES:
        if name and unit(name) in ROOMS:
            others = {unit(t) for t in imported(name) if not t.startswith("!") and t} & set(ROOMS)
            assert others <= {unit(name)}, (name, others)


def test_the_package_itself_imports_nothing() -> None:
    """Its public names are looked up at their first use."""
    assert not imported("")


def test_nobody_imports_the_judge_or_the_policies() -> None:
    for name in MODULES:
        assert not {t for t in imported(name) if t.lstrip("!").split(".")[0] in ("judge", "policies")}, name
    assert not list((TREE / "policies").rglob("*.py"))


def test_the_judge_knows_public_names_only() -> None:
    import sandbox

    for path in sorted((TREE / "judge").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert all(alias.name == "sandbox" or not alias.name.startswith("sandbox.") for alias in node.names), (
                    path
                )
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sandbox":
                assert node.module == "sandbox" and {a.name for a in node.names} <= set(sandbox.__all__), path


def test_a_relative_import_is_seen() -> None:
    """The reader of imports itself: names of modules, names in modules, two levels, inside of functions."""
    assert {"errors", "native.pack", "!os"} <= imported("native.run")
    assert "userns" in imported("cli.run") and "pipeline" in imported("cli.run")
    assert "decide" in imported("pipeline") and "plan" in imported("decide") and "host" not in imported("plan")


@pytest.mark.parametrize("what", ["api", "cli"])
def test_the_launch_imports_nothing_slow(what: str, tmp_path: Path) -> None:
    """With a filter in the cache; compared with an interpreter that does nothing, whose start may know some."""
    launch = {
        "api": "import sandbox; assert sandbox.run(['true'], stdin=b'').ok",
        "cli": "from sandbox.cli.main import main; assert main(['run', '--wall', '10s', '-e', 'A=b', 'true']) == 0",
    }
    environ = {**os.environ, "PYTHONPATH": str(TREE), "XDG_CACHE_HOME": str(tmp_path)}

    def loaded(code: str) -> set[str]:
        command = [sys.executable, "-P", "-c", f"import sys\n{code}\nprint(*sys.modules)"]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
        )
        return set(done.stdout.split())

    loaded(launch[what])  # fills the cache
    extra = loaded(launch[what]) - loaded("pass")
    assert "sandbox.supervise" in extra
    assert not extra & {"sandbox.roots", "sandbox.isolation"}  # most runs ask for nothing of theirs
    assert not extra & set(SLOW)
