"""submit-answer: nothing of the submission is run."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from judge.execute.answer import names_of
from judge.problem.model import MIB, SUBMIT_ANSWER

Judge = Callable[..., SimpleNamespace]
KINDS = frozenset({SUBMIT_ANSWER})


def test_one_file_for_one_test(judged: Judge, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("7\n")
    assert judged(None, answers=tmp_path / "mine", kinds=KINDS, answer="7").word == "AC"
    assert judged(None, answers=tmp_path / "mine", kinds=KINDS, answer="8").word == "WA"


@pytest.mark.parametrize("name", ["secret/1.ans", "1.out", "1", "secret/1.txt"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_name_for_each_test(judged: Judge, tmp_path: Path, name: str, zipped: bool) -> None:
    if zipped:
        answers = tmp_path / "mine.zip"
        with zipfile.ZipFile(answers, "w") as archive:
            archive.writestr(name, "7\n")
    else:
        answers = tmp_path / "mine"
        (answers / name).parent.mkdir(parents=True)
        (answers / name).write_text("7\n")
    assert judged(None, answers=answers, kinds=KINDS, answer="7").word == "AC"


def test_what_is_not_there_is_wrong(judged: Judge, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    found = judged(None, answers=tmp_path / "mine", kinds=KINDS, answer="7")
    assert found.word == "WA" and found.verdict.detail == "no file secret/1.ans was submitted"


def test_a_hostile_directory(judged: Judge, tmp_path: Path) -> None:
    """A link to the answer of the jury, a FIFO, too much."""
    for number, make in enumerate((
        lambda p: p.symlink_to(tmp_path / "package" / "1.ans"), lambda p: os.mkfifo(p),
        lambda p: p.write_bytes(b"7" * (MIB + 1)), lambda p: p.mkdir(),
    )):  # fmt: skip
        answers = tmp_path / f"mine{number}"
        answers.mkdir()
        make(answers / "1.ans")
        assert judged(None, answers=answers, kinds=KINDS, answer="7").word == "WA"


def test_a_bomb(judged: Judge, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.ans", bytes(50 * MIB))
    found = judged(None, answers=tmp_path / "mine.zip", kinds=KINDS, answer="7")
    assert found.word == "WA" and "longer than 1048576 bytes" in found.verdict.detail


def test_a_broken_archive(judged: Judge, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("1.ans", "7\n" * 1000)
    data = bytearray((tmp_path / "whole.zip").read_bytes())
    data[60:200] = bytes(140)
    (tmp_path / "mine.zip").write_bytes(data)
    found = judged(None, answers=tmp_path / "mine.zip", kinds=KINDS, answer="7")
    assert found.word == "WA" and "cannot be read" in found.verdict.detail


def test_nothing_submitted_is_our_fault(judged: Judge) -> None:
    found = judged(None, kinds=KINDS)
    assert found.word == "JE" and "no answers were submitted" in found.verdict.detail


def test_names() -> None:
    assert names_of("secret/g/1")[:3] == ("secret/g/1.ans", "secret/g/1.out", "secret/g/1.txt")
    assert "1.ans" in names_of("secret/g/1") and len(names_of("1")) == 4
