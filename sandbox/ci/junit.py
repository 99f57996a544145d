"""JUnit XML, as pytest writes it and GitLab, Jenkins and GitHub's reporters read it (Jenkins' schema "junit-10").

A job is a testsuite, a step a testcase. A job that could not be run has one testcase more, which is an error.
"""

from __future__ import annotations

from xml.etree import ElementTree as xml

from .result import ERROR, FAILED, INTERRUPTED, SKIPPED, JobResult, RunResult, StepResult, clean

_SECOND = 1_000_000_000


def render(result: RunResult) -> str:
    """The file's text."""
    root = xml.Element("testsuites", name=clean(result.name), time=f"{result.wall_ns / _SECOND:.3f}")
    for job in result.jobs:
        _job(root, result.name, job)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _job(root: xml.Element, file: str, job: JobResult) -> None:
    title = clean(job.title)
    suite = xml.SubElement(root, "testsuite", name=title, time=f"{job.wall_ns / _SECOND:.3f}")
    properties = xml.SubElement(suite, "properties")
    for name, value in {"image": job.image, "attempts": str(job.attempts), **job.axes}.items():
        xml.SubElement(properties, "property", name=clean(name), value=clean(value))
    classname = f"{clean(file)}.{title}"
    for at, step in enumerate(job.steps, 1):
        # Names may repeat, and readers take two of one name for one.
        twice = sum(other.name == step.name for other in job.steps) > 1
        name = f"{clean(step.name)} [{at}]" if twice else clean(step.name)
        case = xml.SubElement(suite, "testcase", classname=classname, name=name, time=f"{step.wall_ns / _SECOND:.3f}")
        _step(case, step)
    if not job.steps or (job.status in (ERROR, INTERRUPTED) and not any(s.status == job.status for s in job.steps)):
        case = xml.SubElement(suite, "testcase", classname=classname, name="job", time="0.000")
        if job.status == SKIPPED:
            xml.SubElement(case, "skipped", message=clean(job.detail))
        elif job.status in (ERROR, INTERRUPTED, FAILED):
            xml.SubElement(case, "error", message=clean(job.detail), type=job.status)
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))


def _step(case: xml.Element, step: StepResult) -> None:
    tag = {FAILED: "failure", ERROR: "error", INTERRUPTED: "error", SKIPPED: "skipped"}.get(step.status)
    if tag is not None:
        element = xml.SubElement(case, tag, message=clean(step.detail))
        if tag != "skipped":
            element.set("type", step.outcome or step.status)
    if step.output:
        xml.SubElement(case, "system-out").text = clean(step.output)
