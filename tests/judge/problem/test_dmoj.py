"""DMOJ's packages, as the judge's one form of a problem."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judge.problem import dmoj
from judge.problem.dmoj import patterns
from judge.problem.faults import Faults
from judge.problem.model import INTERACTIVE, PASS_FAIL, SCORING, SECOND, Checker, Group, Problem, Test
from judge.problem.opening import open_problem

Files = dict[str, str | bytes]
Make = Callable[..., Problem]


def write(root: Path, init: str, files: Files | None = None, archive: Files | None = None) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "init.yml").write_text(init)
    for name, data in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data.encode() if isinstance(data, str) else data)
    if archive is not None:
        with zipfile.ZipFile(root / "data.zip", "w") as packed:
            for name, data in archive.items():
                packed.writestr(name, data)
    return root


def numbered(count: int) -> Files:
    return {f"{i}.{end}": f"{i}\n" for i in range(1, count + 1) for end in ("in", "out")}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def read(init: str, files: Files | None = None, archive: Files | None = None, warnings: int = 0) -> Problem:
        root = write(tmp_path / "sums", init, files, archive)
        (tmp_path / "into").mkdir(exist_ok=True)
        faults = Faults()
        problem = dmoj.read(root, faults, into=tmp_path / "into")
        assert faults.errors == ()
        assert len(faults.all) == warnings, faults.all
        assert problem is not None
        return problem

    return read


@pytest.fixture
def faults_of(tmp_path: Path) -> Callable[..., list[str]]:
    def read(init: str, files: Files | None = None, archive: Files | None = None) -> list[str]:
        root = write(tmp_path / "bad", init, files, archive)
        (tmp_path / "into").mkdir(exist_ok=True)
        faults = Faults()
        assert dmoj.read(root, faults, into=tmp_path / "into") is None
        assert faults.errors
        return [str(fault) for fault in faults.all]

    return read


def shape(node: Group | Test) -> object:
    return node.name if isinstance(node, Test) else (node.name, [shape(child) for child in node.children])


def group(problem: Problem, name: str) -> Group:
    waiting: list[Group | Test] = [problem.data]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Group):
            if node.name == name:
                return node
            waiting.extend(node.children)
    raise AssertionError(f"no group {name}")


DOCUMENTED = """
archive: data.zip
test_cases:
- {points: 0, in: p0.in, out: p0.out}
- {points: 10, in: p1.in, out: p1.out}
- points: 10
  batched:
  - {in: 0.in, out: 0.out}
  - {in: 1.in, out: 1.out}
- points: 20
  batched:
  - {in: 2.in, out: 2.out}
- points: 30
  batched:
  - {in: 4.in, out: 4.out}
  - {in: 5.in, out: 5.out}
  dependencies: [1, 2]
