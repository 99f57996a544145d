"""Polygon's packages, as the judge's one form of a problem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judge.problem import polygon
from judge.problem.faults import Faults
from judge.problem.model import INTERACTIVE, MIB, PASS_FAIL, SCORING, SECOND, Checker, Group, Problem

Files = dict[str, str]
TESTS = '<test method="manual" sample="true"/><test cmd="gen 5" method="generated"/>'
CHECKER = '<checker name="std::wcmp.cpp" type="testlib"><source path="files/check.cpp" type="cpp.g++17"/></checker>'
SOURCE = '#include "testlib.h"\nint main() {}\n'
FILES: Files = {
    "tests/01": "1\n", "tests/01.a": "2\n", "tests/02": "3\n", "tests/02.a": "4\n", "files/check.cpp": SOURCE,
    "files/testlib.h": "", "solutions/main.cpp": "", "solutions/slow.py": "",
}  # fmt: skip


def xml(
    tests: str = TESTS, groups: str = "", checker: str = CHECKER, judging: str = "", solutions: str = "",
    head: str = "<time-limit>1500</time-limit><memory-limit>268435456</memory-limit>",
) -> str:  # fmt: skip
    return f"""<?xml version="1.0" encoding="utf-8" standalone="no"?>
<problem revision="3" short-name="sums">
<names><name language="russian" value="Суммы"/><name language="english" value="Sums"/></names>
<judging cpu-name="x" input-file="" output-file="" run-count="1" {judging}>
<testset name="tests">
{head}
<input-path-pattern>tests/%02d</input-path-pattern><answer-path-pattern>tests/%02d.a</answer-path-pattern>
<tests>{tests}</tests>
{groups}
</testset>
</judging>
<assets>{checker}
<solutions>{solutions}</solutions></assets>
</problem>
"""


def load(root: Path, text: str, files: Files) -> tuple[Problem | None, Faults]:
    root.mkdir(exist_ok=True)
    (root / "problem.xml").write_text(text)
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(data, newline="")
    faults = Faults()
    return polygon.read(root, faults), faults


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Problem]:
    def read(text: str, files: Files = FILES) -> Problem:
        problem, faults = load(tmp_path / "package", text, files)
        assert faults.all == () and problem is not None
        return problem

    return read


@pytest.fixture
def faults_of(tmp_path: Path) -> Callable[..., list[str]]:
    def read(text: str, files: Files = FILES) -> list[str]:
        problem, faults = load(tmp_path / "package", text, files)
        assert problem is None and faults.errors
        return [str(fault) for fault in faults.all]

    return read


def test_a_plain_problem(make: Callable[..., Problem], tmp_path: Path) -> None:
    problem = make(xml())
    assert polygon.matches(tmp_path / "package") and not polygon.matches(tmp_path)
    assert (problem.format, problem.name, problem.title, problem.kinds) == ("polygon", "sums", "Sums", {PASS_FAIL})
    assert (problem.limits.time_ns, problem.limits.memory_bytes) == (3 * SECOND // 2, 256 * MIB)
    assert [(t.name, t.sample, t.points, t.description) for t in problem.tests] == [
        ("tests/01", True, None, ""), ("tests/02", False, None, "gen 5"),
    ]  # fmt: skip
    assert [t.input.read_text() for t in problem.tests] == ["1\n", "3\n"]
    assert [t.answer.read_text() for t in problem.tests if t.answer] == ["2\n", "4\n"]
    assert problem.data.scoring.on_reject == "break"
    assert problem.checkers == (Checker("tokens", {"case_sensitive": True}),) and problem.interactor is None


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("ncmp", "tokens", {"case_sensitive": True}), ("nyesno", "tokens", {"case_sensitive": False}),
        ("rcmp4", "tokens", {"case_sensitive": True, "float_absolute": 1e-4, "float_relative": 1e-4}),
        ("rcmp", "tokens", {"case_sensitive": True, "float_absolute": 1.5e-6}),
        ("uncmp", "lines", {"split_on": "whitespace"}),
    ],
)  # fmt: skip
def test_testlib_s_own_checkers_need_no_compiler(
    make: Callable[..., Problem], name: str, kind: str, options: dict[str, object]
) -> None:
    files = {k: v for k, v in FILES.items() if not k.startswith("files/")}
    (checker,) = make(xml(checker=CHECKER.replace("wcmp", name)), files).checkers
    assert (checker.kind, dict(checker.options), checker.source) == (kind, options, None)


@pytest.mark.parametrize("name", ['name="std::lcmp.cpp"', "", 'name="wcmp.cpp"'])
def test_a_checker_to_compile(make: Callable[..., Problem], name: str, tmp_path: Path) -> None:
    problem = make(xml(checker=CHECKER.replace('name="std::wcmp.cpp"', name)))
    root = (tmp_path / "package").resolve()
    include = {"testlib.h": root / "files/testlib.h"}
    assert problem.checkers == (Checker("testlib", {}, root / "files/check.cpp", "cpp", include),)


def test_points_as_percent(make: Callable[..., Problem]) -> None:
    text = xml(judging='treat-points-from-checker-as-percent="true"', checker=CHECKER.replace("std::", ""))
    assert [dict(checker.options) for checker in make(text).checkers] == [{"percent": True}]


def test_interactor_and_checker(make: Callable[..., Problem]) -> None:
    talk = '<interactor><source path="files/talk.cpp" type="cpp.g++17"/></interactor>'
    problem = make(xml(checker=CHECKER + talk), {**FILES, "files/talk.cpp": SOURCE})
    assert problem.kinds == {PASS_FAIL, INTERACTIVE}
    assert problem.interactor is not None and problem.interactor.kind == "testlib"
    assert problem.interactor.source is not None and problem.interactor.source.name == "talk.cpp"
    assert len(problem.checkers) == 1  # of what the interactor writes
    assert make(xml(checker=talk), {**FILES, "files/talk.cpp": SOURCE}).checkers == ()


def test_groups_and_points(make: Callable[..., Problem]) -> None:
    tests = "".join(
        f'<test group="{g}" points="{p}"/>' for g, p in [("0", 0), ("hard", 30), ("hard", 30), ("easy", 4), ("easy", 6)]
    )
    groups = """<groups>
