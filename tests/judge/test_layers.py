"""Imports of the judge go one way, it knows the public names of ``sandbox`` alone, and ``sandbox`` knows nothing of it
but the name of a command."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox

TREE = Path(__file__).resolve().parent.parent.parent
PACKAGE = TREE / "judge"

# From the bottom up. A module imports from lower layers or from its own unit. A unit is a module or a package; modules
# of a package that are named here with a dot are units of their own.
LAYERS = (
    ("errors",),
    ("verdict.words", "program", "safe", "native"),
    ("problem.faults", "problem.model"),
    ("facts",),
    ("verdict",),
    ("result",),
    ("events",),
    ("problem", "language"),
    ("build",),
    ("check",),
    ("execute",),
    ("timing",),
    ("grade",),
    ("calibration", "report"),
    ("cli",),
)
THIRD_PARTY = {"yaml": "problem packages", "rich": "the terminal", "jinja2": "the report", "cffi": "native"}
# What no test of a batch problem needs: imported where it is used.
LAZY = ("rich", "jinja2", "yaml", "sqlite3", "zipfile", "asyncio", "tarfile", "xml.etree.ElementTree")


def modules(package: Path) -> dict[str, Path]:
    """``verdict.words`` -> its file."""
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules(PACKAGE)


def statements(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports anywhere in a file, but for those that only a type checker sees."""
    tree = ast.parse(path.read_text())
    for_types: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for_types |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in for_types:
            yield node


def imported(name: str) -> set[str]:
    """What a module imports: names below ``judge``, or ``!foreign``."""
    path = MODULES[name]
    package = (name.split(".") if name else []) if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in statements(path):
        if isinstance(node, ast.Import):
            found |= {f"!{alias.name}" for alias in node.names}
        elif node.level == 0:
            found.add(f"!{node.module}")
        else:
            base = package[: len(package) - node.level + 1]
            for alias in node.names:
                target = ".".join([*base, *(node.module.split(".") if node.module else []), alias.name])
                found.add(target if target in MODULES else target.rpartition(".")[0])
    return found


def unit(name: str) -> str:
    named = {word for words in LAYERS for word in words}
    parts = name.split(".")
    return next((word for n in range(len(parts), 0, -1) if (word := ".".join(parts[:n])) in named), parts[0])


def layer(name: str) -> int:
    return next(number for number, words in enumerate(LAYERS) if unit(name) in words)


def test_every_module_has_one_layer() -> None:
    named = [word for words in LAYERS for word in words]
    assert len(named) == len(set(named))
    assert {unit(name) for name in MODULES if name} == set(named)


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name))
def test_imports_go_down(name: str) -> None:
    for target in sorted(target for target in imported(name) if target and not target.startswith("!")):
        assert unit(target) == unit(name) or layer(target) < layer(name), f"{name} imports {target}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_public_names_of_the_sandbox(name: str) -> None:
    for node in statements(MODULES[name]):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("sandbox.") for alias in node.names), name
        elif node.level == 0 and (node.module or "").split(".")[0] == "sandbox":
            assert node.module == "sandbox" and {alias.name for alias in node.names} <= set(sandbox.__all__), name


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_other_library(name: str) -> None:
    for target in imported(name):
        if target.startswith("!") and (top := target[1:].split(".")[0]) not in sys.stdlib_module_names:
            assert top in THIRD_PARTY or top in ("sandbox", "judge"), f"{name} imports {target}"


def test_the_sandbox_does_not_know_the_judge() -> None:
    """But for the command line, which looks it up when its command is given."""
    for name, path in modules(TREE / "sandbox").items():
        tree = ast.parse(path.read_text())
        inside = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
        }
        for node in statements(path):
            named = {a.name for a in node.names} if isinstance(node, ast.Import) else {node.module or ""}
            if any(word.split(".")[0] == "judge" for word in named):
                assert name == "cli.main" and id(node) in inside, name


def test_a_batch_test_imports_nothing_slow() -> None:
    code = "import sys, judge.execute, judge.verdict.decide; print(*sys.modules)"
    environ = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environ, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "judge.execute.batch" in loaded and not loaded & set(LAZY)


def test_the_reader_of_imports() -> None:
    assert {"facts", "verdict.profiles", "!signal"} <= imported("verdict.decide")
    assert {"execute.job", "!sandbox"} <= imported("execute.testing")
    assert unit("problem.model") == "problem.model" and unit("problem.icpc.legacy") == "problem"
