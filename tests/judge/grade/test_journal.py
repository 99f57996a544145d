"""Nothing lost, nothing counted twice: the journal by itself, and judges that are killed in the middle."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from judge.errors import JudgeError
from judge.facts import Evidence, PassFacts, RunFacts
from judge.grade.journal import VERSION, Journal
from judge.grade.judging import Options
from tests.slowness import SLOW

from .packages import C_SUM, flat, submission

TREE = Path(__file__).resolve().parents[3]


def evidence(number: int) -> Evidence:
    return Evidence((PassFacts(RunFacts("ok", exit_code=0, cpu_ns=number, causes=(("exited", "x", 3),))),))


def test_unfinished_judging_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "judge.sqlite"
    with Journal(path) as journal:
        entry = journal.begin("key", "p", "s")
        assert entry.known == {}
        entry.write("a", evidence(1))
        entry.write("b", evidence(2))
    with Journal(path) as journal:
        assert journal.begin("other", "p", "s").known == {}
        entry = journal.begin("key", "p", "s")
        assert entry.known == {"a": evidence(1), "b": evidence(2)}
        entry.finish()
        assert journal.begin("key", "p", "s").known == {}
    assert path.stat().st_mode & 0o777 == 0o600


def test_fresh_throws_away(tmp_path: Path) -> None:
    path = tmp_path / "judge.sqlite"
    with Journal(path) as journal:
        journal.begin("key", "p", "s").write("a", evidence(1))
    with Journal(path) as journal:
        assert journal.begin("key", "p", "s", fresh=True).known == {}
    with Journal(path) as journal:
        assert journal.begin("key", "p", "s").known == {}


def test_what_another_judge_works_on_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "judge.sqlite"
    with Journal(path) as one, Journal(path) as two:
        mine = one.begin("key", "p", "s")
        mine.write("a", evidence(1))
        theirs = two.begin("key", "p", "s")
        assert (theirs.known, theirs.number == mine.number) == ({}, False)
        theirs.write("a", evidence(2))
        mine.finish()
    with Journal(path) as three:
        assert three.begin("key", "p", "s").known == {"a": evidence(2)}


def test_files_that_are_no_journal_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "judge.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"nonsense" * 500)
    with pytest.raises(JudgeError, match=r"judge.sqlite: .*--journal"):
        Journal(path)
    path.write_text("not a database at all, but long enough to look at\n" * 50)
    with pytest.raises(JudgeError, match=r"corrupted .*remove it"):
        Journal(path)
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    with pytest.raises(JudgeError, match="not the judge's"):
        Journal(path)
    path.unlink()
    Journal(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(JudgeError, match=f"of version {VERSION + 1}, this judge knows {VERSION}"):
        Journal(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(JudgeError, match="name another one with --journal"):
        Journal(link)


def test_evidence_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "judge.sqlite"
    with Journal(path) as journal:
        journal.begin("key", "p", "s").write("a", evidence(1))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE test SET evidence = '{}'")
    database.close()
    with Journal(path) as journal, pytest.raises(JudgeError, match="corrupted"):
        journal.begin("key", "p", "s")


def test_a_finished_judging_is_judged_anew_and_other_limits_are_another_one(tmp_path: Path, judged: Any) -> None:
    problem, source = flat(tmp_path, 2), submission(tmp_path, C_SUM)
    for options in ({}, {}, {"memory_bytes": 96 << 20}, {"journaled": False}):
        assert {test.origin for test in judged(problem, source, **options).tests} == {"run"}


# Judges in a process of its own, which the test kills. The submission takes 50 ms a test.
KILLED = """
import sys
from pathlib import Path
from judge.grade.judging import Options, judge
from judge.language import load
from tests.judge.grade.packages import flat
root = Path(sys.argv[1])
options = Options(jobs=int(sys.argv[2]), cache=Path(sys.argv[3]), journal=root / "journal.sqlite", reruns=0)
print("begins", flush=True)
judge(flat(root, 12), root / "slow.c", languages=load(), options=options,
      listener=lambda event: print(type(event).__name__, flush=True))
"""
C_SLOW = C_SUM.replace("{long a", "{struct{long s,n;}t={0,50000000};nanosleep((void*)&t,0);long a").replace(
    "#include <stdio.h>", "#include <stdio.h>\n#include <time.h>")  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_at_any_moment(tmp_path: Path, judged: Any, cache: Path, jobs: int) -> None:
    if jobs > len(os.sched_getaffinity(0)):
        pytest.skip("one CPU: there is one worker at most")
    problem, source = flat(tmp_path, 12), submission(tmp_path, C_SLOW, "slow.c")
    chance = random.Random(jobs)
    for turn in range(3):
        argv = [sys.executable, "-c", KILLED, str(tmp_path), str(jobs), str(cache)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(TREE)},
                              cwd=tmp_path, start_new_session=True) as victim:  # fmt: skip
            assert victim.stdout is not None
            shown, most = 0, chance.randint(0, 6)
            for line in victim.stdout:
                shown += line == "TestEnded\n"
                if line == "Compiled\n" and most == 0 or shown and shown >= most:
                    break
            time.sleep(chance.uniform(0, 0.08) * SLOW)
            victim.send_signal(signal.SIGKILL)
        with sqlite3.connect(tmp_path / "journal.sqlite") as database:
            written = database.execute(
                "SELECT count(*), count(DISTINCT name) FROM test JOIN judging ON id = judging WHERE NOT finished"
            ).fetchone()
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
        assert written[0] == written[1] >= shown, turn  # what was shown had been written
        result = judged(problem, source, jobs=jobs, reruns=0)
        origins = [test.origin for test in result.tests]
        assert origins.count("journal") == written[0] and origins.count("run") == 12 - written[0]
        assert (result.verdict.word, {test.verdict.word for test in result.tests}) == ("AC", {"AC"})
        assert all(len(test.evidence.passes) == 1 for test in result.tests)


def test_default_place_follows_the_xdg_specification(monkeypatch: Any) -> None:
    from judge.grade.journal import default_path

    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_path() == Path("/state/pysandbox/judge.sqlite")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # to be ignored
    assert default_path() == Path.home() / ".local/state/pysandbox/judge.sqlite"
    assert Options().journal is None
