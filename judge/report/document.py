"""The JSON document (docs/judge.schema.json): problem, results with the facts behind each verdict, expectations.

``load`` takes it back, for ``judge verdict``. What is in it decides alone: neither package nor submission is needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox import RequestError

from ..grade.jury import JuryResult
from ..problem.model import Group, Problem, Scoring, Test
from ..result import SCHEMA_VERSION, SubmissionResult

LARGEST_BYTES = 1 << 30


@dataclass(frozen=True)
class Document:
    """problem: as it stands in the document. data: its groups, as far as scoring needs them (``Test.input`` is
    empty). custom: a program of the package has graded, which cannot be done again from facts."""

    problem: dict[str, Any]
    data: Group
    results: tuple[SubmissionResult, ...]
    jury: list[dict[str, Any]]
    custom: bool


def document(
    problem: Problem, results: Sequence[SubmissionResult], jury: Sequence[JuryResult] = ()
) -> dict[str, Any]:
    """Plain data. ``results``: as their audience may see them."""
    limits = problem.limits
    return {
        "schema": SCHEMA_VERSION,
        "problem": {
            "name": problem.name, "title": problem.title, "format": problem.format, "digest": problem.digest,
            "kinds": sorted(problem.kinds),
            "limits": {"time_ns": limits.time_ns, "memory_bytes": limits.memory_bytes,
                       "output_bytes": limits.output_bytes},
            "data": _group(problem.data),
        },
        "results": [result.to_json() for result in results],
        "jury": [_expectation(one) for one in jury],
    }  # fmt: skip


def text(data: dict[str, Any]) -> str:
    """As it is written to a file: ASCII, so that no terminal is told anything by what a program has written."""
    return json.dumps(data, indent=2) + "\n"


def load(path: str) -> Document:
    """Read what ``--json`` wrote. Raises RequestError."""
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
        if len(raw) > LARGEST_BYTES:
            raise RequestError("judge verdict", path, "is larger than 1 GiB")
        data = json.loads(raw)
    except OSError as error:
        raise RequestError("judge verdict", path, f"cannot read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise RequestError("judge verdict", path, "is not JSON") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA_VERSION:
        raise RequestError("judge verdict", path, f"is no result of pysandbox judge (schema {SCHEMA_VERSION})")
    try:
        group = _group_from(data["problem"]["data"])
        results = tuple(SubmissionResult.from_json(result) for result in data["results"])
        return Document(data["problem"], group, results, data["jury"], _custom(data["problem"]["data"]))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RequestError("judge verdict", path, f"is not as docs/judge.schema.json has it: {error!r}") from None


def _group(group: Group) -> dict[str, Any]:
    scoring = {**asdict(group.scoring), "grader": group.scoring.grader is not None}
    children: list[dict[str, Any]] = []
    for child in group.children:
        if isinstance(child, Test):
            children.append({"test": {"name": child.name, "sample": child.sample, "points": child.points}})
        else:
            children.append({"group": _group(child)})
    for name in ("require_pass", "grader_flags"):
        scoring[name] = list(scoring[name])
    return {"name": group.name, "sample": group.sample, "scoring": scoring, "children": children}


def _group_from(data: dict[str, Any]) -> Group:
    scoring = {**data["scoring"], "grader": None}
    for name in ("require_pass", "grader_flags"):
        scoring[name] = tuple(scoring[name])
    children: list[Group | Test] = []
    for child in data["children"]:
        if "group" in child:
            children.append(_group_from(child["group"]))
        else:
            children.append(Test(input=Path(), **child["test"]))
    return Group(data["name"], tuple(children), Scoring(**scoring), data["sample"])


def _custom(data: dict[str, Any]) -> bool:
    return bool(data["scoring"]["grader"]) or any(_custom(c["group"]) for c in data["children"] if "group" in c)


def _expectation(one: JuryResult) -> dict[str, Any]:
    expected = one.submission.expected
    return {
        "submission": one.submission.name, "verdicts": sorted(expected.verdicts),
        "permitted": sorted(expected.permitted), "required": sorted(expected.required),
        "score": list(expected.score) if expected.score else None, "mismatches": list(one.mismatches),
    }  # fmt: skip
