"""What a policy says to a call, and why: the meaning of the language, without a compiler or a kernel.

Each level (the policy itself, then what it extends, ...) is asked in this order, until one has an answer:

    1. a rule whose conditions hold and whose action is not allow
    2. a rule whose conditions hold and whose action is allow
    3. the group that names the call

and then the default. Before all of it comes OWN, the one thing that no policy can allow. A test compares this with
the kernel, for every number.
"""

from __future__ import annotations

from ..record import Record
from .constants import INT_BITS
from .model import ALLOW, Arg, Group, Policy, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_OPS = {"==": int.__eq__, "!=": int.__ne__, "<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}
_WORD = (1 << 64) - 1

# Not a policy's to decide. prlimit(2) asks for equal ids only: a second of CPU time for the init, and the kernel kills
# it, and with it whoever could say how the program ended.
OWN = Rule(
    call="prlimit64", action="errno:EPERM", report=False,
    description="the limits of the sandbox's init, which has the ids of the program",
    args=(Arg(index=0, op="==", value=1, mask=INT_BITS), Arg(index=2, op="!=", value=0)),
)  # fmt: skip


class Answer(Record):
    """What becomes of a call. ``why``: rule, group, default or foreign_abi; ``policy``: the level that says so."""

    action: str
    why: str
    policy: Policy
    group: Group | None = None
    rule: Rule | None = None

    @property
    def report(self) -> bool:
        """Is a refusal told in ``Result.denials``?"""
        part = self.rule or self.group
        return part is None or part.report

    @property
    def line(self) -> int:
        """Where the file says so, 0 if it has no line of its own."""
        part = self.rule or self.group
        return part.line if part is not None else 0


def answer(policy: Policy, call: str, args: Sequence[int] = ()) -> Answer:
    """The answer to a call of the native ABI with these arguments (missing ones are 0)."""
    values = (*(a & _WORD for a in args), 0, 0, 0, 0, 0, 0)
    if call == OWN.call and policy.filters and _holds(OWN, values):
        return Answer(action=OWN.action, why="rule", policy=policy, rule=OWN)
    for level in policy.levels():
        met = [r for r in level.rules if r.call == call and _holds(r, values)]
        for rule in sorted(met, key=lambda r: r.action == ALLOW):
            return Answer(action=rule.action, why="rule", policy=level, rule=rule)
        for group in level.groups:
            if call in group.calls:
                return Answer(action=group.action, why="group", policy=level, group=group)
    return _default(policy)


def answer_number(policy: Policy, abi: str, number: int, args: Sequence[int] = (), *, arch: str = "") -> Answer:
    """The answer to a number of an ABI (x86_64, i386, x32, aarch64) on a machine ``arch`` (default: this one)."""
    import os

    from ..syscalls import name

    if not policy.filters:
        return _default(policy)
    # x32 to libseccomp are all numbers from bit 30 on, but for the -1 that a tracer sets to skip a call.
    x32 = abi == "x86_64" and 1 << 30 <= number & 0xFFFFFFFF < 0xFFFFFFFF
    if abi != (arch or os.uname().machine) or x32:
        return Answer(action=policy.foreign_abi, why="foreign_abi", policy=policy.saying("foreign_abi"))
    return answer(policy, name(abi, number) or "", args)


def _holds(rule: Rule, values: tuple[int, ...]) -> bool:
    return all(_OPS[a.op](values[a.index] & a.mask, a.value) for a in rule.args)


def _default(policy: Policy) -> Answer:
    return Answer(action=policy.default, why="default", policy=policy.saying("default"))