"""
ARCHIVE: Files = {f"{n}.{e}": f"{n}\n" for n in ("p0", "p1", "0", "1", "2", "4", "5") for e in ("in", "out")}


def test_the_documentation_s_example(make: Make) -> None:
    problem = make(DOCUMENTED, archive=ARCHIVE)
    assert shape(problem.data) == (
        "", [
            ("pretests", ["case-1"]),
            ("main", [
                "case-2", ("batch-1", ["batch-1/case-1", "batch-1/case-2"]), ("batch-2", ["batch-2/case-1"]),
                ("batch-3", ["batch-3/case-1", "batch-3/case-2"]),
            ]),
        ],
    )  # fmt: skip
    assert problem.kinds == {SCORING} and problem.format == "dmoj" and problem.name == "sums"
    assert (problem.data.scoring.aggregate, problem.data.scoring.on_reject) == ("sum", "continue")
    assert problem.data.scoring.max_score == 70
    # A failed case of 0 points ends the judging.
    assert group(problem, "pretests").scoring.on_reject == "break"
    assert group(problem, "main").scoring.require_pass == ("pretests",)
    batch = group(problem, "batch-3").scoring
    assert (batch.aggregate, batch.on_reject, batch.accept_score, batch.max_score) == ("min", "break", 30, 30)
    assert batch.require_pass == ("batch-1", "batch-2")
    assert group(problem, "batch-2").scoring.require_pass == ()
    assert [t.points for t in problem.tests] == [0, 10, 10, 10, 20, 30, 30]
    first = problem.tests[1]
    assert first.input.read_bytes() == b"p1\n" and first.answer is not None and first.answer.read_bytes() == b"p1\n"
    assert first.description == "p1.in" and not first.sample
    assert problem.limits.time_ns is None and problem.limits.output_bytes == 25165824
    assert problem.checkers == (Checker("tokens", {"case_sensitive": True, "line_sensitive": True}),)


def test_one_stage_needs_no_groups(make: Make) -> None:
    problem = make("test_cases: [{in: 1.in, out: 1.out, points: 5}, {in: 2.in, out: 2.out}]", numbered(2))
    assert shape(problem.data) == ("", ["case-1", "case-2"])
    assert [t.points for t in problem.tests] == [5, 1]


def test_zero_points_in_the_middle_and_short_circuit(make: Make) -> None:
    cases = "test_cases: [" + ", ".join(f"{{in: {i}.in, out: {i}.out, points: {i % 2}}}" for i in range(1, 6)) + "]"
    problem = make(cases, numbered(5))
    assert [g.name for g in problem.data.children] == ["main", "pretests", "main-2", "pretests-2", "main-3"]
    required = [g.scoring.require_pass for g in problem.data.children if isinstance(g, Group)]
    assert required == [(), (), ("pretests",), ("pretests",), ("pretests", "pretests-2")]
    assert group(problem, "main").scoring.on_reject == "continue"
    shorted = make(cases + "\nshort_circuit: true", numbered(5))
    assert shorted.data.scoring.on_reject == group(shorted, "main-2").scoring.on_reject == "break"


def test_pretest_test_cases_come_first_and_are_worth_nothing(make: Make) -> None:
    problem = make(
        "pretest_test_cases: [{in: 2.in, out: 2.out, points: 7}]\ntest_cases: [{in: 1.in, out: 1.out, points: 3}]",
        numbered(2),
    )
    assert shape(problem.data) == ("", [("pretests", ["pretest-case-1"]), ("main", ["case-1"])])
    assert [t.points for t in problem.tests] == [0, 3] and problem.data.scoring.max_score == 3


def test_without_points_it_is_right_or_wrong(make: Make) -> None:
    problem = make("points: 0\ntest_cases: [{in: 1.in, out: 1.out}, {in: 2.in, out: 2.out}]", numbered(2))
    assert problem.kinds == {PASS_FAIL} and problem.data.scoring.on_reject == "break"
    assert shape(problem.data) == ("", ["case-1", "case-2"])


def test_keys_are_inherited_and_overridden(make: Make) -> None:
    problem = make(
        """
checker: {name: floats, args: {precision: 3}}
output_limit_length: 1000
test_cases:
- points: 4
  out: 1.out
  checker: identical
  batched:
  - {in: 1.in}
  - {in: 2.in, out: 2.out, checker: sorted, output_limit_length: 5}
