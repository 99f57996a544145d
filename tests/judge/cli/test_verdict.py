"""``pysandbox judge verdict``: other words from the same facts, and nothing is run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from judge.facts import REJECT, CheckFacts, Evidence, PassFacts
from judge.report import document
from judge.result import GroupResult, SubmissionResult, TestResult
from judge.verdict import Verdict
from judge.verdict.decide import decide
from tests.judge.report import samples

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def fact(name: str, **run: object) -> TestResult:
    """A test with these facts, as it was judged under icpc."""
    evidence = Evidence((PassFacts(samples.run(**run), CheckFacts("accept", "tokens")),))  # type: ignore[arg-type]
    return TestResult(name, decide(evidence, "icpc"), name.startswith("sample"), evidence=evidence)


def judged(*secret: TestResult) -> SubmissionResult:
    return samples.result(secret, [fact("sample/1")])


def idle(name: str) -> TestResult:
    return fact(name, outcome="idle", exit_code=None, signal=9, causes=(("idle", "no CPU used", 5),))


def saved(tmp_path: Path, *results: SubmissionResult) -> Path:
    file = tmp_path / "result.json"
    file.write_text(document.text(document.document(samples.problem(), results)))
    return file


def test_the_same_profile_gives_the_same_words(pysandbox: Run, tmp_path: Path) -> None:
    done = pysandbox("judge", "verdict", saved(tmp_path, judged(*(fact(f"secret/0{n}") for n in (1, 2, 3)))))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "right.cpp: AC accepted (icpc, as it was)\n"


def test_another_profile_has_other_words(pysandbox: Run, tmp_path: Path) -> None:
    skipped = TestResult("secret/03", Verdict("SK"), origin="skipped")
    result = judged(fact("secret/01"), idle("secret/02"), skipped)
    assert result.verdict.word == "ILE"
    done = pysandbox("judge", "verdict", saved(tmp_path, result), "--profile", "dmoj")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "right.cpp: TLE time limit exceeded (dmoj)"
    assert lines[1] == "  was ILE (icpc)"
    assert any(line.startswith("  secret/02: ILE -> TLE: ") for line in lines)


def test_a_test_that_would_count_now_and_was_not_judged(pysandbox: Run, tmp_path: Path) -> None:
    """As if the facts of the first had been read wrongly then."""
    first = replace(fact("secret/01"), verdict=Verdict("WA"))
    rest = [TestResult(f"secret/0{n}", Verdict("SK"), origin="skipped") for n in (2, 3)]
    done = pysandbox("judge", "verdict", saved(tmp_path, judged(first, *rest)))
    assert done.returncode == 1
    assert "  secret/02 would count now, and was not judged then" in done.stdout.splitlines()


def test_json_can_be_read_again(pysandbox: Run, tmp_path: Path) -> None:
    file = saved(tmp_path, judged(*(idle(f"secret/0{n}") for n in (1, 2, 3))))
    done = pysandbox("judge", "verdict", file, "--profile", "dmoj", "--json", "-")
    data = json.loads(done.stdout)
    assert [result["verdict"]["word"] for result in data["results"]] == ["TLE"]
    file.write_text(done.stdout)
    assert pysandbox("judge", "verdict", file).stdout == "right.cpp: TLE time limit exceeded (dmoj, as it was)\n"


def test_what_did_not_compile_stays_so(pysandbox: Run, tmp_path: Path) -> None:
    done = pysandbox("judge", "verdict", saved(tmp_path, samples.broken()))
    assert (done.returncode, done.stdout) == (1, "broken\\x1b[2J.c: CE compile error (icpc, as it was)\n")


def test_scores_follow(pysandbox: Run, tmp_path: Path) -> None:
    """A scored problem: points of the tests that are accepted, by the rules in the document."""
    from judge.problem.model import Group, Scoring, Test

    tests = tuple(Test(f"secret/0{n}", Path("x"), points=10.0) for n in (1, 2, 3))
    data = Group("", (Group("secret", tests, Scoring(on_reject="continue")),), Scoring())
    problem = samples.problem(kinds=frozenset({"scoring"}), data=data, format="dmoj")
    wrong = PassFacts(samples.run(), CheckFacts(REJECT, "tokens"))
    results = (fact("secret/01"), fact("secret/02"),
               TestResult("secret/03", Verdict("WA"), evidence=Evidence((wrong,))))  # fmt: skip
    root = GroupResult("", Verdict("AC"), 0.0, (GroupResult("secret", Verdict("AC"), 0.0, results),))
    result = replace(judged(), root=root, score=0.0, verdict=Verdict("AC"))
    file = tmp_path / "result.json"
    file.write_text(document.text(document.document(problem, [result])))
    done = pysandbox("judge", "verdict", file)
    assert done.stdout.splitlines()[:2] == [
        "right.cpp: PAC partially accepted, score 20 (icpc)", "  was AC 0 (icpc)",
    ]  # fmt: skip


def test_a_file_that_is_none_of_ours(pysandbox: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"schema": 1, "problem": {}}')
    done = pysandbox("judge", "verdict", "x.json")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.count("\n") == 1 and "x.json" in done.stderr
