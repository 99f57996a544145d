"""``pysandbox judge`` from the words to the reports, with real submissions."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as xml

import jsonschema
import pytest

from tests.judge.cli.packages import LEAKS, RIGHT, SECRET, SLOW, WRONG, package, submissions

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "judge.schema.json").read_text())


@pytest.fixture
def judge(pysandbox: Run, tmp_path: Path) -> Run:
    """``pysandbox judge ...`` with a cache and a journal of this test's own."""

    def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
        env = {"XDG_STATE_HOME": str(tmp_path / "state"), **options.pop("env", {})}  # type: ignore[dict-item]
        return pysandbox("judge", *map(str, words), env=env, **options)

    return run


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in (("right", RIGHT), ("wrong", WRONG), ("leaks", LEAKS)):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "broken.c").write_text("int main(void) { return x; }\n")
    return tmp_path


def test_all_accepted(judge: Run, sources: Path) -> None:
    done = judge(package(sources / "sum"), "right.py")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("sum (Sum): time limit 1 s, memory limit 256 MiB, 3 tests, format icpc-2025-09")
    assert lines[2].split()[:5] == ["right.py", "python3", "AC", "accepted", "3/3"]
    assert "right.py: secret: AC accepted, 2/2 tests" in done.stderr
    assert done.stderr.splitlines()[-1] == "right.py: AC accepted"


def test_several_submissions(judge: Run, sources: Path) -> None:
    done = judge(package(sources / "sum"), "-q", "right.py", "wrong.py", "leaks.py", "broken.c")
    assert (done.returncode, done.stderr) == (1, "")
    found = {line.split()[0]: line.split()[2] for line in done.stdout.splitlines()[2:6]}
    assert found == {"right.py": "AC", "wrong.py": "WA", "leaks.py": "RTE", "broken.c": "CE"}
    assert "‘x’ undeclared" in done.stdout or "'x' undeclared" in done.stdout


def test_a_samples_difference_is_shown(judge: Run, sources: Path) -> None:
    done = judge(package(sources / "sum", validator=False), "-q", "wrong.py")
    assert done.returncode == 1
    assert "sample/1: difference:" in done.stdout


@pytest.mark.parametrize("validator", [True, False])
def test_secret_data_is_in_no_report(judge: Run, sources: Path, validator: bool) -> None:
    root = package(sources / "sum", validator=validator)
    (root / "data" / "sample" / "1.ans").write_text("2\n")
    outputs = ["--json", "r.json", "--html", "r.html", "--junit", "r.xml"]
    (sources / "sly.py").write_text(  # passes the sample, and is wrong on the first secret test
        f"import sys\nline = input()\nif {SECRET!r} in line:\n    print(line)\n    print(line, file=sys.stderr)\n"
        "else:\n    print(2)\n"
    )
    done = judge(root, "sly.py", "leaks.py", "--keep-going", *outputs)
    assert done.returncode == 1, done.stderr
    assert "WA wrong answer" in done.stdout and "RTE run-time error" in done.stdout
    written = {name: (sources / name).read_text() for name in ("r.json", "r.html", "r.xml")}
    for name, text in {**written, "stdout": done.stdout, "stderr": done.stderr}.items():
        assert SECRET not in text, name
    told = judge(root, "-q", "sly.py", "--jury", "--keep-going", *outputs)
    assert told.returncode == 1
    assert SECRET in (sources / "r.json").read_text() and SECRET in (sources / "r.html").read_text()