<group name="0" points="0" points-policy="complete-group"/>
<group name="hard" points="60.0" points-policy="complete-group">
<dependencies><dependency group="0"/><dependency group="easy"/></dependencies></group>
<group name="easy" points-policy="each-test"/>
<group name="unused" points-policy="each-test"/>
</groups>"""
    files = {**FILES, **{f"tests/0{i}{e}": "1\n" for i in range(1, 6) for e in ("", ".a")}}
    problem = make(xml(tests, groups), files)
    assert problem.kinds == {SCORING} and problem.data.scoring.max_score == 70
    zero, easy, hard = problem.data.children  # after what they depend on
    assert isinstance(zero, Group) and isinstance(easy, Group) and isinstance(hard, Group)
    assert [g.name for g in (zero, easy, hard)] == ["0", "easy", "hard"]
    assert (easy.scoring.aggregate, easy.scoring.on_reject, easy.scoring.max_score) == ("sum", "continue", 10)
    assert (hard.scoring.aggregate, hard.scoring.on_reject, hard.scoring.accept_score) == ("min", "break", 60)
    assert hard.scoring.require_pass == ("0", "easy")
    assert [(t.name, t.points) for t in problem.tests] == [
        ("0/01", 0), ("easy/04", 4), ("easy/05", 6), ("hard/02", 60), ("hard/03", 60),
    ]  # fmt: skip
    unscored = make(xml(tests.replace(' points="', ' method="'), groups.replace('points="60.0"', "")), files)
    assert unscored.kinds == {PASS_FAIL} and {t.points for t in unscored.tests} == {None}


def test_points_of_tests_without_groups(make: Callable[..., Problem]) -> None:
    problem = make(xml('<test points="10"/><test points="2.5"/>'))
    assert problem.kinds == {SCORING} and [t.points for t in problem.tests] == [10, 2.5]
    assert (problem.data.scoring.aggregate, problem.data.scoring.on_reject) == ("sum", "continue")


def test_solutions(make: Callable[..., Problem]) -> None:
    problem = make(xml(solutions="""
