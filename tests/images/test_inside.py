"""What runs in a helper sandbox is there alone, and what it says is not believed."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from sandbox.errors import HostError, RequestError, SupervisorError
from sandbox.images import helper
from sandbox.request import Mount
from sandbox.result import Result

INSIDE = Path(helper.INSIDE)


@pytest.mark.parametrize("path", sorted(INSIDE.glob("*.py")), ids=lambda path: path.name)
def test_imports_nothing_of_the_project_but_its_own(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1 or (node.level == 0 and (node.module or "").split(".")[0] != "sandbox")
        elif isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] != "sandbox" for alias in node.names)


def test_by_the_system_python_without_the_package() -> None:
    """As it is started: isolated, without site; every module can be imported so."""
    names = ", ".join(path.stem for path in INSIDE.glob("*.py") if path.stem != "__init__")
    code = f"import sys; sys.path.insert(0, {str(INSIDE.parent)!r}); from inside import {names}\n"
    code += "print('sandbox' in sys.modules)"
    done = subprocess.run([helper.PYTHON, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_it_may_do(tmp_path: Path) -> None:
    """Nothing of the host but the system and the named directory; no network; less memory than it could want."""
    (tmp_path / "target").mkdir()
    (tmp_path / "secret").write_text("secret")
    with helper.start_inside("remove", mounts=[Mount(source=str(tmp_path / "target"), target="/target")]) as running:
        spec = running.spec
        assert running.wait().exit_code == 0  # empty, and read-only: nothing to do
    assert spec.has("net") and spec.has("user") and spec.has("mount") and spec.policy == "default"
    assert [volume.writable for volume in spec.volumes] == [False, False]
    (tmp_path / "target/x").touch()
    result = helper.run_inside("remove", mounts=[Mount(source=str(tmp_path / "target"), target="/target")])
    with pytest.raises(HostError, match="read-only"):
        helper.report_of(result, "target", "x")
    assert (tmp_path / "secret").exists() and (tmp_path / "target/x").exists()


@pytest.mark.parametrize(("stderr", "status", "error"), [
    (b'\n{"refused": "bad \\u001b[31m"}\n', 3, RequestError), (b'\n{"failed": "disk"}', 1, HostError),
    (b'{"refused": 5}', 3, SupervisorError), (b"[]", 0, SupervisorError), (b"", 0, SupervisorError),
    (b"Traceback", 1, SupervisorError), (b"[" * 100_000, 0, SupervisorError), (b'{"bytes": 1}', 1, SupervisorError),
])  # fmt: skip
def test_answers(stderr: bytes, status: int, error: type[Exception]) -> None:
    result = Result(outcome="exited" if status else "ok", exit_code=status, stderr=stderr)
    with pytest.raises(error) as caught:
        helper.report_of(result, "layer", "x")
    assert str(caught.value).isprintable()


def test_values_of_answers() -> None:
    for value in (-1, True, "1", 1.5, None, 1 << 70):
        with pytest.raises(SupervisorError):
            helper.number({"n": value}, "n")
    for value in ("text", [1], ["x"] * 2000, None):
        with pytest.raises(SupervisorError):
            helper.texts({"t": value}, "t")
    assert helper.texts({"t": ["a\x1b[31mb\n" + "c" * 2000]}, "t")[0].isprintable()


def test_remove_tree(tmp_path: Path) -> None:
    """Directories without any mode, deep ones, and links that lead out."""
    top, victim = tmp_path / "top", tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").touch()
    (top / "closed/inner").mkdir(parents=True)
    (top / "closed/inner/file").touch()
    (top / "link").symlink_to(victim)
    (top / "closed/link").symlink_to(victim)
    os.chdir(top)
    for _ in range(1500):
        os.mkdir("deep")
        os.chdir("deep")
    os.chdir(tmp_path)
    (top / "closed/inner").chmod(0)
    (top / "closed").chmod(0)
    (top / "other").touch()
    helper.remove_tree(str(top), "closed", "link", "no such")
    assert sorted(os.listdir(top)) == ["deep", "other"]
    helper.remove_tree(str(top))
    assert os.listdir(top) == [] and (victim / "kept").exists()
