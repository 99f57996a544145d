"""The ICPC format's legacy version, with what DOMjudge adds to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.problem.model import (
    INTERACTIVE,
    MIB,
    MULTI_PASS,
    PASS_FAIL,
    SCORING,
    SECOND,
    Checker,
    Group,
    Scoring,
)
from tests.judge.problem.packages import LEGACY, Files, errors, faults, good, read

SCORED: Files = {
    **LEGACY,
    "problem.yaml": "name: Sum\ntype: scoring\n",
    "data/testdata.yaml": "on_reject: continue\nrange: 0 100\ngrader_flags: ignore_sample\n",
    "data/secret/testdata.yaml": "grader_flags: sum\n",
    "data/secret/g1/testdata.yaml": "on_reject: break\naccept_score: 40\nrange: 0 40\ngrader_flags: min\n",
    "data/secret/g1/01.in": "1\n", "data/secret/g1/01.ans": "1\n",
}  # fmt: skip


def group(parent: Group, name: str) -> Group:
    (found,) = [child for child in parent.children if isinstance(child, Group) and child.name == name]
    return found


def test_a_good_package(tmp_path: Path) -> None:
    problem = good(tmp_path, LEGACY)
    assert (problem.name, problem.title, problem.format) == ("sum", "Sum", "icpc-legacy")
    assert problem.kinds == {PASS_FAIL} and problem.checkers == (Checker("tokens"),) and problem.interactor is None
    assert [test.name for test in problem.tests] == ["sample/1", "secret/01", "secret/02"]
    assert [test.sample for test in problem.tests] == [True, False, False]
    assert problem.tests[1].input == problem.root / "data/secret/01.in"
    assert problem.tests[1].answer == problem.root / "data/secret/01.ans"
    assert problem.limits.time_ns is None and problem.limits.memory_bytes == 512 * MIB
    rule = problem.limits.rule
    assert (rule.ac_to_limit, rule.limit_to_tle, rule.resolution_ns) == (5.0, 2.0, SECOND)
    assert problem.data.scoring == Scoring("sum", "worst_error", "break", 1.0, 0.0)
    (submission,) = problem.submissions
    assert (submission.name, submission.expected.use_for_time_limit) == ("accepted/sum.py", "lower")
    assert submission.expected.verdicts == {"AC", "PAC"}


def test_limits(tmp_path: Path) -> None:
    limits = "time_multiplier: 3\n  time_safety_margin: 1.5\n  output: 1\n  code: 2\n  compilation_time: 3\n  "
    limits += "compilation_memory: 4\n  validation_time: 5\n  validation_memory: 6\n  validation_output: 7\n"
    read = good(tmp_path, {**LEGACY, "problem.yaml": f"limits:\n  {limits}"}).limits
    assert (read.rule.ac_to_limit, read.rule.limit_to_tle) == (3.0, 1.5)
    assert (read.output_bytes, read.code_bytes) == (MIB, 2048)
    assert (read.compile_time_ns, read.compile_memory_bytes) == (3 * SECOND, 4 * MIB)
    assert (read.validation_time_ns, read.validation_memory_bytes, read.validation_output_bytes) == (
        5 * SECOND, 6 * MIB, 7 * MIB,
    )  # fmt: skip


def test_wrong_metadata_is_told_all_at_once(tmp_path: Path) -> None:
    text = (
        "nmae: x\ntype: passfail\nuuid: 1-2\nlicense: gpl\nlimits:\n  memory: lots\n  memori: 3\n  output: -1\n"
        "validation: custum\nkeywords: x\nvalidator_flags: 7\ngrading:\n  objective: most\n"
    )
    assert errors(tmp_path, {**LEGACY, "problem.yaml": text}) == [
        "problem.yaml:1: error: unknown key 'nmae' (did you mean 'name'?)",
        "problem.yaml:2: error: type: must be pass-fail or scoring, not 'passfail' (did you mean 'pass-fail'?)",
        "problem.yaml:3: error: uuid: '1-2' is no UUID (uuidgen makes one)",
        "problem.yaml:4: error: license: must be one of unknown, public domain, cc0, cc by, cc by-sa, educational, "
        "permission; not 'gpl'",
        "problem.yaml:6: error: memory: must be a whole number, not the text 'lots'",
        "problem.yaml:7: error: unknown key 'memori' in limits (did you mean 'memory'?)",
        "problem.yaml:8: error: output: must be from 1 to 1048576, not -1",
        "problem.yaml:9: error: validation: must begin with default or custom, not 'custum' (did you mean 'custom'?)",
        'problem.yaml:11: error: validator_flags: must be a text, not the number 7 (write "7")',
        "problem.yaml:12: error: grading: only scoring problems may have it (type: scoring)",
        "problem.yaml:13: error: objective: must be one of max, min; not 'most'",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[1]\n", "problem.yaml:1: error: must be a mapping, not a list"),
        ("a: [\n", "problem.yaml:2: error: not YAML: "),
        (
            "problem_format_version: 2025-9\n",
            "problem.yaml:1: error: problem_format_version: '2025-9' is unknown (did you",
        ),
    ],
)
def test_without_readable_metadata_there_is_no_problem(tmp_path: Path, text: str, fault: str) -> None:
    problem, found = read(tmp_path, {**LEGACY, "problem.yaml": text})
    assert problem is None and str(found[0]).startswith(fault)


def test_problem_yaml_is_missing(tmp_path: Path) -> None:
    files = {name: text for name, text in LEGACY.items() if name != "problem.yaml"}
    assert errors(tmp_path, files) == ["problem.yaml: error: is missing"]


# Tests


def test_halves_of_tests(tmp_path: Path) -> None:
    files: Files = {
        **LEGACY, "data/secret/03.in": "", "data/secret/04.ans": "", "data/secret/05.desc": "", "data/secret/note": "",
        "data/other/1.in": "", "data/1.in": "",
    }  # fmt: skip
    assert faults(tmp_path, files) == [
        "data/1.in: error: only the groups sample and secret may be in data/",
        "data/other: error: only the groups sample and secret may be in data/",
        "data/secret/03.in: error: there is no 03.ans for this input",
        "data/secret/04.ans: error: there is no 04.in for this answer",
        "data/secret/05.desc: error: there is no 05.in for this .desc file",
        "data/secret/note: warning: belongs to no test and is passed over",
    ]


def test_secret_data_is_missing(tmp_path: Path) -> None:
    files = {name: text for name, text in LEGACY.items() if not name.startswith("data/secret")}
    assert errors(tmp_path, files) == ["data/secret: error: there is no secret test data"]
    (tmp_path / "sum/data/secret/g").mkdir(parents=True)
    assert errors(tmp_path, files) == ["data/secret/g: error: the group is empty"]


def test_details_of_a_test(tmp_path: Path) -> None:
    files: Files = {
        **LEGACY, "data/secret/01.desc": "the\n smallest ", "data/secret/01.hint": "h",
        "data/secret/01.png": b"\x89PNG",
        "data/sample/extra.interaction": "< 1\n",
    }  # fmt: skip
    assert good(tmp_path, files).tests[1].description == "the smallest"
    assert errors(tmp_path, {**files, "data/secret/01.svg": ""}) == [
        "data/secret/01.in: error: more than one illustration: 01.png, 01.svg"
    ]


# Groups


def test_groups_inherit_what_they_do_not_say(tmp_path: Path) -> None:
    problem = good(tmp_path, SCORED)
    assert problem.kinds == {SCORING} and problem.scored
    assert problem.data.scoring == Scoring(on_reject="continue", max_score=100.0, ignore_sample=True)
    secret = group(problem.data, "secret")
    assert secret.scoring == Scoring(on_reject="continue", max_score=100.0)
    assert group(secret, "secret/g1").scoring == Scoring("min", on_reject="break", accept_score=40.0, max_score=40.0)
    assert [child.name for child in secret.children] == ["secret/01", "secret/02", "secret/g1"]
    assert problem.submissions[0].expected.score == (100.0, 100.0)


def test_grader_flags(tmp_path: Path) -> None:
    flags = "grader_flags: worst_error always_accept max avg\n"
    problem = good(tmp_path, {**SCORED, "data/secret/g1/testdata.yaml": flags})
    assert group(group(problem.data, "secret"), "secret/g1").scoring == Scoring(
        "avg", "always_accept", "continue", max_score=100.0
    )
    flags = "grader_flags: accept_if_any_accepted first_error\n"
    problem = good(tmp_path, {**SCORED, "data/secret/g1/testdata.yaml": flags})
    assert group(group(problem.data, "secret"), "secret/g1").scoring.verdict == "any_accepted"


def test_wrong_groups(tmp_path: Path) -> None:
    text = (
        "on_reject: brake\ngrading: custom\ngrader_flags: summ ignore_sample\nrange: 3 1\naccept_score: many\nrang: 1\n"
    )
    assert errors(tmp_path, {**SCORED, "data/secret/g1/testdata.yaml": text}) == [
        "data/secret/g1/testdata.yaml:1: error: on_reject: must be one of break, continue; not 'brake' (did you mean "
        "'break'?)",
        "data/secret/g1/testdata.yaml:2: error: grading: custom, but graders/ has no program",
        'data/secret/g1/testdata.yaml:4: error: range: must be two numbers, the lower one first (such as "0 100")',
        "data/secret/g1/testdata.yaml:5: error: accept_score: must be a number, not the text 'many'",
        "data/secret/g1/testdata.yaml:6: error: unknown key 'rang' (did you mean 'range'?)",
    ]
    text = "grader_flags: summ ignore_sample\n"
    assert errors(tmp_path, {**SCORED, "data/secret/g1/testdata.yaml": text}) == [
        "data/secret/g1/testdata.yaml:1: error: grader_flags: ignore_sample is only for data/testdata.yaml",
        "data/secret/g1/testdata.yaml:1: error: grader_flags: the default grader knows no 'summ' (did you mean 'sum'?)",
    ]


def test_scores_are_for_scoring_problems(tmp_path: Path) -> None:
    assert errors(tmp_path, {**LEGACY, "data/testdata.yaml": "accept_score: 2\n"}) == [
        "data/testdata.yaml:1: error: accept_score: only scoring problems may have it (type: scoring in problem.yaml)"
    ]


def test_a_failed_sample_would_end_all(tmp_path: Path) -> None:
    (error,) = errors(tmp_path, {**SCORED, "data/testdata.yaml": "grader_flags: ignore_sample\n"})
    assert error.startswith("data/testdata.yaml:1: error: ignore_sample with on_reject break")


def test_a_grader_of_the_package(tmp_path: Path) -> None:
    files: Files = {
        **SCORED,
        "graders/mine.py": "",
        "data/testdata.yaml": "grading: custom\ngrader_flags: -x ignore_sample",
    }
    scoring = good(tmp_path, files).data.scoring
    assert scoring.grader == tmp_path / "sum/graders/mine.py" and scoring.grader_flags == ("-x", "ignore_sample")
    assert errors(tmp_path, {**files, "graders/more.py": ""}) == [
        "graders/more.py: error: there may be one grader only"
    ]


def test_grading_in_problem_yaml_holds_for_all_groups(tmp_path: Path) -> None:
    text = "type: scoring\ngrading:\n  accept_score: 7\n  range: 0 70\n  on_reject: grade\n"
    problem, found = read(tmp_path, {**SCORED, "problem.yaml": text})
    assert problem is not None and {f.severity for f in found} == {"warning"}
    assert group(group(problem.data, "secret"), "secret/g1").scoring == Scoring(
        "min", on_reject="continue", accept_score=7.0, max_score=70.0
    )


# Checkers


def test_flags_of_the_default_validator(tmp_path: Path) -> None:
    files = {
        **LEGACY, "problem.yaml": "validator_flags: float_tolerance 1e-6\n",
        "data/secret/g/testdata.yaml": "output_validator_flags: case_sensitive\n",
        "data/secret/g/1.in": "", "data/secret/g/1.ans": "",
    }  # fmt: skip
    problem = good(tmp_path, files)
    tolerance = {"float_relative": 1e-6, "float_absolute": 1e-6}
    assert problem.checkers == (Checker("tokens", tolerance),)
    assert problem.tests[0].checker is None and problem.tests[0].checker_args == ()
    assert problem.tests[3].checker == Checker("tokens", {**tolerance, "case_sensitive": True})


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ("case_sensitiv", "the default validator knows no 'case_sensitiv'; did you mean 'case_sensitive'?"),
        ("float_tolerance", "float_tolerance must be followed by a number that is not negative"),
        ("float_tolerance -1", "float_tolerance must be followed by a number that is not negative, not '-1'"),
        ("float_tolerance nan", "float_tolerance must be followed by a number that is not negative, not 'nan'"),
        (
            "float_tolerance 1e-6 float_absolute_tolerance 1",
            "float_absolute_tolerance: the absolute tolerance is given twice",
        ),
    ],
)
def test_wrong_flags_of_the_default_validator(tmp_path: Path, flags: str, fault: str) -> None:
    found = errors(tmp_path, {**LEGACY, "problem.yaml": f"name: x\nvalidator_flags: {flags}\n"})
    assert found == [f"problem.yaml:2: error: validator_flags: {fault}"]
    found = errors(tmp_path, {**LEGACY, "data/secret/testdata.yaml": f"\noutput_validator_flags: {flags}\n"})
    assert found == [f"data/secret/testdata.yaml:2: error: output_validator_flags: {fault}"]


CUSTOM: Files = {
    **LEGACY, "problem.yaml": "validation: custom\nvalidator_flags: a b\n", "output_validators/one/check.cpp": "",
}  # fmt: skip


def test_output_validators(tmp_path: Path) -> None:
    place = tmp_path / "sum/output_validators"
    problem = good(tmp_path, CUSTOM)
    assert problem.checkers == (Checker("validator", source=place / "one"),)
    assert problem.tests[0].checker_args == ("a", "b") and problem.tests[0].checker is None
    files: Files = {
        **CUSTOM, "output_validators/two.py": "", "output_validators/README.md": "",
        "data/secret/testdata.yaml": "output_validator_flags: {name: two, flags: c d}\n",
    }  # fmt: skip
    problem = good(tmp_path, files)
    assert [checker.source for checker in problem.checkers] == [place / "one", place / "two.py"]
    assert problem.tests[0].checker is None
    assert problem.tests[1].checker == Checker("validator", source=place / "two.py")
    assert problem.tests[1].checker_args == ("a", "b", "c", "d")
    files["data/secret/testdata.yaml"] = "\noutput_validator_flags:\n  name: twoo\n"
    assert errors(tmp_path, files) == [
        "data/secret/testdata.yaml:3: error: name: there is no output validator 'twoo' (did you mean 'two'?)"
    ]


@pytest.mark.parametrize("second", ["check.h", "build"])
def test_files_that_belong_together_are_one_validator(tmp_path: Path, second: str) -> None:
    files: Files = {**LEGACY, "problem.yaml": "validation: custom\n"}
    files |= {"output_validators/check.cpp": "", f"output_validators/{second}": ""}
    assert good(tmp_path, files).checkers == (Checker("validator", source=tmp_path / "sum/output_validators"),)


def test_validation_and_validators_must_agree(tmp_path: Path) -> None:
    assert errors(tmp_path / "a", {**LEGACY, "output_validators/x.py": ""}) == [
        "output_validators/x.py: error: an output validator, but validation is default (validation: custom)"
    ]
    assert errors(tmp_path / "b", {**LEGACY, "problem.yaml": "validation: custom\n"}) == [
        "output_validators: error: validation is custom, but there is no output validator"
    ]
    assert errors(tmp_path / "c", {**LEGACY, "problem.yaml": "validation: custom interactive score\n"}) == [
        "output_validators: error: interactive: needs an output validator, and there is none",
        "problem.yaml:1: error: validation: score is only for scoring problems (type: scoring)",
    ]


def test_flags_in_quotes(tmp_path: Path) -> None:
    text = "validation: custom\nvalidator_flags: --say \"two words\" x\n"
    assert good(tmp_path, {**CUSTOM, "problem.yaml": text}).tests[0].checker_args == ("--say", "two words", "x")
    assert errors(tmp_path, {**CUSTOM, "problem.yaml": text.replace(' x', ' "x')}) == [
        "problem.yaml:2: error: validator_flags: a quotation mark or backslash that has no end"
    ]


def test_interactive_and_multi_pass(tmp_path: Path) -> None:
    problem = good(tmp_path / "a", {**CUSTOM, "problem.yaml": "validation: custom interactive\n"})
    assert problem.kinds == {PASS_FAIL, INTERACTIVE} and problem.checkers == ()
    assert problem.interactor == Checker("validator", source=tmp_path / "a/sum/output_validators/one")
    text = "validation: custom multi-pass\nlimits: {validation_passes: 4}\n"
    problem = good(tmp_path / "b", {**CUSTOM, "problem.yaml": text})
    assert problem.kinds == {PASS_FAIL, MULTI_PASS} and problem.interactor is None and len(problem.checkers) == 1
    assert problem.limits.validation_passes == 4
    # DOMjudge's way to say it
    problem = good(tmp_path / "c", {**CUSTOM, "problem.yaml": "type: pass-fail interactive\n"})
    assert problem.interactor is not None


# Included code


def test_include(tmp_path: Path) -> None:
    files: Files = {**LEGACY, "include/cpp/lib/a.h": "", "include/cpp/main.cpp": ""}
    place = tmp_path / "sum/include/cpp"
    assert good(tmp_path, files).include == {"cpp": {"lib/a.h": place / "lib/a.h", "main.cpp": place / "main.cpp"}}
    assert errors(tmp_path, {**files, "include/c++/a.h": "", "include/x": "", "include/java": None}) == [
        "include/c++: error: 'c++' is no language code",
        "include/java: error: the directory is empty",
        "include/x: error: files to include belong into a directory for their language",
    ]


# DOMjudge


def test_a_package_with_nothing_but_an_ini_file(tmp_path: Path) -> None:
    files: Files = {name: text for name, text in LEGACY.items() if name != "problem.yaml"}
    files["domjudge-problem.ini"] = (
        "; a comment\nname = 'Sum of two'\ntimelimit=1.5 ; seconds\ncolor = \"red\"\npoints=2\n"
    )
    problem = good(tmp_path, files)
    assert (problem.title, problem.limits.time_ns) == ("Sum of two", 3 * SECOND // 2)


def test_time_limits_of_domjudge(tmp_path: Path) -> None:
    assert good(tmp_path / "a", {**LEGACY, ".timelimit": "2\n"}).limits.time_ns == 2 * SECOND
    ini = {**LEGACY, "domjudge-problem.ini": "timelimit = 3\n"}
    assert good(tmp_path / "b", ini).limits.time_ns == 3 * SECOND
    both = {**ini, "problem.yaml": "limits: {time_limit: 0.25}\n"}
    assert good(tmp_path / "c", both).limits.time_ns == SECOND // 4
    assert errors(tmp_path / "d", {**both, ".timelimit": "3"}) == [
        ".timelimit:1: error: says 3 s, but problem.yaml says 0.25 s"
    ]
    assert errors(tmp_path / "e", {**LEGACY, ".timelimit": "soon"}) == [
        ".timelimit:1: error: the time limit must be seconds above 0, not 'soon'"
    ]


def test_a_wrong_ini_file(tmp_path: Path) -> None:
    text = "what\ntimelimt = 3\nspecial_compare = float\nname = a\nname = b\ntimelimit = 0\n"
    assert faults(tmp_path, {**LEGACY, "domjudge-problem.ini": text}) == [
        "domjudge-problem.ini:1: warning: neither a comment nor key = value; passed over",
        "domjudge-problem.ini:2: warning: unknown key 'timelimt' (did you mean 'timelimit'?)",
        "domjudge-problem.ini:3: error: special_compare: 'float' is a program of a DOMjudge and not in the "
        "package (put it"
        " into output_validators/ and set validation: custom)",
        "domjudge-problem.ini:5: error: the key 'name' is there twice (first in line 4)",
        "domjudge-problem.ini:6: error: the time limit must be seconds above 0, not '0'",
    ]


# The jury's submissions


def test_expected_by_directory(tmp_path: Path) -> None:
    files: Files = {**LEGACY, "submissions/wrong_answer/two/a.py": "", "submissions/wrong_answer/two/b.py": ""}
    for name in ("time_limit_exceeded", "run_time_error", "memory_limit_exceeded", "compile_error"):
        files[f"submissions/{name}/x.py"] = ""
    expected = {submission.name: submission.expected for submission in good(tmp_path, files).submissions}
    assert {name: set(one.verdicts) for name, one in expected.items()} == {
        "accepted/sum.py": {"AC", "PAC"}, "compile_error/x.py": {"CE"}, "memory_limit_exceeded/x.py": {"MLE"},
        "run_time_error/x.py": {"RTE", "MLE", "OLE", "SV"}, "time_limit_exceeded/x.py": {"TLE", "ILE"},
        "wrong_answer/two": {"WA", "PE"},
    }  # fmt: skip
    assert expected["time_limit_exceeded/x.py"].use_for_time_limit == "upper"


def test_annotations_of_domjudge(tmp_path: Path) -> None:
    files: Files = {
        **LEGACY,
        "submissions/mixed/a.py": "# @EXPECTED_RESULTS@: CORRECT, TIMELIMIT\n",
        "submissions/mixed/b.c": "/* @EXPECTED_RESULTS@: wrong-answer */\n",
        "submissions/mixed/c.py": "# @EXPECTED_SCORE@: 40\n",
        "submissions/run_time_error/d.py": "# @EXPECTED_RESULTS@: MEMORY-LIMIT\n",
    }
    expected = {submission.name: submission.expected for submission in good(tmp_path, files).submissions}
    assert expected["mixed/a.py"].verdicts == {"AC", "PAC", "TLE", "ILE"}
    assert expected["mixed/b.c"].verdicts == {"WA", "PE"}
    assert expected["mixed/c.py"].score == (40.0, 40.0)
    assert expected["run_time_error/d.py"].verdicts == {"MLE"}


def test_annotations_that_cannot_be(tmp_path: Path) -> None:
    files: Files = {
        **LEGACY,
        "submissions/accepted/a.py": "\n# @EXPECTED_RESULTS@: WRONG-ANSWER\n",
        "submissions/mixed/b.py": "# @EXPECTED_RESULTS@: RIGHT\n",
        "submissions/mixed/c.py": "# @EXPECTED_RESULTS@: CORRECT\n# @EXPECTED_RESULTS@: CORRECT\n",
        "submissions/mixed/d.py": "",
        "submissions/acepted/e.py": "",
    }
    assert faults(tmp_path, files) == [
        "submissions/accepted/a.py:2: error: @EXPECTED_RESULTS@ contradicts the directory (AC, PAC)",
        "submissions/acepted/e.py: warning: what is expected of a submission in 'acepted' is not known (did you mean "
        "'accepted'?)",
        "submissions/mixed/b.py:1: error: @EXPECTED_RESULTS@: 'RIGHT' is no result (such as WRONG-ANSWER)",
        "submissions/mixed/c.py:2: error: a second @EXPECTED_RESULTS@ in one submission",
        "submissions/mixed/d.py: warning: what is expected of a submission in 'mixed' is not known "
        "(@EXPECTED_RESULTS@ in "
        "it says so)",
    ]


def test_scores_of_submissions(tmp_path: Path) -> None:
    files: Files = {**SCORED, "submissions/partially_accepted/half.py": "", "submissions/wrong_answer/x.py": ""}
    expected = {submission.name: submission.expected for submission in good(tmp_path, files).submissions}
    assert expected["accepted/sum.py"].score == (100.0, 100.0) and expected["wrong_answer/x.py"].score is None
    low, high = expected["partially_accepted/half.py"].score or (0.0, 0.0)
    assert low == 0.0 and 99.99 < high < 100.0
    files["problem.yaml"] = "type: scoring\ngrading: {objective: min}\n"
    problem, found = read(tmp_path / "b", files)
    assert problem is not None and [fault.severity for fault in found] == ["warning"]
    assert problem.submissions[0].expected.score == (0.0, 0.0)
    files = {**LEGACY, "submissions/partially_accepted/half.py": ""}
    assert errors(tmp_path / "c", files) == [
        "submissions/partially_accepted/half.py: error: partially_accepted is only for scoring problems"
    ]


# Names


def test_names_that_break_the_rule_are_warnings(tmp_path: Path) -> None:
    assert faults(tmp_path, {**LEGACY, "data/secret/a b.in": "", "data/secret/a b.ans": ""}) == [
        "data/secret/a b.ans: warning: the name breaks the rule of the format (letters, digits and . _ - inside)",
        "data/secret/a b.in: warning: the name breaks the rule of the format (letters, digits and . _ - inside)",
    ]
