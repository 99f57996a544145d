"""The time limit that follows from the jury's own submissions, by the format's rules, measured on this machine.

2025-09, "Problem timing": the smallest multiple of time_resolution with T_ac * ac_to_time_limit <= limit and
limit * time_limit_to_tle <= T_tle; it is an error if there is none. Legacy, "limits": the same with time_multiplier
and time_safety_margin, where the second one is advice (problemtools warns). T_ac is the slowest submission that is
to be accepted, T_tle the fastest that is to be too slow, each on the test that takes it longest.

Each submission runs alone, several times; a test's time is the median of its runs, so that one disturbed run does not
set a limit. What is too slow is cut off a little beyond the point that it must not stay below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from ..problem.model import SECOND, JurySubmission, Problem, TimeRule
from ..result import SubmissionResult

if TYPE_CHECKING:
    from ..events import Listener
    from ..language import Languages

LOWER, UPPER = "lower", "upper"
DEFAULT_CAP_NS = 30 * SECOND
DEFAULT_RUNS = 3


@dataclass(frozen=True)
class Timed:
    """One submission. time_ns: of its slowest test, None if it is of no use (``fault`` says why). low_ns, high_ns: the
    spread of that test's runs. beyond: it was cut off, so that it needs more than time_ns."""

    name: str
    language: str
    role: str
    time_ns: int | None
    low_ns: int | None = None
    high_ns: int | None = None
    test: str = ""
    beyond: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Calibration:
    """limit_ns: what follows, None if nothing does. errors: why the rules cannot be met, or could not be tried.
    given_ns: the package's own limit, if it has one. t_ac, t_tle: the submissions that decided."""

    rule: TimeRule
    timed: tuple[Timed, ...]
    limit_ns: int | None
    t_ac: Timed | None = None
    t_tle: Timed | None = None
    given_ns: int | None = None
    errors: tuple[str, ...] = ()


