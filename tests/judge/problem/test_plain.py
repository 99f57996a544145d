"""A folder of pairs with nothing that describes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.problem.model import Checker, Group, Scoring
from tests.judge.problem.packages import Files, errors, good, read


def names(root: Path, *files: str) -> list[str]:
    problem = good(root, dict.fromkeys(files, ""))
    assert problem.format == "plain"
    return [f"{test.name} {test.input.name} {test.answer.name if test.answer else ''}" for test in problem.tests]


def test_pairs_in_the_order_of_numbers(tmp_path: Path) -> None:
    problem = good(tmp_path, {"10.in": "1", "10.ans": "1", "9.in": "2", "9.ans": "2", "README": "", "a.cpp": ""})
    assert [test.name for test in problem.tests] == ["9", "10"]
    assert problem.checkers == (Checker(),) and problem.limits.time_ns is None
    assert problem.data.scoring == Scoring("pass-fail") and problem.submissions == ()
    assert problem.tests[0].answer == tmp_path / "sum/9.ans"


@pytest.mark.parametrize(
    ("files", "tests"),
    [
        (("1.in", "1.out"), ["1 1.in 1.out"]),
        (("input1.txt", "output1.txt", "input10.txt", "output10.txt"),
         ["1 input1.txt output1.txt", "10 input10.txt output10.txt"]),
        (("input.txt", "output.txt"), ["1 input.txt output.txt"]),
        (("in1", "out1"), ["1 in1 out1"]),
        (("test_1_input.txt", "test_1_answer.txt"), ["test_1 test_1_input.txt test_1_answer.txt"]),
        (("a.in.txt", "a.out.txt"), ["a a.in.txt a.out.txt"]),
        (("input1.in", "output1.out"), ["1 input1.in output1.out"]),
        (("input/1.txt", "output/1.txt"), ["1 1.txt 1.txt"]),
        (("input/input00.txt", "output/output00.txt"), ["00 input00.txt output00.txt"]),
        (("in/a", "out/a"), ["a a a"]),
        (("01", "01.a", "02", "02.a"), ["01 01 01.a", "02 02 02.a"]),
        (("finding.in", "finding.out", "about.txt"), ["finding finding.in finding.out"]),
    ],
)  # fmt: skip
def test_ways_to_name_them(tmp_path: Path, files: tuple[str, ...], tests: list[str]) -> None:
    assert names(tmp_path, *files) == tests


def test_folders_are_groups(tmp_path: Path) -> None:
    problem = good(
        tmp_path, {f"{name}{end}": "" for name in ("g10/1", "g2/1", "g2/x/y", "sample/1") for end in (".in", ".ans")}
    )
    assert [test.name for test in problem.tests] == ["sample/1", "g2/1", "g2/x/y", "g10/1"]
    assert [test.sample for test in problem.tests] == [True, False, False, False]
    assert [child.name for child in problem.data.children if isinstance(child, Group)] == ["sample", "g2", "g10"]


def test_a_name_can_say_that_it_is_a_sample(tmp_path: Path) -> None:
    problem = good(
        tmp_path, {"1.in": "", "1.ans": "", "sample01.in": "", "sample01.ans": "", "sampler.in": "", "sampler.ans": ""}
    )
    assert [(test.name, test.sample) for test in problem.tests] == [
        ("sample01", True),
        ("1", False),
        ("sampler", False),
    ]


def test_halves_and_doubles(tmp_path: Path) -> None:
    files: Files = dict.fromkeys(
        ("1.in", "2.ans", "3.in", "3.ans", "3.out", "g/4.in", "5.in", "5.ans", "5/1.in", "5/1.ans"), ""
    )
    assert errors(tmp_path, files) == [
        "1.in: error: there is no answer for this input (such as .ans or .out)",
        "2.ans: error: there is no input for this answer (such as .in)",
        "3.out: error: two answers for one test: 3.ans, 3.out",
        "5: error: a test and a folder of tests have the same name",
        "g/4.in: error: there is no answer for this input (such as .ans or .out)",
    ]


def test_a_folder_without_a_pair(tmp_path: Path) -> None:
    assert errors(tmp_path, {"a.py": "", "b/c.txt": ""}) == [
        ".: error: no problem package: neither problem.yaml, problem.xml, init.yml nor pairs of inputs and answers"
    ]
    problem, found = read(tmp_path / "b", {"out/1.txt": ""})
    assert problem is None and str(found[-1]).startswith("out/1.txt: error: there is no input for this answer")