- {in: 2.in, out: 2.out, points: 1}
""",
        numbered(2),
    )
    one, two, three = problem.tests
    assert [t.answer.name for t in problem.tests if t.answer] == ["1.out", "2.out", "2.out"]
    assert one.checker == Checker("exact", {"presentation": True})
    assert two.checker == Checker("lines", {"split_on": "lines"})
    assert three.checker is None
    assert problem.limits.output_bytes == 1000 and one.limits is None
    assert two.limits is not None and two.limits.output_bytes == 5
    options = {"case_sensitive": True, "line_sensitive": True, "float_absolute": 1e-3, "float_relative": 1e-3}
    assert problem.checkers == (Checker("tokens", options),)


@pytest.mark.parametrize(
    ("text", "kind", "options"),
    [
        ("standard", "tokens", {"case_sensitive": True, "line_sensitive": True}),
        ("easy", "lines", {"split_on": "characters"}),
        ("unordered", "lines", {"split_on": "whitespace"}),
        ("{name: sorted, args: {split_on: whitespace}}", "lines", {"split_on": "whitespace"}),
        ("rstripped", "exact", {"ignore_trailing_space": True}),
        ("{name: identical, args: {pe_allowed: false}}", "exact", {}),
        ("linecount", "lines", {"partial": True}),
        (
            "{name: linematches, args: {point_distribution: [1, 2], filler_lines_required: false}}", "lines",
            {"partial": True, "distribution": [1, 2], "filler_lines_required": False},
        ),
        ("floatsabs", "tokens", {"case_sensitive": True, "line_sensitive": True, "float_absolute": 1e-6}),
        (
            "{name: floatsrel, args: {precision: 2}}", "tokens",
            {"case_sensitive": True, "line_sensitive": True, "float_relative": 1e-2},
        ),
        (
            "{name: floats, args: {error_mode: absolute}}", "tokens",
            {"case_sensitive": True, "line_sensitive": True, "float_absolute": 1e-6},
        ),
    ],
)  # fmt: skip
def test_built_in_checkers(make: Make, text: str, kind: str, options: dict[str, object]) -> None:
    problem = make(f"checker: {text}\ntest_cases: [{{in: 1.in, out: 1.out}}]", numbered(1))
    (checker,) = problem.checkers
    assert (checker.kind, dict(checker.options), checker.source) == (kind, options, None)


def test_bridged_checker(make: Make) -> None:
    problem = make(
        """
checker:
  name: bridged
  args:
    {files: [lib.h, check.cpp], lang: CPP17, type: testlib, feedback: false, time_limit: 90, memory_limit: 65536,
     args_format_string: '{output_file} {answer_file}'}
test_cases: [{in: 1.in}]
""",
        {
            **numbered(1), "check.cpp": '#include "testlib.h"\n#include "lib.h"\n#include <x>\n', "lib.h": "",
            "testlib.h": ' # include "deep/more.h"\n', "deep/more.h": '#include "next.h"\n', "deep/next.h": "",
        },
    )  # fmt: skip
    (checker,) = problem.checkers
    assert checker.kind == "bridged" and checker.language == "cpp"
    assert dict(checker.options) == {"type": "testlib", "feedback": False, "args": "{output} {answer}"}
    assert checker.source == (problem.root / "check.cpp").resolve()
    assert sorted(checker.include) == ["deep/more.h", "deep/next.h", "lib.h", "testlib.h"]
    assert problem.limits.validation_time_ns == 90 * SECOND and problem.limits.validation_memory_bytes == 64 << 20
    assert problem.tests[0].answer is None


def test_interactive(make: Make) -> None:
    init = """
