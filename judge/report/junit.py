"""JUnit XML, as pytest writes it and GitLab, Jenkins and GitHub's reporters read it (the schema "junit-10" of
Jenkins' xunit plugin).

A test is a testcase: AC passes, JE is an error, what was not judged is skipped, all else is a failure. With ``--all``
a testcase is a submission, and fails where it is not as expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as xml

from ..grade.jury import JuryResult
from ..problem.model import Problem
from ..result import SubmissionResult
from ..verdict import Verdict
from .text import SECOND, clean, clean_lines, why, words


def render(problem: Problem, results: Sequence[SubmissionResult], jury: Sequence[JuryResult] = ()) -> str:
    """The file's text. ``results``: as their audience may see them."""
    root = xml.Element("testsuites", name=clean(problem.name))
    if jury:
        _jury(root, problem, jury)
    else:
        for result in results:
            _submission(root, problem, result)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _suite(root: xml.Element, name: str, properties: dict[str, str], wall_ns: int) -> xml.Element:
    suite = xml.SubElement(root, "testsuite", name=name, time=f"{wall_ns / SECOND:.3f}")
    held = xml.SubElement(suite, "properties")
    for key, value in properties.items():
        xml.SubElement(held, "property", name=key, value=value)
    return suite


def _count(suite: xml.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))


def _submission(root: xml.Element, problem: Problem, result: SubmissionResult) -> None:
    name = f"{clean(problem.name)}/{clean(result.submission)}"
    properties = {"verdict": result.verdict.word, "language": clean(result.language), "profile": result.profile}
    if result.score is not None:
        properties["score"] = f"{result.score:g}"
    suite = _suite(root, name, properties, result.wall_ns)
    compiled = xml.SubElement(suite, "testcase", classname=name, name="compile", time="0.000")
    if result.compile.fault:
        _outcome(compiled, Verdict("JE", result.compile.fault))
    elif not result.compile.ok:
        _outcome(compiled, Verdict("CE", "does not compile"), result.compile.message)
    for test in result.tests:
        spent = f"{(test.cpu_ns or 0) / SECOND:.3f}"
        case = xml.SubElement(suite, "testcase", classname=name, name=clean(test.name), time=spent)
        _outcome(case, test.verdict, test.diff if test.sample else "")
    _count(suite)


def _outcome(case: xml.Element, verdict: Verdict, text: str = "") -> None:
    if verdict.accepted:
        return
    tag = {"JE": "error", "SK": "skipped"}.get(verdict.word, "failure")
    said = words(verdict) + (f": {clean(verdict.detail)}" if verdict.detail else "")
    element = xml.SubElement(case, tag, message=said)
    if tag != "skipped":
        element.set("type", verdict.word)
    lines = [f"{f.word}: {clean(f.detail)}" for f in verdict.findings] + (clean_lines(text) if text else [])
    element.text = "\n".join(lines) or None


def _jury(root: xml.Element, problem: Problem, jury: Sequence[JuryResult]) -> None:
    name = clean(problem.name)
    suite = _suite(root, name, {"format": problem.format}, sum(one.result.wall_ns for one in jury))
    for one in jury:
        case = xml.SubElement(suite, "testcase", classname=name, name=clean(one.submission.name),
                              time=f"{one.result.wall_ns / SECOND:.3f}")  # fmt: skip
        if one.mismatches:
            broken = one.result.verdict.word == "JE"
            element = xml.SubElement(case, "error" if broken else "failure", message=clean("; ".join(one.mismatches)),
                                     type=one.result.verdict.word)  # fmt: skip
            element.text = clean(f"{words(one.result.verdict)}: {why(one.result)}")
    _count(suite)
