"""``calibrate --write`` changes one value and no other byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.calibration import write
from judge.errors import JudgeError
from judge.problem.model import SECOND
from tests.judge.report import samples

KEEP = "problem_format_version: 2025-09\nname: Sum  # a comment\n"


@pytest.mark.parametrize(("before", "after"), [
    ("limits:\n  time_limit: 1.0  # s\n  memory: 64\n", "limits:\n  time_limit: 2  # s\n  memory: 64\n"),
    ("limits:\n  memory: 64\n  time_limit: 1\nuuid: x\n", "limits:\n  memory: 64\n  time_limit: 2\nuuid: x\n"),
    ("limits:\n    memory: 64\nuuid: x\n", "limits:\n    time_limit: 2\n    memory: 64\nuuid: x\n"),
    ("limits: # all\n\n  # why\n  memory: 64\n", "limits: # all\n  time_limit: 2\n\n  # why\n  memory: 64\n"),
    ("limits:\n", "limits:\n  time_limit: 2\n"), ("limits:", "limits:\n  time_limit: 2\n"),
    ("uuid: x", "uuid: x\nlimits:\n  time_limit: 2\n"), ("", "limits:\n  time_limit: 2\n"),
    ("limits:\n  memory: 64\r\nx: 1\r\n", "limits:\n  time_limit: 2\r\n  memory: 64\r\nx: 1\r\n"),
])  # fmt: skip
def test_one_value_changes(before: str, after: str) -> None:
    assert write.with_limit(KEEP + before, 2 * SECOND) == KEEP + after


@pytest.mark.parametrize("text", [
    "limits: {memory: 64}\n", "limits: &a\n  memory: 64\n", "? limits\n: memory: 3\n", '"limits":\n  memory: 64\n',
    "- 1\n", "limits:\n- memory\n", "a: [\n",
])  # fmt: skip
def test_what_cannot_be_edited_is_left_to_a_person(text: str) -> None:
    with pytest.raises(JudgeError, match="limits: time_limit: 0.25"):
        write.with_limit(text, SECOND // 4)


keys = st.sampled_from(["memory", "output", "time_multipliers", "note", "code"])
numbers = st.integers(0, 9)
values = st.one_of(numbers, st.text("ab:# -", max_size=6), st.dictionaries(keys, numbers, max_size=2))


@settings(max_examples=200, database=None, derandomize=True, deadline=None)
@given(st.dictionaries(keys, values, max_size=3), st.dictionaries(keys, values, max_size=2), st.integers(1, 10**11))
def test_all_else_stays_as_it_is(limits: dict[str, object], others: dict[str, object], limit_ns: int) -> None:
    before = {**others, **({"limits": limits} if limits else {})}
    text = yaml.safe_dump(before, default_flow_style=False) if before else ""
    after = yaml.safe_load(write.with_limit(text, limit_ns))
    assert after == {**before, "limits": {**limits, "time_limit": pytest.approx(limit_ns / SECOND, abs=1e-9)}}


def test_problem_yaml(tmp_path: Path) -> None:
    file = tmp_path / "problem.yaml"
    file.write_text(KEEP)
    file.chmod(0o640)
    assert write.write(samples.problem(root=tmp_path), SECOND // 2) == file
    assert file.read_text() == KEEP + "limits:\n  time_limit: 0.5\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["problem.yaml"]


def test_legacy_packages_have_a_file_for_it(tmp_path: Path) -> None:
    problem = samples.problem(root=tmp_path, format="icpc-legacy")
    assert write.write(problem, 3 * SECOND) == tmp_path / ".timelimit"
    assert (tmp_path / ".timelimit").read_text() == "3\n"


@pytest.mark.parametrize("name", ["plain", "dmoj", "polygon"])
def test_formats_without_a_place(name: str, tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="no place for a time limit"):
        write.write(samples.problem(root=tmp_path, format=name), SECOND)


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "else").write_text("mine")
    (tmp_path / ".timelimit").symlink_to("else")
    with pytest.raises(JudgeError, match="symbolic link"):
        write.write(samples.problem(root=tmp_path, format="icpc-legacy"), SECOND)
    assert (tmp_path / "else").read_text() == "mine"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="problem.yaml: cannot be written"):
        write.write(samples.problem(root=tmp_path), SECOND)