<solution tag="main"><source path="solutions/main.cpp" type="cpp.g++17"/><binary path="x.exe"/></solution>
<solution tag="time-limit-exceeded"><source path="solutions/slow.py" type="python.3"/></solution>
<solution tag="do-not-run"><source path="solutions/slow.py" type="python.3"/></solution>
"""))  # fmt: skip
    main, slow = problem.submissions
    assert (main.name, main.language, main.expected.verdicts) == ("main.cpp", "cpp", {"AC"})
    assert (slow.name, slow.language, slow.expected.verdicts) == ("slow.py", "python3", {"TLE"})
    assert (main.expected.use_for_time_limit, slow.expected.use_for_time_limit) == ("lower", "upper")


def test_input_by_name(make: Callable[..., Problem]) -> None:
    problem = make(xml().replace('input-file=""', 'input-file="sums.in"'))
    assert [dict(t.files) for t in problem.tests] == [{"sums.in": t.input} for t in problem.tests]


def test_windows_line_ends_are_doubtful(tmp_path: Path) -> None:
    problem, faults = load(tmp_path / "package", xml(), {**FILES, "tests/01": "1\r\n"})
    assert problem is not None
    assert [str(f) for f in faults.all] == [
        "problem.xml:5: warning: the tests have Windows' line ends (the full package for Linux has not)"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "problem.xml:1: error: not XML: no element found"),
        ("<problem>", "problem.xml:1: error: not XML: no element found"),
        ("<problem/>", "problem.xml:1: error: no <judging>"),
        ("<contest/>", "the root must be <problem>, not <contest>"),
        ('<!DOCTYPE p [<!ENTITY a "b">]><problem>&a;</problem>', ":1: error: a document type is not allowed"),
        ('<!DOCTYPE p SYSTEM "file:///etc/passwd"><problem/>', "a document type is not allowed"),
        ("<a>" * 40, "nested more than 32 deep"),
        ('<?xml version="1.0" encoding="klingon"?><problem/>', "not XML"),
        (xml().replace("<testset", "<set").replace("</testset", "</set"), "problem.xml:4: error: no <testset>"),
        (xml(tests=""), "the test set has no test"),
        (xml(tests=TESTS * 2), "2 of 4 input files are not in the package, first tests/03"),
        (xml(head="<test-count>3</test-count>"), "2 tests, but test-count says 3"),
        (xml(head="<time-limit>fast</time-limit>"), "problem.xml:6: error: <time-limit> must be a whole number"),
        (xml(head="<time-limit>0</time-limit>"), "<time-limit> must be a whole number"),
        (xml(tests='<test points="nan"/>'), "points='nan' is no number of points"),
        (xml().replace("%02d.a", "%0999d"), "<answer-path-pattern> must have one number"),
        (xml().replace("%02d.a", "../../etc/%d"), "2 of 2 answer files are not in the package"),
        (xml(groups='<groups><group name="a" points-policy="x"/></groups>'), "points-policy='x' is neither"),
        (xml(groups='<groups><group name="a"/><group name="a"/></groups>'), "a second group 'a'"),
        (
            xml(groups='<groups><group name="a"><dependencies><dependency group="b"/></dependencies></group></groups>'),
            "group 'a' depends on 'b', which is none",
        ),
        (
            xml(groups='<groups><group name="a"><dependencies><dependency group="a"/></dependencies></group></groups>'),
            "the dependencies of the groups a are a circle",
        ),
        (xml(checker=""), "no <checker>"),
        (xml(checker='<checker type="other"/>'), "a checker of the type 'other'"),
        (xml(checker='<checker type="testlib"/>'), "the checker has no <source>"),
        (
            xml(checker=CHECKER.replace("std::", "").replace("files/check", "../check")),
            "the checker '../check.cpp' is not in the package",
        ),
        (xml().replace('run-count="1"', 'run-count="2"'), "run-count='2'"),
        (xml().replace('output-file=""', 'output-file="x.out"'), "output-file='x.out'"),
        (xml(solutions='<solution tag="main"/>'), "a solution without <source>"),
        (xml(solutions='<solution tag="main"><source path="no.cpp"/></solution>'), "the solution 'no.cpp' is not in"),
    ],
)
def test_faults_are_told_with_their_line(faults_of: Callable[..., list[str]], text: str, fault: str) -> None:
    found = faults_of(text)
    assert any(fault in line for line in found), found
    assert all(line.startswith("problem.xml:") for line in found)


@pytest.mark.skipif(
    any(Path(d, "testlib.h").exists() for d in ("/usr/include", "/usr/local/include")), reason="testlib.h is installed"
)
def test_testlib_is_not_ours_to_ship(faults_of: Callable[..., list[str]]) -> None:
    files = {k: v for k, v in FILES.items() if k != "files/testlib.h"}
    assert faults_of(xml(checker=CHECKER.replace("std::", "")), files) == [
        "problem.xml:12: error: the checker files/check.cpp includes testlib.h, which is not in the package "
        "(put it at files/testlib.h)"
    ]


def test_the_package_without_generated_tests(faults_of: Callable[..., list[str]]) -> None:
    (found,) = faults_of(xml(), {k: v for k, v in FILES.items() if k not in ("tests/01.a", "tests/02.a")})
    assert "2 of 2 answer files are not in the package" in found and "full package" in found


def test_a_large_or_linked_description(tmp_path: Path) -> None:
    (tmp_path / "problem.xml").symlink_to("/etc/passwd")
    faults = Faults()
    assert polygon.read(tmp_path, faults) is None
    assert "cannot be read" in str(faults.errors[0])


GOOD = xml(solutions='<solution tag="main"><source path="solutions/main.cpp" type="cpp.g++17"/></solution>')
PIECES = st.sampled_from([
    "<", ">", '"', "/", "&lt;", "&#10;", "<test/>", 'points="5"', 'group="a"', "<group name='a'/>", "tests/%02d", "x",
    "</testset>", "\x00", "é", "-1", "1e999", "<dependencies/>", "std::", "%",
])  # fmt: skip


@settings(
    max_examples=200, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), PIECES), max_size=5))
def test_fuzz(tmp_path: Path, edits: list[tuple[int, int, str]]) -> None:
    """A problem, or faults with their place; never an exception."""
    text = GOOD
    for at, cut, piece in edits:
        text = text[:at] + piece + text[at + cut :]
    problem, faults = load(tmp_path / "package", text, FILES)
    assert (problem is None) == bool(faults.errors)
    for fault in faults.all:
        assert fault.file == "problem.xml" and "\n" not in str(fault)
