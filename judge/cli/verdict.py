"""``pysandbox judge verdict RESULT.json``: the verdicts again from the facts that ``--json`` wrote, nothing is run.

Under another profile another verdict may come first, and other tests may have counted. A test that was not judged
then has no facts now: where one of those would be needed, that is said.
"""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

from ..grade.again import Again, again
from ..report import document
from ..report.document import Document
from ..report.text import clean, number, words
from ..result import SCHEMA_VERSION, GroupResult, SubmissionResult, TestResult
from . import EXIT_BAD, EXIT_GOOD
from .files import Target


def main(values: dict[str, Any], given: list[str]) -> int:
    """0 if all are accepted, as of judging, else 1."""
    read = document.load(given[0])
    with closing(Target("--json", values.get("json"))) as target:
        found = [_again(read, result, values.get("profile") or result.profile) for result in read.results]
        if target.wanted:
            target.write(document.text({
                "schema": SCHEMA_VERSION, "problem": read.problem,
                "results": [one.result.to_json() for one in found], "jury": read.jury,
            }))  # fmt: skip
    if not target.is_stdout:
        for before, now in zip(read.results, found, strict=True):
            sys.stdout.write("\n".join(_said(before, now)) + "\n")
    return EXIT_GOOD if all(one.result.verdict.accepted for one in found) else EXIT_BAD


def _again(read: Document, result: SubmissionResult, profile: str) -> Again:
    return again(result, read.data, profile, format=read.problem["format"], kinds=frozenset(read.problem["kinds"]))


def _said(before: SubmissionResult, now: Again) -> list[str]:
    """The verdict, what is other than it was, and what could not be found out."""
    name, result = clean(before.submission), now.result
    score = "" if result.score is None else f", score {number(result.score)}"
    changes = list(_changes(before.root, result.root))
    same = _short(before) == _short(result) and not changes
    lines = [f"{name}: {words(result.verdict)}{score} ({result.profile}{', as it was' if same else ''})"]
    if _short(before) != _short(result):
        lines.append(f"  was {_short(before)} ({before.profile})")
    lines += [f"  {clean(change)}" for change in changes]
    lines += [f"  {clean(doubt)}" for doubt in now.doubts]
    return lines


def _short(one: SubmissionResult | GroupResult | TestResult) -> str:
    return one.verdict.word + ("" if one.score is None else f" {number(one.score)}")


def _changes(before: GroupResult, now: GroupResult) -> list[str]:
    old = {node.name: node for node in _nodes(before)}
    found = []
    for node in _nodes(now):
        was = old.get(node.name)
        if was is not None and _short(was) != _short(node):
            why = f": {node.verdict.detail}" if node.verdict.detail and not node.verdict.accepted else ""
            found.append(f"{node.name}: {_short(was)} -> {_short(node)}{why}")
    return found


def _nodes(root: GroupResult) -> list[GroupResult | TestResult]:
    found: list[GroupResult | TestResult] = []
    for child in root.children:
        found.append(child)
        if isinstance(child, GroupResult):
            found += _nodes(child)
    return found
