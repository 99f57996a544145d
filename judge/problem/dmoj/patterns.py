"""Test cases that are found by the names of their files (DMOJ's documentation, Specifying cases with regexes).

The expressions are the package's own, and Python's matcher needs exponential time for some: they are matched in a
process that is given ten seconds of CPU and 1 GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field

INPUT = r"^(?=.*?\.in|in).*?(?:(?:^|\W)(?P<batch>\d+)[^\d\s]+)?(?P<case>\d+)[^\d\s]*$"
OUTPUT = r"^(?=.*?\.out|out).*?(?:(?:^|\W)(?P<batch>\d+)[^\d\s]+)?(?P<case>\d+)[^\d\s]*$"
LIMIT_LENGTH = 2000
CPU_S = 10

_CHILD = f"""
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({CPU_S}, {CPU_S}))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
given = json.load(sys.stdin)
found = []
for text in given["patterns"]:
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except Exception as error:
        json.dump({{"error": f"{{text!r}}: {{error}}"}}, sys.stdout)
        sys.exit()
    groups = [name in pattern.groupindex for name in ("batch", "case")]
    rows = []
    for name in given["names"]:
        match = pattern.match(name)
        ids = [match[g] if there else None for g, there in zip(("batch", "case"), groups)] if match else None
        rows.append(ids)
    found.append(rows)
json.dump({{"found": found}}, sys.stdout)
"""

Id = str | int


class PatternError(ValueError):
    """An expression that is none, or finds what cannot be test cases. The message says which."""


@dataclass
class Pair:
    """One case's files; None where only the other was found."""

    input: str | None = None
    output: str | None = None


@dataclass
class Found:
    """``batched``: several cases that count together; else exactly one."""

    batched: bool
    pairs: list[Pair] = field(default_factory=list)


def find(names: list[str], input_format: str, output_format: str) -> list[Found]:
    """In DMOJ's order: identifiers that are no numbers first, each kind sorted; a case without batch stands at its own
    number. Raises PatternError."""
    groups: dict[Id, dict[Id, Pair]] = {}
    batches: set[Id] = set()
    for is_input, rows in zip((True, False), _match(names, [input_format, output_format]), strict=True):
        for name, ids in zip(names, rows, strict=True):
            if ids is None:
                continue
            batch, case = (_number(i) for i in ids)
            if case is None:
                raise PatternError(f"{name}: the expression for its name finds no case number")
            if batch is not None:
                batches.add(batch)
            pair = groups.setdefault(case if batch is None else batch, {}).setdefault(case, Pair())
            there = pair.input if is_input else pair.output
            if there is not None:
                raise PatternError(f"{there} and {name} are the same case")
            if is_input:
                pair.input = name
            else:
                pair.output = name
    found = []
    for identifier in sorted(groups, key=_order):
        pairs = [groups[identifier][case] for case in sorted(groups[identifier], key=_order)]
        if identifier not in batches and len(pairs) > 1:
            raise PatternError(f"case {identifier} is there {len(pairs)} times")
        found.append(Found(identifier in batches, pairs))
    return found


def _match(names: list[str], patterns: list[str]) -> list[list[list[str | None] | None]]:
    for pattern in patterns:
        if len(pattern) > LIMIT_LENGTH:
            raise PatternError(f"an expression of more than {LIMIT_LENGTH} characters")
    given = json.dumps({"patterns": patterns, "names": names}).encode()
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD], input=given, capture_output=True, timeout=6 * CPU_S, check=False
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise PatternError(f"the expressions could not be matched within {CPU_S} s of CPU time and 1 GiB")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise PatternError(answer["error"])
    found: list[list[list[str | None] | None]] = answer["found"]
    return found


def _number(text: str | None) -> Id | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return text


def _order(identifier: Id) -> tuple[bool, int, str]:
    return (True, identifier, "") if isinstance(identifier, int) else (False, 0, identifier)
