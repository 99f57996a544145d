"""Policy -> the TOML of a file that parses to the same policy."""

from __future__ import annotations

from .constants import ALL_BITS, INT_BITS
from .naming import named
from .parser import VERSION
from .sets import SIGN, sets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import Arg, Group, Policy, Rule

_WIDTH = 100


def to_toml(policy: Policy, *, comment: str = "", fold: bool = True) -> str:
    """The text of a policy file. What it extends is named, not copied; ``fold`` writes whole sets by their names."""
    lines = [*(f"# {line}".rstrip() for line in comment.splitlines()), "", f"version = {VERSION}"]
    if policy.description:
        lines.append(f"description = {text(policy.description)}")
    parent = policy.parent
    if parent is not None:
        packaged = parent.path.endswith(f"/policies/{parent.name}.toml")
        lines.append(f"extends = {text(parent.name if packaged else parent.path)}")
    if parent is None or parent.default != policy.default:
        lines.append(f"default = {text(policy.default)}")
    if parent is None or parent.foreign_abi != policy.foreign_abi:
        lines.append(f"foreign_abi = {text(policy.foreign_abi)}")
    for key in ("architectures", "capabilities"):
        values = getattr(policy, key)
        if values != (getattr(parent, key) if parent else ()):
            lines.append(f"{key} = [{', '.join(map(text, values))}]")
    for group in policy.groups:
        lines += _group(group, fold)
    for rule in policy.rules:
        lines += _rule(rule)
    return "\n".join(lines).lstrip("\n") + "\n"


def text(word: str) -> str:
    """A TOML basic string."""
    out = []
    for char in word:
        if char in '"\\':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        else:
            out.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return '"' + "".join(out) + '"'


def _group(group: Group, fold: bool) -> list[str]:
    lines = ["", f"[groups.{group.name}]"]
    if group.description:
        lines.append(f"description = {text(group.description)}")
    lines.append(f"action = {text(group.action)}")
    if not group.report:
        lines.append("report = false")
    calls = set(group.calls)
    words = []
    if fold:
        for name, members in sets().items():
            if len(members) > 1 and calls.issuperset(members):
                words.append(SIGN + name)
                calls.difference_update(members)
    words += [call for call in group.calls if call in calls]
    one = f"calls = [{', '.join(map(text, words))}]"
    if len(one) <= _WIDTH:
        return [*lines, one]
    rows, row = [], "   "
    for word in words:
        if len(row) + len(word) + 4 > _WIDTH:
            rows.append(row)
            row = "   "
        row += f" {text(word)},"
    return [*lines, "calls = [", *rows, row, "]"]


def _rule(rule: Rule) -> list[str]:
    lines = ["", "[[rules]]"]
    if rule.description:
        lines.append(f"description = {text(rule.description)}")
    lines += [f"call = {text(rule.call)}", f"action = {text(rule.action)}"]
    if not rule.report:
        lines.append("report = false")
    return [*lines, f"args = [{', '.join(_arg(rule.call, arg) for arg in rule.args)}]"]


def _arg(call: str, arg: Arg) -> str:
    mask = "" if arg.mask == ALL_BITS else f", mask = {_number(call, arg.index, arg.mask)}"
    return f'{{ index = {arg.index}{mask}, op = "{arg.op}", value = {_number(call, arg.index, arg.value)} }}'


def _number(call: str, index: int, number: int) -> str:
    if number == INT_BITS:
        return text("INT")
    name = named(call, index, number)
    return text(name) if name else hex(number) if number > 9 else str(number)
