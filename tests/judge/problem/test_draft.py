"""The draft 2023-07 as problemtools reads it: metadata of the new kind, test data of the legacy kind."""

from __future__ import annotations

from pathlib import Path

from judge.problem.model import SECOND, Checker, Scoring
from tests.judge.problem.packages import DRAFT, Files, errors, good


def test_a_good_package(tmp_path: Path) -> None:
    files: Files = {
        **DRAFT, "data/secret/testdata.yaml": "on_reject: continue\n", "data/secret/01.files/a/b.txt": "x",
        "output_validator/check.py": "",
    }  # fmt: skip
    problem = good(tmp_path, files)
    assert problem.format == "icpc-draft" and problem.limits.time_ns == 3 * SECOND // 2
    assert problem.limits.rule.ac_to_limit == 2.0 and problem.allow_file_writing
    assert problem.data.children[1].scoring == Scoring(on_reject="continue")  # type: ignore[union-attr]
    assert problem.tests[1].files == {"a/b.txt": tmp_path / "sum/data/secret/01.files/a/b.txt"}
    assert problem.checkers == (Checker("validator", source=tmp_path / "sum/output_validator/check.py"),)
    assert problem.submissions[0].expected.verdicts == {"AC", "PAC"}


def test_what_belongs_to_other_versions(tmp_path: Path) -> None:
    files: Files = {
        **DRAFT, "data/secret/test_group.yaml": "", "data/secret/01.args": "x", "output_validators/x.py": "",
    }  # fmt: skip
    assert errors(tmp_path, files) == [
        "data/secret/01.args: error: arguments in an .args file are not read (2025-09 has args in the test's "
        "own .yaml)",
        "data/secret/test_group.yaml: error: must not be here (the configuration of a group is its testdata.yaml)",
        "output_validators: error: is called output_validator/ in this version of the format",
    ]
