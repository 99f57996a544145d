"""A problem as the judge sees it, whatever format it came in. Pure data: reading is for the formats' own files.

Sizes are bytes, times nanoseconds, paths absolute. ``Problem.data`` is a tree of groups with tests as its leaves; the
order of children is the order of judging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECOND = 1_000_000_000
MIB = 1 << 20

PASS_FAIL, SCORING, INTERACTIVE, MULTI_PASS, SUBMIT_ANSWER = (
    "pass-fail", "scoring", "interactive", "multi-pass", "submit-answer",
)  # fmt: skip


@dataclass(frozen=True)
class TimeRule:
    """How a time limit follows from the jury's submissions (calibrate; problem package format 2025-09, Limits).

    The limit is the smallest multiple of ``resolution_ns`` that is at least ``ac_to_limit`` times the slowest accepted
    one, and ``limit_to_tle`` times it must stay below what is meant to be too slow.
    """

    ac_to_limit: float = 2.0
    limit_to_tle: float = 1.5
    resolution_ns: int = SECOND


@dataclass(frozen=True)
class Limits:
    """Of one test and of the programs around it. Defaults are those of the problem package format, 2025-09.

    time_ns: CPU time; None if the package leaves it to the judge (then the caller or calibrate must say).
    wall_ns: None: made from time_ns (execute.limits). output_bytes: stdout and stderr together.
    """

    time_ns: int | None = None
    wall_ns: int | None = None
    memory_bytes: int = 2048 * MIB
    output_bytes: int = 8 * MIB
    code_bytes: int = 128 << 10
    compile_time_ns: int = 60 * SECOND
    compile_memory_bytes: int = 2048 * MIB
    validation_time_ns: int = 60 * SECOND
    validation_memory_bytes: int = 2048 * MIB
    validation_output_bytes: int = 8 * MIB
    validation_passes: int = 2
    rule: TimeRule = TimeRule()


@dataclass(frozen=True)
class Checker:
    """Who says whether an output is right.

    kind: built in, compared by us: "tokens" (options case_sensitive, space_change_sensitive, float_absolute,
    float_relative), "exact", "lines" (unordered). Or a program from the package: "validator" (exit 42/43, problem
    package format), "testlib" (arguments input output answer; exit 0/1/2/3/7), "bridged" (DMOJ's: option style and
    the way its exit code is read). Interactors are of the kinds "validator", "testlib" and "bridged" as well.
    source: file or directory of the program; language: id, or None to detect. include: what the source needs beside it
    (testlib.h), name below the directory where it is built -> file.
    """

    kind: str = "tokens"
    options: Mapping[str, object] = field(default_factory=dict)
    source: Path | None = None
    language: str | None = None
    include: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Scoring:
    """How a group makes one verdict and one score of its children's.

    aggregate: "sum", "min", "max", "avg" of scores, or "pass-fail": max_score if all are accepted, else 0.
    verdict: "worst_error", "first_error", "always_accept", "any_accepted".
    on_reject: "break": the rest of the group is not judged after one that is not accepted; "continue".
    accept_score, reject_score: of a test in this group whose checker gives none. A checker's multiplier multiplies
    accept_score (or the test's own points).
    max_score: a cap, None for none. ignore_sample: samples count for nothing.
    require_pass: names of groups or tests ("sample", "secret/1") without whose acceptance this group is not judged.
    grader: a program of the package that decides instead (legacy format); grader_flags for it.
    needs_score: a checker that accepts must give a score; without one it is a fault of the judge (2025-09, groups
    without a maximum).
    """

    aggregate: str = "sum"
    verdict: str = "worst_error"
    on_reject: str = "break"
    accept_score: float = 1.0
    reject_score: float = 0.0
    max_score: float | None = None
    ignore_sample: bool = False
    require_pass: tuple[str, ...] = ()
    grader: Path | None = None
    grader_flags: tuple[str, ...] = ()
    needs_score: bool = False


@dataclass(frozen=True)
class Test:
    """One test. ``name`` is unique in the package: "secret/group1/03".

    input, answer: files (answer None: there is none to compare with). sample: may be shown to a person.
    args: of the submission's command line. files: name in the work directory -> file (read-only copies).
    checker_args: further arguments of the validator, or flags of the checker. points: own full score (None: the
    group's accept_score). limits: where they differ from the problem's.
    """

    __test__ = False  # not one of pytest's

    name: str
    input: Path
    answer: Path | None = None
    sample: bool = False
    args: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    checker_args: tuple[str, ...] = ()
    checker: Checker | None = None
    points: float | None = None
    limits: Limits | None = None
    description: str = ""


@dataclass(frozen=True)
class Group:
    """Tests and groups, in order. ``name`` is "" for the root, else as a test's."""

    name: str
    children: tuple[Group | Test, ...] = ()
    scoring: Scoring = Scoring()
    sample: bool = False

    def tests(self) -> Iterator[Test]:
        """All tests below, in the order of judging."""
        for child in self.children:
            if isinstance(child, Test):
                yield child
            else:
                yield from child.tests()


@dataclass(frozen=True)
class Expected:
    """What the jury says of one of its own submissions.

    verdicts: words of which the submission's must be one (empty: any). required: words of which at least one test must
    have one (empty: none). permitted: words that its tests may have (empty: any). score: lowest and highest.
    use_for_time_limit: "lower" (accepted, sets the limit), "upper" (too slow, must stay beyond it), "" not at all.
    message: must be part of the judge message of at least one test. parts: further expectations, all of which must
    hold, each for the tests and groups that a pattern matches: "" all of them, else as ``patterns.covers`` says
    (``verdicts`` of a part are not used, its ``score`` is that of the group which the pattern names).
    """

    verdicts: frozenset[str] = frozenset()
    permitted: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    score: tuple[float, float] | None = None
    use_for_time_limit: str = ""
    message: str = ""
    parts: tuple[tuple[str, Expected], ...] = ()


@dataclass(frozen=True)
class JurySubmission:
    """One of the package's own. ``name`` is its path below submissions/; ``path`` a file or a directory."""

    name: str
    path: Path
    expected: Expected = Expected()
    language: str | None = None
    entrypoint: str | None = None


@dataclass(frozen=True)
class Problem:
    """A package, read and checked.

    name: short, for files and tables. format: "icpc-legacy", "icpc-2025-09", "icpc-draft", "dmoj", "polygon", "plain".
    kinds: some of the words above; exactly one of pass-fail and scoring is in it. checkers: all must accept (one but
    for the legacy format). interactor: talks to the submission; for the kind "validator" it is the checker as well
    (``checkers`` is empty then).
    include: language id ("default" for all others) -> files added to each submission, path below it -> file.
    languages: ids that may be submitted, None for all. digest: of all that bears on verdicts. allow_file_writing: may
    the submission make and change files in its working directory.
    """

    name: str
    root: Path
    format: str
    data: Group
    title: str = ""
    kinds: frozenset[str] = frozenset({PASS_FAIL})
    limits: Limits = Limits()
    checkers: tuple[Checker, ...] = (Checker(),)
    interactor: Checker | None = None
    include: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    submissions: tuple[JurySubmission, ...] = ()
    languages: frozenset[str] | None = None
    digest: str = ""
    allow_file_writing: bool = True

    @property
    def scored(self) -> bool:
        return SCORING in self.kinds

    @property
    def tests(self) -> tuple[Test, ...]:
        """All tests, in the order of judging."""
        return tuple(self.data.tests())
