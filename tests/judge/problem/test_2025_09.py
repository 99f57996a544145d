"""Version 2025-09 of the ICPC format."""

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
    SUBMIT_ANSWER,
    Checker,
    Group,
    Problem,
    Scoring,
)
from judge.problem.opening import inspect
from tests.judge.problem.packages import CURRENT, SCORED, UUID, Files, errors, faults, good, read, write

HEAD = f"problem_format_version: 2025-09\nname: Sum\nuuid: {UUID}\n"


def head(text: str, files: Files = CURRENT) -> Files:
    return {**files, "problem.yaml": HEAD + text}


def groups(problem: Problem) -> dict[str, Scoring]:
    found: dict[str, Scoring] = {}
    waiting = [problem.data]
    while waiting:
        one = waiting.pop()
        found[one.name] = one.scoring
        waiting += [child for child in one.children if isinstance(child, Group)]
    return found


def test_a_good_package(tmp_path: Path) -> None:
    problem = good(tmp_path, CURRENT)
    assert (problem.format, problem.title, problem.kinds) == ("icpc-2025-09", "Sum", {PASS_FAIL})
    assert problem.limits.time_ns == 3 * SECOND // 2 and not problem.allow_file_writing
    rule = problem.limits.rule
    assert (rule.ac_to_limit, rule.limit_to_tle, rule.resolution_ns) == (2.0, 1.5, SECOND)
    assert [test.name for test in problem.tests] == ["sample/1", "secret/01"]
    assert problem.checkers == (Checker("tokens"),) and problem.languages is None
    assert groups(problem)["secret"] == Scoring("pass-fail")


