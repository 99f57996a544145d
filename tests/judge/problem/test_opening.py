"""From a path to a problem, or to all of its faults."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from judge.errors import PackageError
from judge.problem.faults import Faults
from judge.problem.icpc import matches
from judge.problem.opening import inspect, open_problem
from tests.judge.problem.packages import CURRENT, LEGACY, faults, write


def test_all_faults_are_raised_together(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", {**LEGACY, "problem.yaml": "nam: x\n", "data/secret/9.in": ""})
    with pytest.raises(PackageError) as caught:
        open_problem(root)
    assert [str(fault) for fault in caught.value.faults] == [
        "data/secret/9.in: error: there is no 9.ans for this input",
        "problem.yaml:1: error: unknown key 'nam' (did you mean 'name'?)",
    ]
    assert str(caught.value) == (
        f"problem package {root}: data/secret/9.in: error: there is no 9.ans for this input (and 1 more; see pysandbox "
        "judge check)"
    )
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults


def test_warnings_do_not_stop(tmp_path: Path) -> None:
    root = write(tmp_path / "My-Sum", {**LEGACY, "submissions/x.py": ""})
    problem = open_problem(root)
    assert problem.name == "My-Sum" and problem.digest
    assert [str(fault) for fault in inspect(root)[1]] == [
        ".: warning: the package's name 'My-Sum' must be lower-case letters and digits",
        "submissions/x.py: warning: not in a directory of submissions, and passed over",
    ]


def test_what_a_package_must_have_and_judging_does_not_need(tmp_path: Path) -> None:
    files = {name: text for name, text in CURRENT.items() if name.startswith(("data/", "problem.yaml"))}
    assert faults(tmp_path, files) == [
        "input_validators: warning: there is no input validator",
        "statement: warning: there is no problem statement",
        "submissions/accepted: warning: there is no accepted submission",
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nowhere", ".: error: no such file or directory"),
        ("empty", ".: error: no problem package: neither problem.yaml"),
        ("loop", ".: error: no such file or directory"), ("closed", ".: error: cannot be read: Permission denied"),
        ("x.zip", ".: error: an archive, and no directory was given"), ("null", ".: error: neither a directory nor"),
    ],
)  # fmt: skip
def test_what_is_no_package(tmp_path: Path, name: str, fault: str) -> None:
    write(tmp_path, {"empty": None, "x.zip": "PK"})
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "closed").mkdir(0)
    problem, found = inspect(tmp_path / name)
    assert problem is None and str(found[0]).startswith(fault)
    with pytest.raises(PackageError):
        open_problem(tmp_path / name)


def test_an_archive(tmp_path: Path) -> None:
    write(tmp_path / "files/top", LEGACY)
    shutil.make_archive(str(tmp_path / "sum"), "zip", tmp_path / "files")
    into = tmp_path / "into"
    into.mkdir()
    problem = open_problem(tmp_path / "sum.zip", into=into)
    assert problem.name == "sum" and into in problem.root.parents and len(problem.tests) == 3
    assert problem.digest == open_problem(tmp_path / "files/top").digest


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "sum.zip").write_bytes(b"PK\x03\x04 and nothing more")
    problem, found = inspect(tmp_path / "sum.zip", into=tmp_path)
    assert problem is None and len(found) == 1 and found[0].severity == "error"


def test_the_root_may_be_reached_by_a_link(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", LEGACY)
    (tmp_path / "link").symlink_to("sum")
    assert open_problem(tmp_path / "link").root == root.resolve()


def test_data_alone_is_a_broken_package_of_the_icpc(tmp_path: Path) -> None:
    write(tmp_path, {"data/secret/1.in": ""})
    assert matches(tmp_path) and not matches(tmp_path / "data")


def test_faults_are_told_once_and_in_order() -> None:
    faults = Faults()
    faults.error("b", 2, "x")
    faults.warning("a", 0, "y")
    faults.error("b", 2, "x")
    assert [str(fault) for fault in faults.all] == ["a: warning: y", "b:2: error: x"] and len(faults.errors) == 1