unbuffered: true
interactive: {files: talk.py, type: coci, lang: PY3, preprocessing_time: 3}
test_cases: [{in: 1.in}]
"""
    files: Files = {**numbered(1), "talk.py": "print(1)"}
    problem = make(init, files, warnings=1)  # unbuffered
    assert problem.kinds == {SCORING, INTERACTIVE}
    assert problem.interactor is not None and problem.interactor.kind == "bridged"
    assert dict(problem.interactor.options) == {"type": "coci", "feedback": True}
    assert problem.interactor.language == "python3"
    assert problem.checkers == ()  # the interactor decides
    assert problem.tests[0].answer is None
    checker = "checker: linecount"
    assert make(init + checker, files, warnings=2).checkers == ()  # of what? coci's interactors write no file
    for writes in (init.replace("coci", "testlib"), init.replace("lang: PY3", "args_format_string: '{output_file}'")):
        checked = make(writes.replace("1.in}", "1.in, out: 1.out}") + checker, files, warnings=1)
        assert checked.checkers == (Checker("lines", {"partial": True}),)


def test_limits_that_a_site_may_have_written(make: Make) -> None:
    problem = make(
        "time_limit: 1.5\nmemory_limit: 65536\nwall_time_factor: 4\ntest_cases: [{in: 1.in, out: 1.out}]", numbered(1)
    )
    limits = problem.limits
    assert (limits.time_ns, limits.wall_ns, limits.memory_bytes) == (1_500_000_000, 6 * SECOND, 64 << 20)


def test_line_ends_are_those_that_dmoj_gives(make: Make) -> None:
    files: Files = {
        "a.in": b"1\r\n2\r3", "a.out": b"x", "b.in": b"", "b.out": b"fine\n", "c.in": b"\r", "c.out": b"1\r\n",
    }  # fmt: skip
    cases = "test_cases: [{in: a.in, out: a.out}, {in: b.in, out: b.out}, {in: c.in, out: c.out, binary_data: true}]"
    a, b, c = make(cases, files).tests
    assert a.answer is not None and b.answer is not None and c.answer is not None
    assert (a.input.read_bytes(), a.answer.read_bytes()) == (b"1\n2\n3\n", b"x\n")
    assert (b.input.read_bytes(), b.answer.read_bytes()) == (b"", b"fine\n")
    assert (c.input.read_bytes(), c.answer.read_bytes()) == (b"\r", b"1\r\n")


def test_a_line_end_over_two_chunks(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("judge.problem.dmoj.data._CHUNK", 2)
    problem = make("test_cases: [{in: a.in, out: a.out}]", {"a.in": b"1\r\n2\r\n", "a.out": b"1\r\r\n\r"})
    assert problem.tests[0].input.read_bytes() == b"1\n2\n"
    assert problem.tests[0].answer is not None and problem.tests[0].answer.read_bytes() == b"1\n\n\n"


def test_files_of_the_submission(make: Make) -> None:
    problem = make(
        "file_io: {input: sums.in}\nsymlinks: {words.txt: lists/words}\ntest_cases: [{in: 1.in, out: 1.out}]",
        {**numbered(1), "lists/words": "a\n"},
    )
    files = problem.tests[0].files
    assert sorted(files) == ["sums.in", "words.txt"] and files["words.txt"].read_text() == "a\n"


def test_cases_without_input_have_an_empty_one(make: Make) -> None:
    problem = make("test_cases: [{out: 1.out}, {out: 1.out}]", numbered(1))
    assert [t.input.read_bytes() for t in problem.tests] == [b"", b""]


@pytest.mark.parametrize("cases", ["", "test_cases:\n", "test_cases: {case_points: [3, 5, 7]}\n"])
def test_cases_by_name(make: Make, cases: str) -> None:
    names = ["x.1.in", "x.2.1.in", "x.2.2.in", "x.10.in"]
    archive: Files = {n: n for n in ["readme.md", *names, *(n.replace(".in", ".OUT") for n in names)]}
    problem = make(f"archive: data.zip\n{cases}points: 2", archive=archive)
    assert shape(problem.data) == ("", ["case-1", ("batch-1", ["batch-1/case-1", "batch-1/case-2"]), "case-2"])
    assert [t.description for t in problem.tests] == ["x.1.in", "x.2.1.in", "x.2.2.in", "x.10.in"]
    assert [t.answer.read_bytes() for t in problem.tests if t.answer][-1] == b"x.10.OUT\n"
    assert problem.data.scoring.max_score == (15 if "points: [" in cases else 6)


def test_cases_by_the_package_s_expressions(make: Make) -> None:
    problem = make(
        r"""