def test_metadata(tmp_path: Path) -> None:
    text = """type: [interactive, multi-pass]
limits:
  time_multipliers: {ac_to_time_limit: 3, time_limit_to_tle: 2}
  time_resolution: 0.1
  memory: 64
  validation_passes: 5
languages: [cpp, python3]
allow_file_writing: true
credits:
  authors: [A <a@example.org>, {name: B, orcid: 1-2}]
  translators: {da: C}
source: [{name: X, url: y}, Z]
license: cc by-sa
embargo_until: 2030-01-02T03:04:05Z
keywords: [easy]
"""
    problem = good(tmp_path, {**head(text), "output_validator/check.py": ""})
    assert problem.kinds == {PASS_FAIL, INTERACTIVE, MULTI_PASS}
    rule = problem.limits.rule
    assert (rule.ac_to_limit, rule.limit_to_tle, rule.resolution_ns) == (3.0, 2.0, SECOND // 10)
    assert problem.limits.memory_bytes == 64 * MIB and problem.limits.validation_passes == 5
    assert problem.languages == {"cpp", "python3"} and problem.allow_file_writing
    assert problem.checkers == () and problem.interactor is not None


def test_names_by_language(tmp_path: Path) -> None:
    names = f"problem_format_version: 2025-09\nuuid: {UUID}\nname:\n  no: Summen\n  en: The Sum\n"
    files: Files = {**CURRENT, "problem.yaml": names, "statement/problem.no.tex": ""}
    assert good(tmp_path, files).title == "The Sum"
    files["statement/problem.sv.tex"] = ""
    files["problem.yaml"] = names + "  da: Sum\n"
    assert faults(tmp_path, files) == [
        "problem.yaml: warning: the language da has a name but no statement",
        "problem.yaml: warning: the language sv has a statement but no name",
    ]


def test_wrong_metadata_is_told_all_at_once(tmp_path: Path) -> None:
    text = """problem_format_version: 2025-09
type: [pass-fail, scoring, scorin]
name: {english: Sum}
limits: {time_limit: 0, time_multipliers: {ac_to_time_limit: 0.5, x: 1}, validation_passes: 3, time_multiplier: 1}
languages: [c++]
allow_file_writing: maybe
constants: {1a: 2, b: [1]}
credits: {author: A, authors: [], testers: [{email: x}]}
license: cc by
embargo_until: tomorrow
validation: custom
"""
    assert errors(tmp_path, {**CURRENT, "problem.yaml": text}) == [
        "problem.yaml:1: error: the key uuid is missing (uuidgen makes one)",
        "problem.yaml:2: error: type: 'scorin' is none of pass-fail, scoring, multi-pass, interactive, "
        "submit-answer (did "
        "you mean 'scoring'?)",
        "problem.yaml:2: error: type: pass-fail and scoring exclude each other",
        "problem.yaml:3: error: name: 'english' is no language code as en, fil or pt-BR",
        "problem.yaml:4: error: ac_to_time_limit: must be at least 1 and at most 1e+06, not 0.5",
        "problem.yaml:4: error: time_limit: must be above 0 and at most 86400, not 0",
        "problem.yaml:4: error: unknown key 'time_multiplier' in limits (did you mean 'time_multipliers'?)",
        "problem.yaml:4: error: unknown key 'x' in time_multipliers",
        "problem.yaml:4: error: validation_passes: only multi-pass problems may have it",
        "problem.yaml:5: error: languages: 'c++' is no language code of the format",
        "problem.yaml:6: error: allow_file_writing: must be true or false, not the text 'maybe'",
        "problem.yaml:7: error: constants: '1a' is no name (letters, digits and _)",
        "problem.yaml:7: error: constants: b must be a text or a number, not a list",
        "problem.yaml:8: error: authors: must not be an empty list",
        "problem.yaml:8: error: testers: a person without a name",
        "problem.yaml:8: error: unknown key 'author' in credits (did you mean 'authors'?)",
        "problem.yaml:10: error: embargo_until: must be YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ",
        "problem.yaml:11: error: unknown key 'validation'",
    ]


# Tests


def test_configuration_of_tests_and_groups(tmp_path: Path) -> None:
    files: Files = {
        **head("type: submit-answer\n"),
        "data/secret/test_group.yaml": "args: [a, b]\noutput_validator_args: [case_sensitive]\n",
        "data/secret/02.in": "", "data/secret/02.ans": "", "data/secret/02.files/d/f": "x",
        "data/secret/02.yaml": "args: []\ndescription: the second\noutput_validator_args: [float_tolerance, '1e-6']\n",
    }  # fmt: skip
    problem = good(tmp_path, files)
    assert problem.kinds == {PASS_FAIL, SUBMIT_ANSWER}
    sample, first, second = problem.tests
    assert (sample.args, first.args, second.args) == ((), ("a", "b"), ())
    assert sample.checker is None and first.checker == Checker("tokens", {"case_sensitive": True})
    assert second.checker == Checker("tokens", {"float_relative": 1e-6, "float_absolute": 1e-6})
    assert second.description == "the second" and first.checker_args == ()
    assert second.files == {"d/f": tmp_path / "sum/data/secret/02.files/d/f"}


def test_arguments_of_an_own_validator_are_handed_on(tmp_path: Path) -> None:
    files: Files = {
        **CURRENT,
        "output_validator/v/run": "",
        "data/secret/01.yaml": "output_validator_args: [x, 'y z']\n",
    }
    problem = good(tmp_path, files)
    assert problem.checkers == (
        Checker("validator", {"strict_scores": True}, tmp_path / "sum/output_validator/v"),
    )
    assert problem.tests[1].checker_args == ("x", "y z") and problem.tests[1].checker is None


def test_wrong_tests(tmp_path: Path) -> None:
    files: Files = {
        **CURRENT,
        "data/sample/g/1.in": "", "data/sample/g/1.ans": "",
        "data/secret/01.yaml": "arg: [x]\noutput_validator_args: case_sensitive\nhint: 3\n",
        "data/secret/01.out": "", "data/secret/01.ans.statement": "",
        "data/secret/02.yaml": "", "data/secret/03.files": "x", "data/secret/testdata.yaml": "",
        "data/secrets/1.in": "", "data/readme.in": "",
        "data/invalid_input/x.in": "",
    }  # fmt: skip
    assert faults(tmp_path, files) == [
        "data/readme.in: error: a file where only directories may be",
        "data/sample/g: error: data/sample must not have groups",
        "data/secret/01.in: error: has both .out and .ans.statement",
        "data/secret/01.yaml:1: error: unknown key 'arg' (did you mean 'args'?)",
        "data/secret/01.yaml:2: error: output_validator_args: must be a list of texts, not the text 'case_sensitive'",
        'data/secret/01.yaml:3: error: hint: must be a text, not the number 3 (write "3")',
        "data/secret/02.yaml: error: there is no 02.in for this .yaml file",
        "data/secret/03.files: error: must be a directory with the files of a test",
        "data/secret/testdata.yaml: error: must not be here (the configuration of a group is its test_group.yaml)",
        "data/secrets: error: no such kind of test data (did you mean 'secret'?)",
    ]


def test_flags_of_the_default_validator_are_checked(tmp_path: Path) -> None:
    text = "output_validator_args: [float_tolerance]\n"
    assert errors(tmp_path, {**CURRENT, "data/secret/test_group.yaml": text}) == [
        "data/secret/test_group.yaml:1: error: output_validator_args: float_tolerance must be followed by a "
        "number that is "
        "not negative"
    ]


def test_names_that_break_the_rule_are_passed_over(tmp_path: Path) -> None:
    files: Files = {
        **CURRENT, "data/secret/a b.in": "", "data/secret/.hidden.in": "", "data/secret/-x.in": "", "a b/c": "",
        "submissions/accepted/é.py": "", "submissions/accepted/d d/x.py": "",
    }  # fmt: skip
    problem, found = read(tmp_path, files)
    assert problem is not None and [test.name for test in problem.tests] == ["sample/1", "secret/01"]
    assert [one.name for one in problem.submissions] == ["accepted/sum.py"]
    assert [(fault.file, fault.severity) for fault in found] == [
        ("data/secret/a b.in", "warning"),
        ("submissions/accepted/d d", "warning"),
        ("submissions/accepted/é.py", "warning"),
    ]  # fmt: skip


# Groups and scoring


def test_groups_with_scores(tmp_path: Path) -> None:
    problem = good(tmp_path, SCORED)
    assert problem.kinds == {SCORING}
    assert groups(problem) == {
        "": Scoring(on_reject="continue", ignore_sample=True),
        "sample": Scoring("pass-fail", on_reject="continue", accept_score=0.0),
        "secret": Scoring("sum", on_reject="continue", accept_score=0.0, max_score=100.0),
        "secret/1": Scoring("pass-fail", accept_score=0.0, max_score=30.0),
        "secret/2": Scoring(
            "sum", on_reject="continue", accept_score=35.0, max_score=70.0, require_pass=("secret/1",)
        ),
    }  # fmt: skip


def test_points_of_tests(tmp_path: Path) -> None:
    points = {test.name: test.points for test in good(tmp_path, SCORED).tests}
    assert points == {
        "sample/1": None, "secret/1/a": None, "secret/1/b": None, "secret/2/a": 35.0, "secret/2/b": 35.0,
    }  # fmt: skip


def test_min_and_unbounded(tmp_path: Path) -> None:
    files: Files = {
        **SCORED,
        "data/secret/test_group.yaml": "max_score: unbounded\n",
        "data/secret/1/test_group.yaml": "max_score: 30\nscore_aggregation: min\n",
        "data/secret/2/test_group.yaml": "score_aggregation: sum\nrequire_pass: [sample]\n",
    }
    read = groups(good(tmp_path, files))
    assert read["secret/1"] == Scoring("min", accept_score=30.0, max_score=30.0)
    assert read["secret/2"] == Scoring(
        "sum", on_reject="continue", accept_score=0.0, require_pass=("sample",), needs_score=True
    )
    assert read["secret"].max_score is None and not read["secret"].needs_score


def test_tests_without_groups(tmp_path: Path) -> None:
    files = {**CURRENT, "problem.yaml": HEAD + "type: scoring\n", "data/secret/02.in": "", "data/secret/02.ans": ""}
    assert groups(good(tmp_path, files))["secret"].accept_score == 50.0


def test_directories_below_groups_are_no_groups(tmp_path: Path) -> None:
    files: Files = {**SCORED, "data/secret/1/a0/x.in": "", "data/secret/1/a0/x.ans": ""}
    problem = good(tmp_path, files)
    assert [t.name for t in problem.tests if t.name.startswith("secret/1")] == [
        "secret/1/a",
        "secret/1/a0/x",
        "secret/1/b",
    ]
    files["data/secret/1/a0/test_group.yaml"] = ""
    assert errors(tmp_path, files) == [
        "data/secret/1/a0/test_group.yaml: error: must not be here (it is for groups alone)"
    ]


@pytest.mark.parametrize(
    ("one", "two", "found"),
    [
        ("", "max_score: 1", [
            "data/secret/1/test_group.yaml: error: max_score: must be given, since secret has one (100 unless it says "
            "otherwise)",
        ]),
        ("max_score: 1", "max_score: 1\nrequire_pass: secret/2",
         ["data/secret/2/test_group.yaml:2: error: require_pass: secret/2 requires itself"]),
        ("max_score: 1\nrequire_pass: [secret/2, secret/3]", "max_score: 1\nrequire_pass: sampel", [
            "data/secret/1/test_group.yaml:2: error: require_pass: 'secret/2': must come before this group in "
            "the order of "
            "names",
            "data/secret/1/test_group.yaml:2: error: require_pass: 'secret/3': there is no such group",
            "data/secret/2/test_group.yaml:2: error: require_pass: 'sampel': there is no such group (did you mean "
            "'sample'?)",
        ]),
        ("max_score: 1\nscore_aggregation: min", "max_score: 1\nrequire_pass: secret/1",
         ["data/secret/2/test_group.yaml:2: error: require_pass: 'secret/1' must have the aggregation pass-fail"]),
        ("max_score: -1", "max_score: x\nscore_aggregation: max\nmax_scor: 3", [
            "data/secret/1/test_group.yaml:1: error: max_score: must be from 0 to 1000000000000000, not -1",
            "data/secret/1/test_group.yaml:1: error: max_score: must be given, since secret has one (100 unless "
            "it says "
            "otherwise)",
            "data/secret/2/test_group.yaml:1: error: max_score: must be a whole number, not the text 'x'",
            "data/secret/2/test_group.yaml:1: error: max_score: must be given, since secret has one (100 unless "
            "it says "
            "otherwise)",
            "data/secret/2/test_group.yaml:2: error: score_aggregation: must be one of pass-fail, sum, min; not 'max'",
            "data/secret/2/test_group.yaml:3: error: unknown key 'max_scor' (did you mean 'max_score'?)",
        ]),
    ],
)  # fmt: skip
def test_wrong_groups(tmp_path: Path, one: str, two: str, found: list[str]) -> None:
    files: Files = {**SCORED, "data/secret/1/test_group.yaml": one, "data/secret/2/test_group.yaml": two}
    assert errors(tmp_path, files) == found


def test_rules_between_secret_and_its_groups(tmp_path: Path) -> None:
    files: Files = {**SCORED, "data/secret/test_group.yaml": "score_aggregation: pass-fail\nrequire_pass: secret/1\n"}
    assert errors(tmp_path, files) == [
        "data/secret/2/test_group.yaml:2: error: score_aggregation: must be pass-fail, since that of secret is",
        "data/secret/test_group.yaml:2: error: require_pass: 'secret/1': secret may only require sample",
    ]
    files = {**SCORED, "data/secret/9.in": "", "data/secret/9.ans": "", "data/sample/test_group.yaml": "max_score: 1\n"}
    assert errors(tmp_path / "b", files) == [
        "data/sample/test_group.yaml:1: error: max_score: not permitted in sample",
        "data/secret: error: has both tests and groups (such as secret/9.in and 1/)",
    ]
    files = {**CURRENT, "data/secret/test_group.yaml": "max_score: 1\n"}
    assert errors(tmp_path / "c", files) == [
        "data/secret/test_group.yaml:1: error: max_score: pass-fail problems must not have it (type: scoring in "
        "problem.yaml)"
    ]


def test_a_static_validator_is_not_run(tmp_path: Path) -> None:
    group = "max_score: 30\nscore_aggregation: sum\nstatic_validation_score: 10\n"
    files: Files = {**SCORED, "static_validator/x.py": "", "data/secret/1/test_group.yaml": group,
                    "data/secret/2/test_group.yaml": "max_score: 70\n"}  # fmt: skip
    problem, found = read(tmp_path, files)
    assert problem is not None and groups(problem)["secret/1"].accept_score == 10.0
    assert [str(fault) for fault in found] == [
        "data/secret/1/test_group.yaml:3: warning: static_validation_score: static validators are not run "
        "here: nobody gets "
        "these points",
        "static_validator: warning: static validators are not run here",
    ]
    del files["static_validator/x.py"]
    assert "data/secret/1/test_group.yaml:3: error: static_validation_score: there is no static_validator/" in errors(
        tmp_path / "b", files
    )


# Validators


def test_which_validator(tmp_path: Path) -> None:
    place = tmp_path / "sum/output_validator"
    files: Files = {**CURRENT, "output_validator/build": "", "output_validator/a.cpp": ""}
    assert good(tmp_path, files).checkers == (Checker("validator", {"strict_scores": True}, place),)
    files["output_validator/d/x"] = ""
    assert errors(tmp_path, files) == ["output_validator: error: more than one program: a.cpp, build, d"]


@pytest.mark.parametrize("kind", ["interactive", "multi-pass"])
def test_a_validator_is_needed(tmp_path: Path, kind: str) -> None:
    assert errors(tmp_path, head(f"type: {kind}\n")) == [
        f"output_validator: error: {kind}: needs an output validator, and there is none"
    ]


# Constants


def test_constants_are_put_into_programs(tmp_path: Path) -> None:
    files: Files = {
        **head("constants: {most: 10, name: x y, small: 1e-6}\n"),
        "data/secret/test_group.yaml": "output_validator_args: [float_tolerance, '{{small}}']\n",
        "data/secret/01.in": "{{most}}\n",
        "include/python3/limits.py": "MOST = {{most}}\n",
        "submissions/accepted/dir/a.py": "{{most}} {{name}} {{other}}\n",
        "output_validator/v/run": "#!/bin/sh\n# {{most}}\n",
    }
    (tmp_path / "sum/output_validator/v").mkdir(parents=True)
    (tmp_path / "sum/output_validator/v/run").touch(0o755)
    problem = good(tmp_path, files)
    assert problem.include["python3"]["limits.py"].read_text() == "MOST = 10\n"
    jury = {one.name: one.path for one in problem.submissions}
    assert (jury["accepted/dir"] / "a.py").read_text() == "10 x y {{other}}\n"
    source = problem.checkers[0].source
    assert source is not None and (source / "run").read_text() == "#!/bin/sh\n# 10\n"
    assert (source / "run").stat().st_mode & 0o777 == 0o755
    assert problem.tests[1].input.read_text() == "{{most}}\n"
    assert problem.tests[1].checker_args == ("float_tolerance", "1e-6")
    assert (tmp_path / "sum/include/python3/limits.py").read_text() == "MOST = {{most}}\n"


def test_constants_need_a_place_for_copies(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", {**head("constants: {most: 10}\n"), "include/cpp/a.h": "{{most}}"})
    problem, found = inspect(root)
    assert problem is not None and [str(fault) for fault in found] == [
        "problem.yaml: error: constants: programs have them, and no directory was given for copies of those "
        "(open_problem(path, into=directory))"
    ]
    (root / "include/cpp/a.h").write_text("{{least}}")
    assert not inspect(root)[1]


# The jury's submissions


def test_answers_are_submissions_too(tmp_path: Path) -> None:
    files: Files = {**head("type: submit-answer\n"), "submissions/wrong_answer/mine/01.out": "8"}
    assert [one.name for one in good(tmp_path, files).submissions] == ["accepted/sum.py", "wrong_answer/mine"]


def test_default_directories(tmp_path: Path) -> None:
    files: Files = {
        f"submissions/{d}/x.py": "" for d in ("rejected", "time_limit_exceeded", "brute_force", "judge_error")
    }
    read = good(tmp_path, {**CURRENT, **files})
    found = {one.name.partition("/")[0]: one.expected for one in read.submissions}
    accepted, slow = found["accepted"], found["time_limit_exceeded"]
    assert accepted.permitted == accepted.verdicts == {"AC", "PAC"} and accepted.use_for_time_limit == "lower"
    assert slow.permitted == {"AC", "PAC", "TLE", "ILE"} and slow.required == slow.verdicts == {"TLE", "ILE"}
    assert slow.use_for_time_limit == "upper"
    assert found["rejected"].permitted == set() and found["rejected"].required == {
        "WA", "PE", "TLE", "ILE", "RTE", "MLE", "OLE", "SV"
    }  # fmt: skip
    assert found["rejected"].use_for_time_limit == found["brute_force"].use_for_time_limit == ""
    assert found["judge_error"].verdicts == {"JE"}


def test_submissions_yaml(tmp_path: Path) -> None:
    yaml = """
time_limit_exceeded:
  permitted: [AC, WA, TLE]
accepted/{sum,slow}.py:
  language: python3
  entrypoint: main
  use_for_time_limit: false
accepted/slow.py:
  sample: {permitted: [AC]}
  secret/0*:
    required: [TLE]
    message: too slow
mixed:
  permitted: [WA, RTE]
  required: [RTE]
"""
    files: Files = {
        "submissions/accepted/slow.py": "",
        "submissions/time_limit_exceeded/x.py": "",
        "submissions/mixed/y.py": "",
    }
    problem = good(tmp_path, {**CURRENT, **files, "submissions/submissions.yaml": yaml})
    jury = {one.name: one for one in problem.submissions}
    assert (jury["accepted/sum.py"].language, jury["accepted/sum.py"].entrypoint) == ("python3", "main")
    slow = jury["accepted/slow.py"].expected
    assert [scope for scope, _ in slow.parts] == ["sample", "secret/0*"]
    assert slow.parts[0][1].permitted == {"AC", "PAC"} and slow.parts[0][1].use_for_time_limit == "lower"
    assert slow.parts[1][1].required == {"TLE", "ILE"} and slow.parts[1][1].message == "too slow"
    assert jury["time_limit_exceeded/x.py"].expected.permitted == {"AC", "PAC", "WA", "PE", "TLE", "ILE"}
    assert jury["time_limit_exceeded/x.py"].expected.required == {"TLE", "ILE"}
    mixed = jury["mixed/y.py"].expected
    assert mixed.verdicts == {"WA", "PE", "RTE", "MLE", "OLE", "SV"} and mixed.use_for_time_limit == "lower"


def test_scores_of_submissions(tmp_path: Path) -> None:
    yaml = "accepted: {score: 100}\npartly: {score: [30, 70], permitted: [AC, WA], secret/1: {score: 30}}\n"
    files: Files = {**SCORED, "submissions/partly/x.py": "", "submissions/submissions.yaml": yaml}
    jury = {one.name: one.expected for one in good(tmp_path, files).submissions}
    assert jury["accepted/sum.py"].score == (100.0, 100.0)
    partly = jury["partly/x.py"]
    assert partly.score == (30.0, 70.0) and partly.parts[0][1].score == (30.0, 30.0)
    assert partly.verdicts == {"AC", "PAC", "WA", "PE"}


def test_wrong_submissions_yaml(tmp_path: Path) -> None:
    yaml = """accepted:
  permited: [AC]
  permitted: [AC, MAYBE]
  required: []
  language: c++
  score: 1
  use_for_time_limit: upward
accepted/none.py: {permitted: [AC]}
accepted/**: {}
"accepted/{a": {}
accepted/sum.py:
  permitted: [AC]
  required: [WA]
  secret/9: {permitted: [AC]}
  use_for_time_limit: upper
"""
    assert faults(tmp_path, {**CURRENT, "submissions/submissions.yaml": yaml}) == [
        "submissions/accepted/sum.py: error: the patterns that match it make it both a lower and an upper "
        "bound of the time "
        "limit",
        "submissions/submissions.yaml:2: error: unknown key 'permited' in accepted (did you mean 'permitted'?)",
        "submissions/submissions.yaml:3: error: permitted: 'MAYBE' is none of AC, WA, TLE, RTE",
        "submissions/submissions.yaml:4: error: required: must not be an empty list",
        "submissions/submissions.yaml:5: error: language: 'c++' is no language code of the format",
        "submissions/submissions.yaml:6: error: score: only scoring problems have scores (type: scoring in "
        "problem.yaml)",
        "submissions/submissions.yaml:7: error: use_for_time_limit: must be one of lower, upper; not 'upward'",
        "submissions/submissions.yaml:8: warning: 'accepted/none.py' matches no submission",
        "submissions/submissions.yaml:9: error: the pattern 'accepted/**': ** is not supported",
        "submissions/submissions.yaml:10: error: the pattern 'accepted/{a': braces that do not match, or "
        "that make more than "
        "256 patterns",
        "submissions/submissions.yaml:11: error: accepted/sum.py: nothing of required is permitted",
        "submissions/submissions.yaml:14: error: 'secret/9' is no key, and no test or group (did you mean 'secret'?)",
    ]
