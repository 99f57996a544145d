"""Policy -> the ``linux.seccomp`` object of the OCI runtime specification.

The entries of a profile have no order, so that what a policy decides by order is written out: each call gets entries
whose conditions exclude each other, whatever a runtime's libseccomp makes first. No entry has two conditions on one
argument, which runc and crun would take for alternatives. Sets and what a policy extends are resolved.
"""

from __future__ import annotations

from ...errors import PolicyError
from .. import cubes
from ..constants import ALL_BITS
from ..model import KILL, NOTIFY
from ..partition import named, partition
from .words import FOREIGN, MASKED, NATIVE, OPS, of_action

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..model import Arg, Policy
    from ..partition import Piece

_MAX_ENTRIES = 1024  # of one call; a filter has at most 4096 instructions
_BY_OP = {ours: name for name, ours in OPS.items() if name != MASKED}


def write(policy: Policy, arch: str) -> tuple[dict[str, Any], list[str]]:
    """The profile as JSON data, and notes: what a profile cannot say. Raises PolicyError for what it cannot mean."""
    from ...syscalls import number

    notes = []
    if policy.architectures and arch not in policy.architectures:
        raise PolicyError(policy.path, 0, "architectures",
                          f"it is for {', '.join(policy.architectures)}, this is for {arch}")  # fmt: skip
    if policy.default == NOTIFY:
        raise PolicyError(policy.path, 0, "default", "a runtime takes SCMP_ACT_NOTIFY for named calls only")
    unconditional: dict[str, list[str]] = {}
    conditional: list[dict[str, Any]] = []
    for call in named(policy):
        if number(arch, call) is None:
            continue
        said = _entries(policy, call)
        for action, ways in said:
            if ways == [()]:
                unconditional.setdefault(action, []).append(call)
            else:
                conditional += [{"names": [call], **_action(action), "args": [_arg(a) for a in way]} for way in ways]
        if call == "write" and any(action == NOTIFY for action, _ways in said):
            notes.append("write: runc does not take SCMP_ACT_NOTIFY for it, which it needs itself")
    architectures = [NATIVE[arch][0]]
    if not policy.filters:
        architectures += FOREIGN[arch]
    elif policy.foreign_abi != KILL:
        notes.append(f"foreign_abi = {policy.foreign_abi}: a runtime kills instead")
    if policy.capabilities:
        notes.append(f"capabilities ({', '.join(policy.capabilities)}): a seccomp profile has none, give them to the "
                     "runtime")  # fmt: skip
    if policy.asks:
        notes.append("notify: the runtime needs a listenerPath, whose agent answers")
    told = [part.report for level in policy.levels() for part in level.groups]
    told += [part.report for level in policy.levels() for part in level.rules]
    if not all(told):
        notes.append("report = false: a profile has no such thing, runtimes tell of no refusal")
    default = _action(policy.default)
    profile: dict[str, Any] = {"defaultAction": default["action"]}
    if "errnoRet" in default:
        profile["defaultErrnoRet"] = default["errnoRet"]
    profile["architectures"] = architectures
    profile["syscalls"] = [{"names": sorted(calls), **_action(a)} for a, calls in unconditional.items()] + conditional
    return profile, notes


def _entries(policy: Policy, call: str) -> list[tuple[str, list[tuple[Arg, ...]]]]:
    """(action, alternatives) of a call where it is not the default's; one that is [()] has no conditions."""
    pieces = [piece for piece in partition(policy, call) if piece.cubes]
    actions = {piece.answer.action for piece in pieces}
    if len(actions) == 1:
        action = actions.pop()
        return [] if action == policy.default else [(action, [()])]
    said = [piece for piece in pieces if piece.answer.action != policy.default]
    out = [(piece.answer.action, _ways(piece, alone=len(said) == 1)) for piece in said]
    if sum(len(ways) for _action, ways in out) > _MAX_ENTRIES:
        raise PolicyError(policy.path, 0, call, "its rules take too many entries of a profile, whose conditions have "
                          "no masked != and no order")  # fmt: skip
    return out


def _ways(piece: Piece, *, alone: bool) -> list[tuple[Arg, ...]]:
    """Conditions for the arguments of a piece; ``alone``: it is all that is said of the call.

    Only then with other comparisons than ==: with several entries of one call, libseccomp 2.5.4 miscompiles them.
    """
    rule = piece.answer.rule
    if alone and rule is not None and all(a.op == "==" or a.mask == ALL_BITS for a in rule.args):
        if cubes.same(piece.cubes, cubes.of_args(rule.args)):
            return [rule.args]
    left = cubes.without([cubes.EVERYTHING], piece.cubes)
    rest = cubes.args_of(left[0]) if len(left) == 1 else ()
    if alone and len(rest) == 1 and rest[0].mask == ALL_BITS:
        return [(rest[0].replace(op="!="),)]
    return [cubes.args_of(cube) for cube in piece.cubes]


def _action(action: str) -> dict[str, Any]:
    name, number = of_action(action)
    return {"action": name} if number is None else {"action": name, "errnoRet": number}


def _arg(arg: Arg) -> dict[str, Any]:
    if arg.mask != ALL_BITS:
        return {"index": arg.index, "value": arg.mask, "valueTwo": arg.value, "op": MASKED}
    return {"index": arg.index, "value": arg.value, "op": _BY_OP[arg.op]}


