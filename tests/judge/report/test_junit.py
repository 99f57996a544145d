"""JUnit XML as CI systems read it."""

from __future__ import annotations

from xml.etree import ElementTree as xml

from judge.report import junit
from judge.report.audience import for_team
from tests.judge.report import samples


def cases(root: xml.Element) -> dict[str, str]:
    """name -> the tag of what came of it."""
    return {case.get("name", ""): next((child.tag for child in case), "pass") for case in root.iter("testcase")}


def test_a_testcase_for_each_test() -> None:
    root = xml.fromstring(junit.render(samples.problem(), [for_team(samples.wrong())]))
    assert cases(root) == {
        "compile": "pass", "sample/1": "failure", "secret/01": "failure", "secret/02": "failure",
        "secret/03": "skipped",
    }  # fmt: skip
    suite = root[0]
    counts = [suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")]
    assert counts == ["sum/wrong.py", "5", "3", "0", "1"]
    failure = root.find(".//testcase[@name='sample/1']/failure")
    assert failure is not None and failure.get("type") == "WA" and "+ 4" in (failure.text or "")


def test_every_word_is_mapped() -> None:
    found = cases(xml.fromstring(junit.render(samples.problem(), [samples.all_words()])))
    tags = {}
    for test in samples.all_words().tests:
        tags[test.verdict.word] = found[test.name]
    assert {word for word, tag in tags.items() if tag == "pass"} == {"AC"}
    assert {word for word, tag in tags.items() if tag == "error"} == {"JE"}
    assert {word for word, tag in tags.items() if tag == "skipped"} == {"SK"}


def test_what_does_not_compile() -> None:
    root = xml.fromstring(junit.render(samples.problem(), [samples.broken()]))
    failure = root.find(".//testcase[@name='compile']/failure")
    assert failure is not None and failure.get("type") == "CE" and "second line" in (failure.text or "")


def test_hostile_text_makes_no_bad_xml() -> None:
    """A control character is not allowed in XML, however it is written."""
    text = junit.render(samples.problem(title="\x00<&>"), [samples.broken(), samples.wrong()])
    assert xml.fromstring(text) is not None
    assert all(c.isprintable() or c == "\n" for c in text)


def test_all_has_a_testcase_for_each_submission() -> None:
    jury = samples.jury([samples.right(), samples.wrong(), samples.all_words()])
    root = xml.fromstring(junit.render(samples.problem(), [one.result for one in jury], jury))
    assert cases(root) == {
        "submissions/right.cpp": "pass", "submissions/wrong.py": "pass", "submissions/every.py": "failure",
    }  # fmt: skip
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "0")
