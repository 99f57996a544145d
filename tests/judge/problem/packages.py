"""Small packages, written to a directory by tests."""

from __future__ import annotations

from pathlib import Path

from judge.problem.faults import Fault
from judge.problem.model import Problem
from judge.problem.opening import inspect

Files = dict[str, str | bytes | None]

LEGACY: Files = {
    "problem.yaml": "name: Sum\nlimits:\n  memory: 512\n",
    "problem_statement/problem.tex": "\\problemname{Sum}\n",
    "input_validators/check.py": "raise SystemExit(42)\n",
    "data/sample/1.in": "1 2\n", "data/sample/1.ans": "3\n",
    "data/secret/01.in": "3 4\n", "data/secret/01.ans": "7\n",
    "data/secret/02.in": "5 6\n", "data/secret/02.ans": "11\n",
    "submissions/accepted/sum.py": "print(sum(map(int, input().split())))\n",
}  # fmt: skip
UUID = "8ee7605a-ab1a-4c4d-a9b5-1f3b2c4d5e6f"
CURRENT: Files = {
    "problem.yaml": f"problem_format_version: 2025-09\nname: Sum\nuuid: {UUID}\nlimits:\n  time_limit: 1.5\n",
    "statement/problem.en.md": "Add.\n",
    "input_validators/check.py": "raise SystemExit(42)\n",
    "data/sample/1.in": "1 2\n", "data/sample/1.ans": "3\n",
    "data/secret/01.in": "3 4\n", "data/secret/01.ans": "7\n",
    "submissions/accepted/sum.py": "print(sum(map(int, input().split())))\n",
}  # fmt: skip
SCORED: Files = {
    **{name: text for name, text in CURRENT.items() if not name.startswith("data/secret")},
    "problem.yaml": f"problem_format_version: 2025-09\nname: Sum\nuuid: {UUID}\ntype: scoring\n",
    **{f"data/secret/{test}{end}": "1\n" for test in ("1/a", "1/b", "2/a", "2/b") for end in (".in", ".ans")},
    "data/secret/1/test_group.yaml": "max_score: 30\n",
    "data/secret/2/test_group.yaml": "max_score: 70\nscore_aggregation: sum\nrequire_pass: secret/1\n",
}  # fmt: skip
DRAFT: Files = {**CURRENT, "problem.yaml": str(CURRENT["problem.yaml"]).replace("2025-09", "2023-07-draft")}


def write(root: Path, files: Files) -> Path:
    """``root`` with these files; None as content is a directory."""
    for name, content in files.items():
        path = root / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(root: Path, files: Files) -> tuple[Problem | None, tuple[Fault, ...]]:
    into = root / "into"
    into.mkdir(parents=True, exist_ok=True)
    return inspect(write(root / "sum", files), into=into)


def good(root: Path, files: Files) -> Problem:
    """The problem of a package without a fault of any kind."""
    problem, faults = read(root, files)
    assert [str(fault) for fault in faults] == []
    assert problem is not None and len(problem.digest) == 64
    return problem


def faults(root: Path, files: Files) -> list[str]:
    return [str(fault) for fault in read(root, files)[1]]


def errors(root: Path, files: Files) -> list[str]:
    return [str(fault) for fault in read(root, files)[1] if fault.severity == "error"]
