"""Which arguments of a call get which answer: what ``answer`` says of all of them at once.

The same order as there: a level's rules that refuse, its rules that allow, its group; the parent; the default. Each
piece has what the ones before it have left, so that pieces are disjoint and together are every argument.
"""

from __future__ import annotations

from ..record import Record
from . import cubes
from .answer import Answer
from .model import ALLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cubes import Cube
    from .model import Policy


class Piece(Record):
    """The arguments that one rule, group or the default decides about; no cubes: it never does."""

    answer: Answer
    cubes: tuple[Cube, ...]


def partition(policy: Policy, call: str) -> tuple[Piece, ...]:
    """The answers to a call in the order in which they are asked, the last one for all that is left."""
    left, pieces = [cubes.EVERYTHING], []
    for level in policy.levels():
        rules = [rule for rule in level.rules if rule.call == call]
        for rule in sorted(rules, key=lambda r: r.action == ALLOW):
            meant = cubes.of_args(rule.args)
            said = Answer(action=rule.action, why="rule", policy=level, rule=rule)
            pieces.append(Piece(answer=said, cubes=tuple(cubes.common(left, meant))))
            left = cubes.outside(left, rule.args)
        group = next((group for group in level.groups if call in group.calls), None)
        if group is not None:
            said = Answer(action=group.action, why="group", policy=level, group=group)
            return (*pieces, Piece(answer=said, cubes=tuple(left)))
    said = Answer(action=policy.default, why="default", policy=policy.saying("default"))
    return (*pieces, Piece(answer=said, cubes=tuple(left)))


def by_action(policy: Policy, call: str) -> dict[str, list[Cube]]:
    """Action -> the arguments that get it; actions that nothing gets are not there."""
    found: dict[str, list[Cube]] = {}
    for piece in partition(policy, call):
        if piece.cubes:
            found.setdefault(piece.answer.action, []).extend(piece.cubes)
    return found


def named(policy: Policy) -> list[str]:
    """Every call that a group or a rule of any level names, each once."""
    calls: dict[str, None] = {}
    for level in policy.levels():
        for group in level.groups:
            calls.update(dict.fromkeys(group.calls))
        calls.update(dict.fromkeys(rule.call for rule in level.rules))
    return list(calls)
