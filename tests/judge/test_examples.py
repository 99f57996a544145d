"""The example packages: every one opens clean, and every submission gets what is expected of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from judge.verdict.words import WORDS
from tests.judge.examples import EXAMPLES, TOOLS, WORD_OF, Command, absent
from tests.slowness import SLOW

# Whichever test comes first judges the package.
pytestmark = pytest.mark.timeout(300 * SLOW)

# With submissions of their own -> options. PE is a word of the profile ioi; for icpc it is a wrong answer.
JURY: dict[str, tuple[str, ...]] = {
    "answer": (), "broken": (), "circle": (), "groups": (), "guess": (), "pack": (), "polygon": ("--profile", "ioi"),
    "relay": (), "subtasks": (), "sum": (),
}  # fmt: skip
WITHOUT = ("dmoj", "plain")
HOSTILE = ("hostile", "hostileguess")  # test_hostile.py

SCORES = {
    "groups": {
        "accepted/Doubles.java": 100, "accepted/doubles.py": 100, "partially_accepted/loops.c": 75,
        "partially_accepted/loops.py": 50, "partially_accepted/recurses.py": 20, "rejected/forgets_to_reduce.js": 20,
        "rejected/starts_at_one.py": 0,
    },
    "pack": {
        # 0.7, 0.901, 1 and 0.62 of 25 points each
        "accepted/tries_all.c": 100, "partially_accepted/heaviest_first.py": 80.525, "wrong_answer/same_again.py": 0,
        "wrong_answer/takes_all.py": 25,
    },
    "subtasks": {
        "accepted/counts.cpp": 100, "accepted/counts.py": 100, "partially_accepted/each_with_each.py": 40,
        "partially_accepted/small_array.c": 40, "wrong_answer/zero_with_itself.py": 0,
    },
}  # fmt: skip

POLYGON = {
    "countdown.cpp": "AC", "countdown.py": "AC", "upwards.py": "WA", "commas.py": "PE", "never_ends.cpp": "TLE",
}  # fmt: skip


@pytest.fixture(scope="module")
def command(
    pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Command:
    return Command(pysandbox_argv, pysandbox_env, tmp_path_factory.mktemp("examples"))


def test_no_example_is_forgotten() -> None:
    """``ci`` holds a job file: tests/ci."""
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {*JURY, *WITHOUT, *HOSTILE, "ci"}


@pytest.mark.parametrize("package", [*JURY, *WITHOUT, *HOSTILE])
def test_package_has_no_mistake(command: Command, package: str) -> None:
    done = command.run("check", EXAMPLES / package)
    assert done.returncode == 0, done.stdout + done.stderr
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if "warning:" in line]
    if package == "broken":
        assert all("no accepted submission" in line for line in warnings), warnings
    else:
        assert not warnings


@pytest.mark.parametrize("package", JURY)
def test_submissions_get_what_is_expected(command: Command, package: str) -> None:
    judged = command.all(package, *JURY[package])
    assert judged.status == 0, judged.told
    submissions = {
        f"{path.parent.name}/{path.name}" for path in (EXAMPLES / package).glob("submissions/*/*")
        if path.suffix not in absent()
    }  # fmt: skip
    if package == "polygon":
        assert {Path(name).name: word for name, word in judged.words.items()} == POLYGON, judged.told
    elif package in SCORES:
        scores = {name: result["score"] for name, result in judged.results.items()}
        assert scores == pytest.approx({n: s for n, s in SCORES[package].items() if n in submissions}), judged.told
        for name, word in judged.words.items():
            assert (word == "AC") == name.startswith("accepted/"), judged.told
    else:
        assert judged.words == {name: WORD_OF[name.partition("/")[0]] for name in submissions}, judged.told


def test_every_verdict_is_shown(command: Command) -> None:
    seen = {word for package, options in JURY.items() for word in command.all(package, *options).words.values()}
    assert seen == set(WORDS) - {"SK"}


@pytest.mark.parametrize("extension", TOOLS)
def test_every_language_is_right_and_wrong(command: Command, extension: str) -> None:
    if extension in absent():
        pytest.skip(f"{TOOLS[extension]} is not installed")
    seen = {word for name, word in command.all("sum").words.items() if name.endswith(extension)}
    assert seen >= {"AC", "WA", "RTE"}


def test_groups_that_need_another_are_not_judged(command: Command) -> None:
    result = command.all("groups").results["partially_accepted/recurses.py"]
    groups = {child["group"]["name"]: child["group"] for child in _children(result["root"], "secret")}
    assert groups["secret/1-small"]["verdict"]["word"] == "AC"
    assert groups["secret/3-large"]["score"] == 0
    tests = [child["test"] for child in groups["secret/3-large"]["children"]]
    assert [test["origin"] for test in tests] == ["skipped", "skipped"]


def _children(root: dict[str, object], name: str) -> list[dict[str, dict[str, object]]]:
    children: list[dict[str, dict[str, object]]] = root["children"]  # type: ignore[assignment]
    found = next(child["group"] for child in children if child["group"]["name"] == name)
    return found["children"]  # type: ignore[return-value]


def test_facts_name_counter_and_limit(command: Command) -> None:
    results = command.all("sum").results
    for name, words in {
        "time_limit_exceeded/loops.c": ("CPU", "limit 1.000 s"), "memory_limit_exceeded/hog.cpp": ("limit 256 MiB",),
        "security_violation/mounts.c": ("mount",), "run_time_error/null.c": ("SIGSEGV",),
        "run_time_error/exit_code.py": ("exit code 3",), "output_limit_exceeded/floods.c": ("limit 1 MiB",),
    }.items():  # fmt: skip
        failed = next(test for test in _tests(results[name]["root"]) if test["verdict"]["word"] != "AC")  # type: ignore[index]
        detail = str(failed["verdict"])
        assert all(word in detail for word in words), (name, detail)


def test_same_verdicts_from_stored_facts(command: Command, tmp_path: Path) -> None:
    stored = tmp_path / "stored.json"
    one, other = (EXAMPLES / "sum/submissions" / name for name in ("accepted/sum.py", "wrong_answer/forgets_one.py"))
    assert command.run("--no-live", "--json", stored, EXAMPLES / "sum", one, other).returncode == 1
    again = tmp_path / "again.json"
    done = command.run("verdict", stored, "--json", again)
    assert done.returncode == 1, done.stdout + done.stderr
    words = [[result["verdict"]["word"] for result in json.loads(path.read_text())["results"]]
             for path in (stored, again)]  # fmt: skip
    assert words == [["AC", "WA"], ["AC", "WA"]]


def test_plain_folder(command: Command) -> None:
    right, wrong = (EXAMPLES / "sum/submissions" / name for name in ("accepted/sum.c", "wrong_answer/overflow.c"))
    judged = command.judge("--time", "1", EXAMPLES / "plain", right, wrong)
    assert judged.status == 1, judged.told
    assert sorted(judged.words.values()) == ["AC", "WA"], judged.told
    for result in judged.results.values():
        assert [test["name"] for test in _tests(result["root"])] == ["1", "2", "10"]


def test_dmoj_package(command: Command, tmp_path: Path) -> None:
    near = tmp_path / "near.py"
    near.write_text(
        "from math import pi\nr = float(input())\nprint(pi * r**2, 2 * pi * r) if r < 1000 else print('far')\n"
    )
    right, wrong = (EXAMPLES / "circle/submissions" / name for name in ("accepted/circle.py", "wrong_answer/rough.py"))
    judged = command.judge("--time", "1", "--profile", "dmoj", EXAMPLES / "dmoj", right, near, wrong)
    scores = {Path(name).name: result["score"] for name, result in judged.results.items()}
    # Both batches and the single case; without the second batch; nothing.
    assert scores == pytest.approx({"circle.py": 100, "near.py": 40, "rough.py": 0}), judged.told
    words = {Path(name).name: word for name, word in judged.words.items()}
    assert words["circle.py"] == "AC" and words["rough.py"] == "WA", judged.told


def _tests(node: dict[str, object]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for child in node["children"]:  # type: ignore[attr-defined]
        found += [child["test"]] if "test" in child else _tests(child["group"])
    return found


def test_package_as_an_archive(command: Command, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "circle"), "zip", EXAMPLES, "circle")
    assert command.run("check", archive).returncode == 0
    judged = command.judge(archive, EXAMPLES / "circle/submissions/accepted/circle.py")
    assert judged.status == 0, judged.told
