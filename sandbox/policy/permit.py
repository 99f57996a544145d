"""What to write so that a call passes which a policy refuses: the narrowest words that the language has for it."""

from __future__ import annotations

from .constants import ALL_BITS, INT_ARGS, INT_BITS
from .model import ALLOW, Arg, Group, Policy, Rule
from .write import to_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .answer import Answer

GROUP = "allowed"
_OPS = {"==": int.__eq__, "!=": int.__ne__, "<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}


def permit(answer: Answer, policy: Policy, call: str, args: Sequence[int], description: str = "") -> Group | Rule:
    """What a policy that extends this one has to say for such a call to pass.

    ``answer`` is the refusal. A rule for these arguments, if the policy asks about arguments of this call at all;
    else a group of the call. ``description`` is for the rule.
    """
    conditions = _conditions(answer, policy, call, (*args, 0, 0, 0, 0, 0, 0)[:6])
    if not conditions:
        return Group(name=GROUP, action=ALLOW, calls=(call,))
    return Rule(call=call, action=ALLOW, args=conditions, description=description)


def text(policy: Policy, permits: Iterable[Group | Rule]) -> str:
    """The TOML of a policy that extends ``policy`` and lets all of this pass."""
    permits = list(permits)
    calls = dict.fromkeys(call for each in permits if isinstance(each, Group) for call in each.calls)
    groups = (Group(name=GROUP, action=ALLOW, calls=tuple(calls)),) if calls else ()
    rules: dict[tuple[str, tuple[Arg, ...]], Rule] = {}
    for each in permits:
        if isinstance(each, Rule) and each.call not in calls:
            rules.setdefault((each.call, each.args), each)
    child = policy.replace(parent=policy, groups=groups, rules=tuple(rules.values()), description="")
    return to_toml(child, fold=False)


def _conditions(answer: Answer, policy: Policy, call: str, args: tuple[int, ...]) -> tuple[Arg, ...]:
    if answer.rule is not None:
        return tuple(_same(arg, call, args) for arg in answer.rule.args)
    # A group or the default refuses it, where a rule would have allowed it with other arguments.
    allowing = [r for level in policy.levels() for r in level.rules if r.call == call and r.action == ALLOW]
    if not allowing:
        return ()
    nearest = max(allowing, key=lambda rule: _agreed(rule, args))
    indices = {arg.index for arg in nearest.args}
    if not _agreed(nearest, args):
        for rule in allowing:  # none is near: what all of them ask about
            indices = indices & {arg.index for arg in rule.args} or indices
    masks = dict.fromkeys(sorted(indices), 0)
    for arg in (arg for rule in allowing for arg in rule.args if arg.index in masks):
        masks[arg.index] |= arg.mask
    return tuple(_equal(index, mask, call, args) for index, mask in masks.items())


def _same(arg: Arg, call: str, args: tuple[int, ...]) -> Arg:
    """The condition of a rule that refuses, as narrow as the call: ``!= 0`` of a mask becomes the bits that it has."""
    from ..syscalls.vocabulary import signature

    parameters = signature("", call) or ()
    pointer = arg.index < len(parameters) and not parameters[arg.index].kind.isupper()
    # The address of an argument is another one in each run.
    return arg if arg.op == "==" or pointer else _equal(arg.index, arg.mask, call, args)


def _equal(index: int, mask: int, call: str, args: tuple[int, ...]) -> Arg:
    if index in INT_ARGS.get(call, ()):
        mask &= INT_BITS
    return Arg(index=index, op="==", value=args[index] & mask, mask=mask or ALL_BITS)


def _agreed(rule: Rule, args: tuple[int, ...]) -> int:
    """How many conditions hold, from the first argument on: a protocol means nothing without its family."""
    held = [_holds(arg, args) for arg in sorted(rule.args, key=lambda arg: arg.index)]
    return [*held, False].index(False)


def _holds(arg: Arg, args: tuple[int, ...]) -> bool:
    return _OPS[arg.op](args[arg.index] & arg.mask, arg.value)