archive: data.zip
test_cases: {input_format: '^(?P<batch>[a-z]+)/(?P<case>\d+)-q$', output_format: '^(?P<batch>[a-z]+)/(?P<case>\d+)-a$'}
""",
        archive={"b/1-q": "", "b/1-a": "", "a/2-q": "", "a/2-a": "", "a/10-q": "", "a/10-a": ""},
    )
    assert [t.description for t in problem.tests] == ["a/2-q", "a/10-q", "b/1-q"]


def test_an_expression_that_never_ends_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_CHILD", patterns._CHILD.replace("(10, 10)", "(1, 1)"))
    with pytest.raises(patterns.PatternError, match="could not be matched"):
        patterns.find(["a" * 60 + "!"], "^(a+)+(?P<case>x)$", patterns.OUTPUT)


@pytest.mark.parametrize(
    ("init", "fault"),
    [
        ("- 1", "init.yml:1: error: the file must be a mapping, not a list"),
        ("a: [", "not YAML"),
        ("{}", "missing, and without an archive"),
        ("test_cases: []", "there is no test case"),
        ("test_cases: 5", "must be a list or a mapping, not the number 5"),
        ("test_cases: [5]", "a test case must be a mapping, not the number 5"),
        ("test_cases: [{in: 9.in, out: 1.out}]", "init.yml:1: error: in: '9.in' is not in the package"),
        ("test_cases: [{in: ../1.in, out: 1.out}]", "'../1.in' leads out of the package"),
        ("test_cases: [{in: /etc/passwd, out: 1.out}]", "'/etc/passwd' leads out of the package"),
        ("test_cases: [{in: 1.in}]", "case-1 has no answer to compare with"),
        ("test_cases: [{in: 1.in, out: 1.out, points: -1}]", "points: must be at least 0"),
        ("test_cases: [{in: 1.in, out: 1.out, points: .inf}]", "points: must be a number"),
        ("test_cases: [{batched: []}]", "a batch without test cases"),
        ("test_cases: [{batched: [{batched: []}]}]", "a batch in a batch"),
        (
            "test_cases:\n- batched: [{in: 1.in, out: 1.out}]\n  dependencies: [1]",
            "init.yml:3: error: dependencies: batch 1 can depend on earlier batches only, not on 1",
        ),
        ("custom_judge: j.py\ntest_cases: [{in: 1.in}]", "custom_judge: custom graders are Python"),
        ("signature_grader: {entry: a, header: b}\ntest_cases: [{in: 1.in, out: 1.out}]", "signature grading"),
        ("generator: g.cpp\ntest_cases: [{points: 1}]", "tests that a generator makes while judging"),
        ("test_cases++: 'x = 1'\ntest_cases: [{in: 1.in, out: 1.out}]", "test_cases++: dynamic keys are Python"),
        ("checker: check.py\ntest_cases: [{in: 1.in, out: 1.out}]", "check.py: checkers in Python"),
        ("checker: flots\ntest_cases: [{in: 1.in, out: 1.out}]", "unknown checker 'flots' (did you mean 'floats'?)"),
        ("checker: bridged\ntest_cases: [{in: 1.in}]", "bridged needs args"),
        ("checker: {name: bridged, args: {files: no.cpp}}\ntest_cases: [{in: 1.in}]", "'no.cpp' is not in the package"),
        (
            "checker: {name: bridged, args: {files: t.cpp, type: testlb}}\ntest_cases: [{in: 1.in}]",
            "must be one of default, testlib, coci, peg; not 'testlb'",
        ),
        ("checker: {name: bridged, args: {files: t.cpp}}\ntest_cases: [{in: 1.in}]", "t.cpp includes testlib.h"),
        ("checker: {name: bridged, args: {files: h.h}}\ntest_cases: [{in: 1.in}]", "there is no source among them"),
        ("interactive: {lang: CPP17}\ntest_cases: [{in: 1.in}]", "no files: which program is it?"),
        ("interactive: {files: h.h, lang: PY2}\ntest_cases: [{in: 1.in}]", "no source"),
        ("checker: {name: linecount, args: {match: x}}\ntest_cases: [{in: 1.in, out: 1.out}]", "match is Python"),
        ("archive: no.zip\ntest_cases: [{in: 1.in, out: 1.out}]", "archive: 'no.zip' is not in the package"),
        ("archive: 1.in\ntest_cases: [{in: 1.in, out: 1.out}]", "archive: 1.in: neither zip nor tar"),
        ("file_io: {output: x.out}\ntest_cases: [{in: 1.in, out: 1.out}]", "write their output to a file"),
        ("file_io: {input: a/b}\ntest_cases: [{in: 1.in, out: 1.out}]", "'a/b' is no name of a file"),
        ("symlinks: {x: /etc/passwd}\ntest_cases: [{in: 1.in, out: 1.out}]", "leads out of the package"),
        ("archive: data.zip\ntest_cases: {input_format: '('}", "input_format: '(': missing )"),
        ("archive: data.zip\ntest_cases: {case_points: [1]}", "1 numbers for 2 cases"),
        ("archive: data.zip\ntest_cases: {output_format: 'x'}", "1.in has no answer"),
    ],
)  # fmt: skip
def test_faults_are_told_with_their_line(faults_of: Callable[..., list[str]], init: str, fault: str) -> None:
    files: Files = {**numbered(2), "t.cpp": '#include "testlib.h"\n', "h.h": ""}
    found = faults_of(init, files, {"1.in": "", "1.out": "", "2.in": "", "2.out": ""})
    assert any(fault in text for text in found), found
    assert all(text.startswith("init.yml") for text in found)


def test_all_faults_at_once(faults_of: Callable[..., list[str]]) -> None:
    found = faults_of("hints: [unicode]\npoint: 3\ntest_cases:\n- {in: a, out: b}\n- {in: 1.in, out: 1.out, points: x}",
                      numbered(1))  # fmt: skip
    assert found == [
        "init.yml:1: warning: hints: is ignored",
        "init.yml:2: warning: unknown key 'point', ignored (did you mean 'points'?)",
        "init.yml:4: error: in: 'a' is not in the package",
        "init.yml:4: error: out: 'b' is not in the package",
        "init.yml:5: error: points: must be a number, not the text 'x'",
    ]


def test_without_a_place_to_unpack_into(tmp_path: Path) -> None:
    root = write(tmp_path / "p", DOCUMENTED, archive=ARCHIVE)
    faults = Faults()
    assert dmoj.matches(root) and not dmoj.matches(tmp_path)
    assert dmoj.read(root, faults) is None
    assert [f.message for f in faults.errors] == [
        "archive: an archive must be unpacked somewhere, and no directory was given for that"
    ]


def test_a_package_without_archive_or_odd_files_needs_no_place(tmp_path: Path) -> None:
    faults = Faults()
    root = write(tmp_path / "p", "test_cases: [{in: 1.in, out: 1.out}]", numbered(1))
    assert dmoj.read(root, faults) is not None and faults.all == ()


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=5),
    st.sampled_from(["1.in", "1.out", "bridged", "floats", "../x", "a.py", "data.zip", "testlib", "t.cpp"]),
)  # fmt: skip
MORE = {"name", "args", "files", "type", "case_points", "input_format", "x+"}
KEYS = st.sampled_from(sorted(dmoj.config.TOP | dmoj.config.CASE | MORE))
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=4), max_leaves=12)


@settings(
    max_examples=100, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.dictionaries(KEYS, VALUES, max_size=6), st.booleans())
def test_fuzz(tmp_path: Path, init: dict[str, object], into: bool) -> None:
    """A problem, or faults with their place; never an exception."""
    root = write(tmp_path / "p", yaml.safe_dump(init, allow_unicode=True),
                 {**numbered(1), "t.cpp": ""}, {"1.in": "", "1.out": ""})  # fmt: skip
    (tmp_path / "into").mkdir(exist_ok=True)
    faults = Faults()
    problem = dmoj.read(root, faults, into=tmp_path / "into" if into else None)
    assert (problem is None) == bool(faults.errors)
    for fault in faults.all:
        assert fault.file == "init.yml" and "\n" not in str(fault)


def test_an_archive_in_an_archive_by_the_front_door(tmp_path: Path) -> None:
    root = write(tmp_path / "src", DOCUMENTED + "checker: {name: bridged, args: {files: [c.cpp, h.h]}}\n",
                 {"c.cpp": "", "h.h": "1"}, ARCHIVE)  # fmt: skip

    def opened(name: str) -> Problem:
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
            for file in root.iterdir():
                packed.write(file, f"top/{file.name}")
        (tmp_path / name).mkdir()
        return open_problem(tmp_path / f"{name}.zip", into=tmp_path / name)

    one, same = opened("one"), opened("same")
    assert one.name == "one" and len(one.tests) == 7
    assert all(test.input.is_relative_to((tmp_path / "one").resolve()) for test in one.tests)
    assert one.digest == same.digest
    (root / "h.h").write_text("2")
    assert opened("other").digest != one.digest  # what a checker includes bears on verdicts