def test_the_reports_agree(judge: Run, sources: Path) -> None:
    root = package(sources / "sum")
    done = judge(root, "-q", "right.py", "wrong.py", "broken.c", "--json", "r.json", "--html", "r.html", "--junit",
                 "r.xml")  # fmt: skip
    assert done.returncode == 1, done.stderr
    data = json.loads((sources / "r.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    assert [result["verdict"]["word"] for result in data["results"]] == ["AC", "WA", "CE"]
    suites = xml.parse(sources / "r.xml").getroot()
    assert [(suite.get("name"), suite.get("failures")) for suite in suites] == [
        ("sum/right.py", "0"), ("sum/wrong.py", "1"), ("sum/broken.c", "1"),
    ]  # fmt: skip
    page = (sources / "r.html").read_text()
    for word in ("AC accepted", "WA wrong answer", "CE compile error"):
        assert word in page


def test_json_to_stdout_is_all_there_is(judge: Run, sources: Path) -> None:
    done = judge(package(sources / "sum"), "right.py", "--json", "-")
    assert done.returncode == 0
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(done.stdout))


def test_the_verdict_again_is_the_same(judge: Run, sources: Path) -> None:
    judge(package(sources / "sum"), "-q", "right.py", "wrong.py", "leaks.py", "broken.c", "--json", "r.json")
    done = judge("verdict", "r.json")
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        "right.py: AC accepted (icpc, as it was)", "wrong.py: WA wrong answer (icpc, as it was)",
        "leaks.py: RTE run-time error (icpc, as it was)", "broken.c: CE compile error (icpc, as it was)",
    ]  # fmt: skip


def test_all_as_expected(judge: Run, sources: Path) -> None:
    root = submissions(package(sources / "sum"), accepted__a=RIGHT, wrong_answer__w=WRONG, run_time_error__r=LEAKS,
                       time_limit_exceeded__t=SLOW)  # fmt: skip
    done = judge("--all", root, "-j", "2", "--junit", "r.xml", "--json", "r.json", "--html", "r.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "4 of 4 submissions are as expected"
    assert "accepted/a.py" in done.stdout and "secret" in done.stdout.splitlines()[1]
    assert xml.parse(sources / "r.xml").getroot().get("failures") == "0"
    data = json.loads((sources / "r.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    assert [one["mismatches"] for one in data["jury"]] == [[]] * 4
    assert "4 of 4 as expected" in (sources / "r.html").read_text()


def test_all_with_one_that_is_not(judge: Run, sources: Path) -> None:
    root = submissions(package(sources / "sum"), accepted__a=RIGHT, accepted__b=WRONG)
    done = judge("--all", "-q", root, "--junit", "r.xml")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "1 of 2 submissions are as expected"
    assert any(line.startswith("accepted/b.py: ") and "got WA" in line for line in done.stdout.splitlines())
    assert xml.parse(sources / "r.xml").getroot().get("failures") == "1"


def test_a_package_without_a_time_limit_needs_one(judge: Run, sources: Path) -> None:
    (sources / "plain").mkdir()
    (sources / "plain" / "1.in").write_text("1 2\n")
    (sources / "plain" / "1.ans").write_text("3\n")
    done = judge("plain", "right.py")
    assert (done.returncode, done.stdout) == (125, "")
    assert "give one with --time" in done.stderr and done.stderr.count("\n") == 1
    done = judge("plain", "right.py", "-q", "--time", "2s", "--memory", "128M")
    assert done.returncode == 0, done.stderr
    assert "time limit 2 s, memory limit 128 MiB" in done.stdout.splitlines()[0]


def test_a_broken_package_is_one_line(judge: Run, sources: Path) -> None:
    root = package(sources / "sum")
    (root / "data" / "secret" / "2.ans").unlink()
    done = judge(root, "right.py")
    assert (done.returncode, done.stdout) == (125, "")
    assert "data/secret/2" in done.stderr and done.stderr.count("\n") == 1


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    for fd in (master, slave):
        try:
            os.close(fd)
        except OSError:
            pass


def everything(master: int) -> str:
    """What came, until the other end is closed."""
    found = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # EIO: nobody has it open any more
            break
        if not part:
            break
        found += part
    return found.decode()


@pytest.mark.parametrize("color", [True, False])
def test_bars_on_a_terminal(judge: Run, sources: Path, terminal: tuple[int, int], color: bool) -> None:
    master, slave = terminal
    env = {"TERM": "xterm-256color", "COLUMNS": "100", **({} if color else {"NO_COLOR": "1"})}
    done = judge(package(sources / "sum"), "right.py", stderr=slave, env=env)
    os.close(slave)
    shown = everything(master)
    assert done.returncode == 0
    assert "\x1b[?25l" in shown and shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
    assert "secret" in shown and "2/2" in shown and "━" in shown
    assert ("32mAC accepted" in shown) is color
    assert "\x1b" not in done.stdout  # which is no terminal
