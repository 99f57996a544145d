"""From the verdicts of tests to verdict and score of groups, after each format's rules. Runs nothing.

Problem package format, legacy: "Test Data Groups" and "Default Grader Specification"; 2025-09: "Result aggregation";
DMOJ: batches and their dependencies (docs, problem_format). What the formats leave open:

- A test counts as accepted if its verdict is AC or PAC: a checker that gives part of a score has accepted.
- A fault of ours (JE) in a test that counts makes every group above it JE, whatever the grader's mode.
- A group that is not judged (``require_pass``) scores 0, and is not accepted.
- A scored problem as a whole is AC with the full score, PAC with part of it (legacy: whenever the grader accepts), else
  what the groups say. Legacy: the score of a submission that the grader rejects is not looked at ("Graders, Output");
  it is 0 here.
- Outside of the legacy format a group with a part of its score shows PAC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..problem.model import Group, Problem, Scoring, Test
from ..result import GroupResult, TestResult
from ..verdict import Verdict
from .bounds import BREAK, Bounds, aggregate, full_score, is_legacy

# Less than this is rounding: a score that is this near to the full one is the full one.
EPSILON = 1e-9
# Words of a test or group that is accepted.
ACCEPTED = frozenset({"AC", "PAC"})


@dataclass(frozen=True)
class Rules:
    """scored: are there scores at all? severity: the words, worst first, for worst_error. strict: more than max_score
    is a fault of the package (2025-09, "Scoring test data groups") instead of being cut."""

    scored: bool
    legacy: bool
    strict: bool
    severity: tuple[str, ...]

    @classmethod
    def of(cls, problem: Problem, severity: tuple[str, ...]) -> Rules:
        return cls(problem.scored, is_legacy(problem), problem.format == "icpc-2025-09", severity)

    def rank(self, word: str) -> int:
        return self.severity.index(word) if word in self.severity else len(self.severity)


@dataclass(frozen=True)
class Node:
    """What a group's parent sees of a child. ``error``: its word if it is not accepted, else ""; ``by``: of which test.
    partial: accepted, or made up of something accepted, for less than all."""

    result: TestResult | GroupResult
    score: float
    error: str = ""
    by: str = ""
    partial: bool = False

    @property
    def passed(self) -> bool:
        return not self.error


def test_node(test: Test, result: TestResult, group: Group, rules: Rules) -> Node:
    """A test that was judged, with its score in this group."""
    verdict, scoring = result.verdict, group.scoring
    accepted = verdict.word in ACCEPTED
    if rules.scored and scoring.needs_score and accepted and verdict.score is None:
        verdict = Verdict("JE", "the checker accepted without a score, and the group has no maximum to take instead")
        accepted = False
    score = _score(verdict, full_score(test, group), scoring, rules) if rules.scored else 0.0
    result = replace(result, verdict=verdict, score=score if rules.scored else None)
    if not accepted:
        return Node(result, score, error=verdict.word, by=test.name)
    return Node(result, score, partial=verdict.word == "PAC")


def _score(verdict: Verdict, full: float, scoring: Scoring, rules: Rules) -> float:
    if verdict.word not in ACCEPTED:
        own = verdict.score if rules.legacy and verdict.word in ("WA", "PE") else None  # score.txt counts all the same
        return scoring.reject_score if own is None else own
    if verdict.score is not None:
        return verdict.score if rules.legacy else max(0.0, verdict.score)
    return full if verdict.share is None else full * verdict.share


@dataclass
class State:
    """A group while it is judged: its counted children so far."""

    group: Group
    nodes: list[Node] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    error: str = ""  # by the group's mode, "" if there is none yet
    by: str = ""
    accepted: bool = False  # is at least one child?
    fault: str = ""  # the test with the first JE
    final: float | None = None  # the score, where it was known before the last child

    def add(self, node: Node, rules: Rules) -> None:
        """The next counted child."""
        self.nodes.append(node)
        self.scores.append(node.score)
        self.accepted |= node.passed
        if node.error == "JE":
            self.fault = self.fault or node.by
        if node.error and self._worse(node.error, rules):
            self.error, self.by = node.error, node.by

    def _worse(self, word: str, rules: Rules) -> bool:
        if not self.error or self.group.scoring.verdict == "first_error":
            return not self.error
        return rules.rank(word) < rules.rank(self.error)

    @property
    def shown_error(self) -> tuple[str, str]:
        """Word and test by which the group is not accepted; "" if it is."""
        if self.fault:
            return "JE", self.fault
        mode = self.group.scoring.verdict
        if mode == "always_accept" or (mode == "any_accepted" and self.accepted):
            return "", ""
        return self.error, self.by

    @property
    def partial(self) -> bool:
        """Is there a child that is not accepted in full?"""
        return any(node.error or node.partial for node in self.nodes)


def group_node(state: State, rules: Rules, children: list[Node], graded: tuple[str, float] | None = None) -> Node:
    """A group whose judging has ended. ``children``: all that are to be shown. graded: of a grader of the package."""
    group, scoring = state.group, state.group.scoring
    error, by = state.shown_error
    score = 0.0
    if rules.scored:
        score = _group_score(state) if state.final is None else state.final
    if graded is not None and not state.fault:
        word, score = graded
        error, by = ("", "") if word in ACCEPTED else (word, by if word == state.error else "")
        score = score if rules.scored else 0.0
    if rules.scored and scoring.max_score is not None and score > scoring.max_score:
        if rules.strict and score > scoring.max_score + EPSILON * max(1.0, abs(scoring.max_score)):
            error, by = "JE", f"score {score:g} is more than the maximum, {scoring.max_score:g}"
        score = scoring.max_score
    word = error or ("PAC" if rules.scored and any(n.result.verdict.word == "PAC" for n in state.nodes) else "AC")
    if error not in ("", "JE") and rules.scored and not rules.legacy and score > 0:
        word = "PAC"
    shown = tuple(node.result for node in children)
    detail = f"test {by}" if by and not by.startswith("score ") else by
    result = GroupResult(group.name, Verdict(word, detail), score if rules.scored else None, shown)
    return Node(result, score, error, by, state.partial)


def _group_score(state: State) -> float:
    scoring = state.group.scoring
    if scoring.aggregate == "pass-fail":
        # All must be accepted in full: there is nothing in between.
        return 0.0 if state.partial else scoring.max_score or 0.0
    return aggregate(scoring.aggregate, state.scores)


def settled(state: State, rules: Rules, bounds: Bounds, *, word_matters: bool) -> bool:
    """Can nothing that is still to be judged in this group change what its parent sees of it?

    A fault of ours that the rest might have shown is not counted: a test that need not be judged cannot fail.
    """
    group, scoring = state.group, state.group.scoring
    if scoring.grader is not None or not state.nodes or state.fault:
        return False  # after a fault of ours the rest is worth seeing
    now = bounds.after(group, state.scores, state.partial)
    if rules.scored and not now.settled:
        return False
    if not state.error:  # the rest might hold the first one, which the submission's verdict would name
        return False
    if not _word_is_settled(state, rules, word_matters):
        return False
    state.final = now.low
    return True


def _word_is_settled(state: State, rules: Rules, matters: bool) -> bool:
    error, mode = state.shown_error[0], state.group.scoring.verdict
    if mode == "always_accept" or (mode == "any_accepted" and state.accepted):
        return True
    if not error or mode == "any_accepted":
        return False
    return mode == "first_error" or not matters


def breaks(state: State) -> bool:
    """Does the format say that the rest of the group is not judged (on_reject: break)?"""
    return state.group.scoring.on_reject == BREAK and bool(state.nodes) and not state.nodes[-1].passed


def root_result(root: Node, rules: Rules, bounds: Bounds) -> GroupResult:
    """The whole: the data's root, with the verdict of the submission."""
    result = root.result
    assert isinstance(result, GroupResult)
    if not rules.scored:
        word = root.error or result.verdict.word
        if word == "SK":
            word, by = _first_error(result)
            return replace(result, verdict=Verdict(word, f"test {by}" if by else ""))
        return result
    if root.error == "JE":
        return result
    if root.error and rules.legacy:
        return replace(result, score=0.0)
    if bounds.finite:
        whole = root.score >= bounds.full - EPSILON * max(1.0, abs(bounds.full))
    else:
        whole = not root.partial
    if whole:
        return replace(result, verdict=Verdict("AC"))
    if root.score > 0 or rules.legacy:
        return replace(result, verdict=Verdict("PAC", result.verdict.detail))
    word, by = (root.error, root.by) if root.error not in ("", "SK") else _first_error(result)
    return replace(result, verdict=Verdict(word, f"test {by}" if by else ""))


def _first_error(result: GroupResult) -> tuple[str, str]:
    for test in result.tests():
        if test.verdict.word not in ("AC", "PAC", "SK"):
            return test.verdict.word, test.name
    return "WA", ""

