"""Who may see what: of a test that is no sample, nothing that could hold its input or answer leaves the judge.

What checkers say is written by the jury and often quotes the answer; what the submission wrote to stderr, and what a
refused system call was called with, is written by the submission, which could write the input there. All of it is kept
for the jury (``--jury``) only. The facts from which a verdict follows stay, so that it can be given again from what is
left.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..facts import CheckFacts, Evidence, PassFacts, RunFacts
from ..result import GroupResult, SubmissionResult, TestResult
from ..verdict import Finding, Verdict

_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
LEAST_QUOTE = 3  # shorter pieces of a message are words like "no"


def for_team(result: SubmissionResult) -> SubmissionResult:
    """The same without secret data."""
    root = _group(result.root)
    secrets = [pair for test in result.tests if not test.sample for pair in _secrets(test.evidence)]
    return replace(
        result, root=root, verdict=_verdict(result.verdict, secrets),
        notes=tuple(_scrubbed(note, secrets) for note in result.notes),
    )  # fmt: skip


def _group(group: GroupResult) -> GroupResult:
    secrets = [pair for test in group.tests() if not test.sample for pair in _secrets(test.evidence)]
    children = tuple(_group(c) if isinstance(c, GroupResult) else _test(c) for c in group.children)
    return replace(group, children=children, verdict=_verdict(group.verdict, secrets))


def _test(test: TestResult) -> TestResult:
    if test.sample:
        return test
    evidence = test.evidence
    secrets = _secrets(evidence)
    bare = replace(
        evidence, passes=tuple(_pass(p) for p in evidence.passes), reruns=tuple(_run(r) for r in evidence.reruns),
        fault=_scrubbed(evidence.fault, secrets),
    )  # fmt: skip
    return replace(test, evidence=bare, diff="", verdict=_verdict(test.verdict, secrets, always=True))


Secrets = list[tuple[str, str]]


def _secrets(evidence: Evidence) -> Secrets:
    """(what may quote secret data, what is shown instead): whole and line by line, the longest first."""
    texts: list[str] = []
    calls: Secrets = []
    for one in evidence.passes:
        if one.check is not None:
            texts += [one.check.message, one.check.team_message]
            texts += [one.check.run.error] if one.check.run else []
        calls += [(text, _call(text)) for text in one.run.denials] if one.run else []
        texts += [one.stderr, one.diff]
    pieces = {piece.strip() for text in texts for piece in (text, *text.splitlines())}
    found = [*calls, *((piece, "…") for piece in pieces)]
    return sorted((pair for pair in found if len(pair[0]) >= LEAST_QUOTE), key=lambda pair: -len(pair[0]))


def _call(text: str) -> str:
    """A system call without its arguments: the submission has chosen them."""
    name, bracket, _arguments = text.partition("(")
    return f"{name}(…)" if bracket else text


def _scrubbed(text: str, secrets: Secrets) -> str:
    for secret, instead in secrets:
        text = text.replace(secret, instead)
    return text


def _verdict(verdict: Verdict, secrets: Secrets, *, always: bool = False) -> Verdict:
    """``always``: of a secret test, where anything in quotes is suspect."""

    def told(text: str) -> str:
        text = _scrubbed(text, secrets)
        return _QUOTED.sub('"…"', text) if always else text

    findings = tuple(Finding(f.word, told(f.detail)) for f in verdict.findings)
    return replace(verdict, detail=told(verdict.detail), findings=findings)


def _pass(one: PassFacts) -> PassFacts:
    check = _check(one.check) if one.check else None
    return replace(one, run=_run(one.run) if one.run else None, check=check, stderr="", diff="")


def _check(check: CheckFacts) -> CheckFacts:
    run = replace(_run(check.run), error="") if check.run else None
    return replace(check, message="", team_message="", run=run)


def _run(run: RunFacts) -> RunFacts:
    causes = tuple((kind, _QUOTED.sub('"…"', detail), at) for kind, detail, at in run.causes)
    return replace(run, denials=tuple(_call(text) for text in run.denials), causes=causes)
