"""The whole path: a submission becomes a result."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.errors import JudgeError
from judge.events import Began, Compiled, Ended, GroupEnded, TestEnded
from judge.grade import scratch
from judge.grade.schedule import cpus
from judge.problem.model import Checker, Group, Scoring
from judge.result import SubmissionResult
from sandbox import HostError

from .packages import C_SUM, TIME_NS, flat, package, submission, write_tests

# Wrong from the third test on; slower for smaller numbers, so that with two workers later tests end first.
C_WRONG = """
#include <stdio.h>
int main(void){long a,b;if(scanf("%ld%ld",&a,&b)!=2)return 3;
for(volatile long i=0;i<(10-a)*3000000;i++);
printf("%ld\\n",a>=2?7777:a+b);}
"""


def words(result: SubmissionResult) -> list[str]:
    return [test.verdict.word for test in result.tests]


def test_accepted(tmp_path: Path, judged: Any) -> None:
    events: list[Any] = []
    problem = flat(tmp_path, 3)
    result = judged(problem, submission(tmp_path, C_SUM), events)
    assert (result.verdict.word, result.language, result.score) == ("AC", "c", None)
    assert words(result) == ["AC"] * 3
    assert (result.time_ns, result.memory_bytes) == (TIME_NS, 64 << 20)
    assert all(test.cpu_ns is not None and test.origin == "run" for test in result.tests)
    assert [type(event) for event in events] == [Began, Compiled, *[TestEnded] * 3, GroupEnded, GroupEnded, Ended]
    assert SubmissionResult.from_json(result.to_json()) == result


def test_first_reject_ends_the_group(tmp_path: Path, judged: Any) -> None:
    result = judged(flat(tmp_path, 5), submission(tmp_path, C_WRONG))
    assert words(result) == ["AC", "AC", "WA", "SK", "SK"]
    assert (result.verdict.word, result.verdict.detail) == ("WA", "test secret/002")


def test_everything_is_judged_on_request(tmp_path: Path, judged: Any) -> None:
    result = judged(flat(tmp_path, 5), submission(tmp_path, C_WRONG), early=False)
    assert words(result) == ["AC", "AC", "WA", "WA", "WA"]
    assert result.verdict.detail == "test secret/002"


@pytest.mark.skipif(len(cpus()) < 2, reason="one CPU: there is one worker at most")
def test_two_workers_give_the_result_of_one(tmp_path: Path, judged: Any) -> None:
    tests = write_tests(tmp_path, [f"secret/{g}/{n}" for g in "ab" for n in range(5)], lambda number: number % 5)
    for policy in ("break", "continue"):
        problem = package(
            tmp_path, Group("secret/a", tests[:5], Scoring(accept_score=2, on_reject=policy)),
            Group("secret/b", tests[5:], Scoring("min", "first_error", on_reject="continue")),
            scoring=Scoring(on_reject="continue"), scored=True, format="polygon",
        )  # fmt: skip
        one, two = (
            judged(problem, submission(tmp_path, C_WRONG), jobs=jobs, journaled=False) for jobs in (1, 2)
        )
        assert words(one) == words(two)
        assert (one.verdict, one.score) == (two.verdict, two.score)
        assert {test.evidence.passes[0].run.cpuset for test in two.tests if test.evidence.passes} == {"0", "1"} or (
            len({test.evidence.passes[0].run.cpuset for test in two.tests if test.evidence.passes}) == 2
        )


def test_equal_tests_are_run_once(tmp_path: Path, judged: Any) -> None:
    tests = write_tests(tmp_path, ["secret/1", "secret/2", "secret/3", "secret/4"], lambda number: number % 2)
    (tmp_path / "secret/4.ans").write_text("9\n")  # not equal: the same input with another answer of the same length
    result = judged(package(tmp_path, Group("secret", tests)), submission(tmp_path, C_SUM))
    assert [(test.origin, test.same_as) for test in result.tests] == [
        ("run", ""), ("run", ""), ("same", "secret/1"), ("run", ""),
    ]  # fmt: skip
    assert words(result) == ["AC", "AC", "AC", "WA"]
    assert result.tests[2].evidence == result.tests[0].evidence


def test_compile_error(tmp_path: Path, judged: Any) -> None:
    result = judged(flat(tmp_path, 2), submission(tmp_path, "int main(void){return x;}\n"))
    assert result.verdict.word == "CE"
    assert "x" in result.compile.message
    assert words(result) == ["SK", "SK"]


def test_language_that_the_problem_does_not_allow(tmp_path: Path, judged: Any) -> None:
    problem = replace(flat(tmp_path, 1), languages=frozenset({"python3"}))
    result = judged(problem, submission(tmp_path, C_SUM))
    assert (result.verdict.word, result.compile.message) == ("CE", "language c is not allowed here, only python3")


def test_checker_that_does_not_compile_is_ours(tmp_path: Path, judged: Any) -> None:
    source = submission(tmp_path, "int main(void){return x;}\n", "check.c")
    problem = package(tmp_path, Group("secret", write_tests(tmp_path, ["secret/1"])),
                      checkers=(Checker("validator", source=source),))  # fmt: skip
    result = judged(problem, submission(tmp_path, C_SUM))
    assert result.verdict.word == "JE"
    assert "checker check.c does not compile" in result.verdict.detail


def test_checker_that_fails_is_never_blamed_on_the_submission(tmp_path: Path, judged: Any) -> None:
    # It fails on the first test only; the others are judged, for whoever looks into it.
    source = submission(tmp_path, "#include <stdio.h>\nint main(int n,char**v){long a;FILE*f=fopen(v[1],\"r\");"
                        "fscanf(f,\"%ld\",&a);return a?42:0;}\n", "check.c")  # fmt: skip
    tests = write_tests(tmp_path, ["secret/1", "secret/2"])
    problem = package(tmp_path, Group("secret", tests, Scoring(on_reject="continue")),
                      checkers=(Checker("validator", source=source),))  # fmt: skip
    result = judged(problem, submission(tmp_path, C_SUM))
    assert words(result) == ["JE", "AC"]
    assert result.verdict.word == "JE"


def test_graders_of_the_package_run_in_a_sandbox(tmp_path: Path, judged: Any) -> None:
    grader = submission(tmp_path, "import sys\nlines = sys.stdin.read().split()\n"
                        "ok = lines[0::2].count('AC')\nprint('AC' if 'half' in sys.argv else 'WA', ok * 10)\n",
                        "grade.py")  # fmt: skip
    tests = write_tests(tmp_path, ["secret/1", "secret/2", "secret/3"])
    scoring = Scoring(on_reject="continue", grader=grader, grader_flags=("half",))
    problem = package(tmp_path, Group("secret", tests, scoring), scored=True)
    result = judged(problem, submission(tmp_path, C_WRONG))
    assert (result.verdict.word, result.score) == ("PAC", 20)
    broken = submission(tmp_path, "print('fine, thanks')\n", "broken.py")
    problem = package(tmp_path, Group("secret", tests, replace(scoring, grader=broken)), scored=True)
    result = judged(problem, submission(tmp_path, C_SUM))
    assert result.verdict.word == "JE"
    assert "grader broken.py: its output is not a verdict and a score" in result.notes


def test_limits_of_the_caller_replace_the_package_s(tmp_path: Path, judged: Any) -> None:
    result = judged(flat(tmp_path, 1), submission(tmp_path, C_SUM), time_ns=5 * TIME_NS, memory_bytes=96 << 20)
    limits = result.tests[0].evidence.passes[0].run.limits
    assert (limits.time_ns, limits.memory_bytes) == (5 * TIME_NS, 96 << 20)
    assert result.time_ns == 5 * TIME_NS


def test_no_time_limit_is_said_before_anything_runs(tmp_path: Path, judged: Any) -> None:
    problem = flat(tmp_path, 1)
    problem = replace(problem, limits=replace(problem.limits, time_ns=None))
    with pytest.raises(JudgeError, match="has no time limit"):
        judged(problem, submission(tmp_path, C_SUM))


def test_more_workers_than_cpus_are_refused(tmp_path: Path, judged: Any) -> None:
    many = len(os.sched_getaffinity(0)) + 1
    with pytest.raises(JudgeError, match=f"jobs {many}: .*use -j {many - 1}"):
        judged(flat(tmp_path, 1), submission(tmp_path, C_SUM), jobs=many)


def test_a_host_without_limits_is_an_error_and_no_verdict(tmp_path: Path, judged: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYSANDBOX_CGROUP", "none")
    with pytest.raises(HostError):
        judged(flat(tmp_path, 2), submission(tmp_path, C_SUM))


def test_temporary_files_are_gone(tmp_path: Path, judged: Any, monkeypatch: Any) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    # no pid is that high (PID_MAX_LIMIT)
    dead = place / f"pysandbox-judge-{2**22 + 5}-1-{os.stat('/proc/self/ns/pid').st_ino}-dead"
    (dead / "deep").mkdir(parents=True)
    with scratch.Scratch(place) as living:
        judged(flat(tmp_path, 1), submission(tmp_path, C_SUM))
        assert [entry for entry in place.iterdir() if entry.name.startswith(scratch.PREFIX)] == [living]
    assert not [entry for entry in place.iterdir() if entry.name.startswith(scratch.PREFIX)]