def smallest_limit(t_ac_ns: int, rule: TimeRule) -> int:
    """The smallest multiple of the resolution, and at least one, that leaves the accepted ones their room."""
    least = Fraction(t_ac_ns) * Fraction(str(rule.ac_to_limit))
    return max(1, -(-least // rule.resolution_ns)) * rule.resolution_ns


def must_exceed(limit_ns: int, rule: TimeRule) -> int:
    """What a submission that is meant to be too slow has to need under this limit."""
    return -int(-Fraction(limit_ns) * Fraction(str(rule.limit_to_tle)) // 1)


def conclude(rule: TimeRule, timed: Sequence[Timed], given_ns: int | None) -> Calibration:
    """The limit from what was measured. Runs nothing."""
    errors = [f"{one.name}: {one.fault}" for one in timed if one.fault]
    lower = [one for one in timed if one.role == LOWER and one.time_ns is not None]
    upper = [one for one in timed if one.role == UPPER and one.time_ns is not None]
    if not lower:
        errors.append("no submission that is expected to be accepted could be timed")
        return Calibration(rule, tuple(timed), None, given_ns=given_ns, errors=tuple(errors))
    t_ac = max(lower, key=_time)
    t_tle = min(upper, key=_time, default=None)
    limit = smallest_limit(_time(t_ac), rule)
    judged_by = limit if given_ns is None else given_ns
    if given_ns is not None and Fraction(_time(t_ac)) * Fraction(str(rule.ac_to_limit)) > given_ns:
        errors.append(
            f"the package's limit, {_s(given_ns)}, is less than {rule.ac_to_limit:g} times what {t_ac.name} needs "
            f"({_s(_time(t_ac))})"
        )
    if t_tle is not None and not t_tle.beyond and _time(t_tle) < must_exceed(judged_by, rule):
        errors.append(
            f"{t_tle.name} is meant to be too slow and needs {_s(_time(t_tle))} only: {rule.limit_to_tle:g} times the "
            f"limit of {_s(judged_by)} is {_s(must_exceed(judged_by, rule))}"
        )
    return Calibration(rule, tuple(timed), limit, t_ac, t_tle, given_ns, tuple(errors))


def calibrate(
    problem: Problem, *, languages: Languages, runs: int = DEFAULT_RUNS, cap_ns: int = DEFAULT_CAP_NS,
    listener: Listener | None = None,
) -> Calibration:  # fmt: skip
    """Measure, then conclude. ``cap_ns``: no accepted submission needs more."""
    from ..grade.judging import Options, judge

    def run(submission: JurySubmission, limit_ns: int, early: bool) -> SubmissionResult:
        options = Options(
            jobs=1, time_ns=limit_ns, language=submission.language, journaled=False, reruns=0, early=early,
        )  # fmt: skip
        result: SubmissionResult = judge(
            problem, submission.path, languages=languages, options=options, listener=listener,
            entrypoint=submission.entrypoint,
        )  # fmt: skip
        return result

    roles = {role: [s for s in problem.submissions if s.expected.use_for_time_limit == role] for role in (LOWER, UPPER)}
    timed = [time_lower(s, [run(s, cap_ns, False) for _ in range(runs)], cap_ns) for s in roles[LOWER]]
    known = conclude(problem.limits.rule, timed, problem.limits.time_ns)
    limit = problem.limits.time_ns or known.limit_ns
    if limit is not None:
        bar = must_exceed(limit, problem.limits.rule)
        timed += [time_upper(s, partial(run, s, bar), runs, bar) for s in roles[UPPER]]
    return conclude(problem.limits.rule, timed, problem.limits.time_ns)


def time_lower(submission: JurySubmission, results: Sequence[SubmissionResult], cap_ns: int) -> Timed:
    """One that is to be accepted, from all of its runs."""
    first = results[0]
    bare = Timed(submission.name, first.language, LOWER, None)
    for result in results:
        bad = next((test for test in result.tests if test.verdict.word in ("TLE", "ILE", "JE")), None)
        if bad is not None and bad.verdict.word == "TLE":
            return replace(bare, fault=f"needs more than {_s(cap_ns)} on {bad.name}; give more with --time")
        if bad is not None:
            return replace(bare, fault=f"{bad.verdict.word} on {bad.name}: {bad.verdict.detail}")
        if result.verdict.word in ("CE", "JE"):
            return replace(bare, fault=f"{result.verdict.word}: {result.verdict.detail}")
    expected = submission.expected.verdicts
    if expected and first.verdict.word not in expected:
        return replace(bare, fault=f"expected {' or '.join(sorted(expected))}, got {first.verdict.word}")
    return _slowest(bare, results)


def time_upper(
    submission: JurySubmission, run: Callable[[bool], SubmissionResult], runs: int, bar_ns: int
) -> Timed:
    """One that is to be too slow: once beyond ``bar_ns`` is enough; what ends before it is measured again."""
    result = run(True)
    if not _late(result) and any(test.verdict.word == "SK" for test in result.tests):
        result = run(False)  # stopped by another verdict
    bare = Timed(submission.name, result.language, UPPER, None)
    if result.verdict.word in ("CE", "JE"):
        return replace(bare, fault=f"{result.verdict.word}: {result.verdict.detail}")
    late = _late(result)
    if late:
        return replace(bare, time_ns=bar_ns, test=late, beyond=True)
    return _slowest(bare, [result, *(run(False) for _ in range(runs - 1))])


def _late(result: SubmissionResult) -> str:
    return next((test.name for test in result.tests if test.verdict.word == "TLE"), "")


def _slowest(bare: Timed, results: Sequence[SubmissionResult]) -> Timed:
    """The test with the longest median, and its spread."""
    times: dict[str, list[int]] = {}
    for result in results:
        for test in result.tests:
            if test.cpu_ns is not None:
                times.setdefault(test.name, []).append(test.cpu_ns)
    if not times:
        return replace(bare, fault="no test of it was measured")
    name = max(times, key=lambda name: median(times[name]))
    return replace(bare, time_ns=median(times[name]), low_ns=min(times[name]), high_ns=max(times[name]), test=name)


def median(values: Iterable[int]) -> int:
    """The middle one; of an even number the later, so that a limit errs on the generous side."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _time(one: Timed) -> int:
    return one.time_ns or 0


def _s(ns: int) -> str:
    return f"{ns / SECOND:.6f}".rstrip("0").rstrip(".") + " s"
