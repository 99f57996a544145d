"""The package: what setup.cfg promises, and (marked ``package``) what a built wheel really holds."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]

# Each costs a launch 1 to 10 ms; the command line must not pay for them on its way to a run.
HEAVY = {"argparse", "asyncio", "contextlib", "dataclasses", "enum", "functools", "hashlib", "inspect",
         "json", "pathlib", "re", "socket", "subprocess", "tomllib", "typing"}  # fmt: skip


def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(TREE / "setup.cfg", encoding="utf-8")
    return parser


def version() -> str:
    for node in ast.parse((TREE / "sandbox/__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            return str(ast.literal_eval(node.value))
    raise AssertionError("sandbox/__init__.py has no literal __version__")


def test_version_is_a_literal_that_a_build_reads_without_importing() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", version())


def test_metadata() -> None:
    assert config()["metadata"]["name"] == "pysandbox"
    assert config()["metadata"]["license"] == "MIT"
    assert config()["options"]["python_requires"] == ">=3.11"
    assert "entry_points" not in config()["options"], "a generated script imports re, 3 ms at each start"


def test_the_command_is_a_plain_script_that_imports_one_thing() -> None:
    script = TREE / "bin/pysandbox"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env python3\n"), "an installer rewrites exactly this kind of line"
    imports = [n for n in ast.walk(ast.parse(script.read_text())) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(n) for n in imports] == ["from sandbox.cli.main import console"]


def test_the_command_starts_without_heavy_imports() -> None:
    code = "import sys; before = set(sys.modules); import sandbox.cli.main; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(TREE)!r}); {code}"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert not HEAVY & set(done.stdout.split())


def test_every_package_directory_is_importable() -> None:
    missing = [d for d in (TREE / "sandbox").rglob("*") if d.is_dir() and list(d.glob("*.py"))]
    assert not [str(d) for d in missing if not (d / "__init__.py").exists()]


def test_the_executable_is_static_and_executable() -> None:
    spawner = TREE / "sandbox/native/spawner"
    assert os.access(spawner, os.X_OK), f"{spawner} is missing; run ./dev build"
    headers = subprocess.run(["readelf", "-lW", spawner], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "INTERP" not in headers, "it asks for a loader"
    stack = next(line for line in headers.splitlines() if "GNU_STACK" in line)
    assert "RWE" not in stack, "its stack is executable"


def dist(pattern: str) -> Path:
    """The one built file of this kind; tox -e package names the directory."""
    found = sorted(Path(os.environ["PYSANDBOX_DIST"]).glob(pattern))
    assert len(found) == 1, found
    return found[0]


@pytest.mark.package
def test_wheel_is_tagged_for_one_platform_and_every_python() -> None:
    assert re.fullmatch(rf"pysandbox-{re.escape(version())}-cp311-abi3-linux_\w+\.whl", dist("*.whl").name)


@pytest.mark.package
def test_wheel_holds_the_package_the_policies_and_an_executable() -> None:
    with zipfile.ZipFile(dist("*.whl")) as wheel:
        mode = {i.filename: i.external_attr >> 16 & 0o777 for i in wheel.infolist()}
        script = wheel.read(f"pysandbox-{version()}.data/scripts/pysandbox")
    assert f"pysandbox-{version()}.data/scripts/pysandbox-oci" in mode
    assert mode["sandbox/native/spawner"] == 0o755
    assert {"sandbox/native/_core.abi3.so", "judge/native/_compare.abi3.so"} <= set(mode)
    assert script.startswith(b"#!python"), "an installer puts its own interpreter in place of this line only"
    source = {str(p.relative_to(TREE)) for suffix in ("py", "txt") for p in (TREE / "sandbox").rglob(f"*.{suffix}")}
    data = {str(p.relative_to(TREE)) for suffix in ("toml", "json") for p in (TREE / "policies").glob(f"*.{suffix}")}
    assert data, "no policies in the tree"
    assert source | data <= set(mode)
    foreign = {n.split("/")[0] for n in mode} - {"sandbox", "judge", "policies"}
    assert all(n.startswith(f"pysandbox-{version()}.") for n in foreign), foreign


@pytest.mark.package
def test_sdist_holds_the_tests_and_no_build_results() -> None:
    with tarfile.open(dist("*.tar.gz")) as sdist:
        names = {n.partition("/")[2] for n in sdist.getnames()}
    assert {"dev", "tox.ini", "setup.py", "tests/conftest.py", "scripts/native.py", "sandbox/native/spawner.c"} <= names
    built = ("sandbox/native/spawner", "sandbox/native/_core.c", "judge/native/_compare.c")
    assert not [n for n in names if n in built or n.endswith((".so", ".pyc"))]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of a fresh environment, outside of the tree, with nothing in it but the wheel and what it asks for."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=True)
    pip = [str(home / "bin/python"), "-I", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, str(dist("*.whl"))], check=True, timeout=500)
    return home / "bin"


def outside(command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "PYSANDBOX_", "VIRTUAL_ENV"))}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.package
@pytest.mark.timeout(600)
def test_installed_wheel_tells_its_version(installed: Path, tmp_path: Path) -> None:
    done = outside([installed / "pysandbox", "version"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert version() in done.stdout


@pytest.mark.package
@pytest.mark.timeout(600)
def test_installed_wheel_runs_a_program(installed: Path, tmp_path: Path) -> None:
    done = outside([installed / "pysandbox", "run", "--wall", "20s", "--", "/bin/echo", "hello"], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    done = outside([installed / "pysandbox", "run", "--wall", "20s", "--", "/bin/sh", "-c", "exit 3"], tmp_path)
    assert done.returncode == 3
