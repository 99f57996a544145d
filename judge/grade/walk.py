"""The tree of tests, walked in the order of judging: what is judged, what is left out and why, what counts.

The walk looks at one result after the other, in the package's order, wherever and in whatever order they are made.
So a submission has the same result with any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from ..errors import JudgeError
from ..problem.model import Group, Problem, Scoring, Test
from ..result import GroupResult, TestResult
from ..verdict import Verdict
from .bounds import Bounds, counted
from .scoring import Node, Rules, State, breaks, group_node, root_result, settled, test_node

Graded = tuple[str, float]
# (scoring, [(word, score)]) -> word and score, by a program of the package.
Grader = Callable[[Scoring, list[Graded]], Graded]


class Results(Protocol):
    """Where verdicts come from."""

    def get(self, test: Test, group: Group) -> TestResult:
        """The verdict of this test; waits for it."""

    def drop(self, tests: tuple[Test, ...]) -> None:
        """Nobody will ask for these."""


class Walk:
    """``early``: leave out what cannot change the result. Without it all tests are judged and shown, and the same ones
    count; only groups whose ``require_pass`` is not met are left out all the same. ``shown`` hears of each test and
    group that is done, with the name of the group around it."""

    def __init__(self, problem: Problem, rules: Rules, results: Results, *, early: bool = True, doom: bool = True,
                 grader: Grader | None = None,
                 shown: Callable[[str, TestResult | GroupResult], None] | None = None) -> None:  # fmt: skip
        self._problem, self._rules, self._results = problem, rules, results
        self._early, self._doom, self._grader = early, doom, grader
        self._shown = shown or (lambda _group, _result: None)
        self._bounds = Bounds(problem)
        self._passed: dict[str, bool] = {}
        self._beyond = 0  # how many groups up the walk is where nothing counts any more
        self._required: set[str] = set()
        names = {node.name for node in _nodes(problem.data)}
        for node in _nodes(problem.data):
            for wanted in node.scoring.require_pass if isinstance(node, Group) else ():
                self._required.add(wanted)
                if wanted not in names:
                    raise JudgeError(f"group {node.name or 'data'}: require_pass names {wanted!r}, which is not there")

    def run(self) -> GroupResult:
        """All of it. Raises what ``results`` raises."""
        root = self._group(self._problem.data, word_matters=True)
        return root_result(root, self._rules, self._bounds)

    def _group(self, group: Group, *, word_matters: bool) -> Node:
        missing = [name for name in group.scoring.require_pass if not self._passed.get(name)]
        if missing:
            return self._left_out(group, f"needs {missing[0]}, which was not accepted")
        state, children, why = State(group), [], ""
        below = word_matters and (group.scoring.verdict != "always_accept" or group.scoring.grader is not None)
        counts = set(map(id, counted(group)))
        for number, child in enumerate(group.children):
            if why:
                children.append(self._uncounted(child, group, why))
                continue
            if isinstance(child, Test):
                node = self._test(child, group)
            else:
                node = self._group(child, word_matters=below)
            children.append(node)
            self._passed[child.name] = node.passed and not self._beyond
            if id(child) not in counts:
                continue
            state.add(node, self._rules)
            if breaks(state):
                why = f"not judged after {child.name}"
            elif self._doom and number + 1 < len(group.children):
                rest = group.children[number + 1 :]
                if not self._asked_for(rest) and settled(state, self._rules, self._bounds, word_matters=word_matters):
                    why = "could not change the result"
            if why:
                self._stop(group.children[number + 1 :])
        node = group_node(state, self._rules, children, self._graded(state))
        self._show(group, node)
        return node

    def _graded(self, state: State) -> Graded | None:
        scoring = state.group.scoring
        if scoring.grader is None or state.fault:
            return None
        if self._grader is None:
            raise JudgeError(f"group {state.group.name or 'data'}: there is nobody to run its grader")
        return self._grader(scoring, [(node.error or "AC", node.score) for node in state.nodes])

    def _test(self, test: Test, group: Group) -> Node:
        node = test_node(test, self._results.get(test, group), group, self._rules)
        assert isinstance(node.result, TestResult)
        self._shown(group.name, node.result)
        return node

    def _show(self, group: Group, node: Node) -> None:
        assert isinstance(node.result, GroupResult)
        self._shown(group.name, node.result)

    def _asked_for(self, rest: tuple[Group | Test, ...]) -> bool:
        """Does a later group want to know whether one of these is accepted?"""
        return bool(self._required) and any(node.name in self._required for child in rest for node in _nodes(child))

    def _stop(self, rest: tuple[Group | Test, ...]) -> None:
        if self._early:
            self._results.drop(tuple(test for child in rest for test in _tests(child)))

    def _left_out(self, group: Group, why: str) -> Node:
        """A group whose condition is not met: 2025-09, "Group dependencies": it "will only be run if", whoever asks."""
        self._results.drop(tuple(group.tests()))
        children = [self._skipped(child, why) for child in group.children]
        score = 0.0 if self._rules.scored else None
        result = GroupResult(group.name, Verdict("SK", why), score, tuple(node.result for node in children))
        self._shown(group.name, result)
        return Node(result, 0.0, error="SK", partial=True)

    def _uncounted(self, child: Group | Test, group: Group, why: str) -> Node:
        """After the end of the group's judging: left out, or judged and shown for the one who wants to see it."""
        if self._early:
            return self._skipped(child, why)
        self._beyond += 1
        try:
            if isinstance(child, Test):
                return self._test(child, group)
            return self._group(child, word_matters=False)
        finally:
            self._beyond -= 1

    def _skipped(self, child: Group | Test, why: str) -> Node:
        if isinstance(child, Test):
            result = TestResult(child.name, Verdict("SK", why), child.sample, origin="skipped")
            return Node(result, 0.0, error="SK", by=child.name)
        children = tuple(self._skipped(inner, why).result for inner in child.children)
        return Node(GroupResult(child.name, Verdict("SK", why), None, children), 0.0, error="SK")


def _tests(child: Group | Test) -> Iterator[Test]:
    if isinstance(child, Test):
        yield child
    else:
        yield from child.tests()


def _nodes(child: Group | Test) -> Iterator[Group | Test]:
    yield child
    if isinstance(child, Group):
        for inner in child.children:
            yield from _nodes(inner)
