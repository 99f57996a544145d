"""A policy that extends others -> one that means the same by itself."""

from __future__ import annotations

from . import cubes
from .model import ALLOW, Group, Policy, Rule
from .partition import Piece, named, partition


def resolve(policy: Policy) -> Policy:
    """One level, sets written out, with the parts that still decide something; descriptions and lines are kept."""
    groups: dict[tuple[str, str], list[str]] = {}
    origin: dict[tuple[str, str], Group] = {}
    rules: list[Rule] = []
    for call in named(policy):
        pieces = partition(policy, call)
        rules += _rules(pieces)
        last = pieces[-1].answer
        if last.group is not None and pieces[-1].cubes:
            key = (last.policy.path, last.group.name)
            origin[key] = last.group
            groups.setdefault(key, []).append(call)
    names = [name for _path, name in groups]
    made = []
    for i, (key, calls) in enumerate(groups.items()):
        # Two levels may each have a group of one name.
        name = key[1] if names.count(key[1]) == 1 else f"{key[1]}_{names[:i].count(key[1]) + 1}"
        made.append(origin[key].replace(name=name, calls=tuple(calls)))
    return policy.replace(groups=tuple(made), rules=tuple(rules), parent=None)


def _rules(pieces: tuple[Piece, ...]) -> list[Rule]:
    """The rules of a call in one level, where all that refuse are asked before all that allow."""
    found = [piece for piece in pieces if piece.answer.rule is not None and piece.cubes]
    refusing = {piece.answer.action for piece in found if piece.answer.action != ALLOW}
    last = pieces[-1].answer
    rules = []
    allowed: list[cubes.Cube] = []
    for piece in found:
        rule = piece.answer.rule
        assert rule is not None
        if rule.action == ALLOW:
            allowed += cubes.of_args(rule.args)
            if last.group is not None and last.action == ALLOW:
                continue  # decided by now: only for what a rule of a parent would refuse, which is cut below
            rules.append(rule)
        elif len(refusing) > 1 or cubes.common(allowed, cubes.of_args(rule.args)):
            rules += [rule.replace(args=cubes.args_of(cube)) for cube in piece.cubes]
        else:
            rules.append(rule)
    return rules
