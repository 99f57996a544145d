"""Plain problems on the disk, and submissions, for what runs them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from judge.problem.digest import digest
from judge.problem.model import PASS_FAIL, SCORING, SECOND, Checker, Group, Limits, Problem, Scoring, Test
from tests.slowness import SLOW

TIME_NS = int(SECOND * SLOW)

C_SUM = '#include <stdio.h>\nint main(void){long a,b;if(scanf("%ld%ld",&a,&b)!=2)return 3;printf("%ld\\n",a+b);}\n'


def write_tests(root: Path, names: list[str], value: Any = None) -> tuple[Test, ...]:
    """Tests "a b" -> a + b; a is the test's number unless ``value`` gives it."""
    made = []
    for number, name in enumerate(names):
        first = number if value is None else value(number)
        source, answer = root / f"{name}.in", root / f"{name}.ans"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"{first} 1\n")
        answer.write_text(f"{first + 1}\n")
        made.append(Test(name, source, answer, sample=name.startswith("sample")))
    return tuple(made)


def package(root: Path, *groups: Group, scored: bool = False, format: str = "icpc-legacy",
            scoring: Scoring | None = None, **changes: Any) -> Problem:  # fmt: skip
    limits = Limits(time_ns=TIME_NS, memory_bytes=64 << 20)
    made = Problem(
        "sums", root, format, Group("", groups, scoring or Scoring()), limits=limits, checkers=(Checker(),),
        kinds=frozenset({SCORING if scored else PASS_FAIL}),
    )  # fmt: skip
    made = replace(made, **changes)
    return replace(made, digest=digest(made))


def flat(root: Path, count: int, **scoring: Any) -> Problem:
    """One group, secret, of so many tests."""
    tests = write_tests(root, [f"secret/{number:03}" for number in range(count)])
    return package(root, Group("secret", tests, Scoring(**scoring)))


def submission(root: Path, text: str, name: str = "sum.c") -> Path:
    path = root / name
    path.write_text(text)
    return path
