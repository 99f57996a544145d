"""``pysandbox policy diff A B``: the calls, and the arguments, for which two policies have different answers."""

from __future__ import annotations

from ...policy import ALLOW, cubes, load
from ...policy.partition import named, partition
from ...policy.sets import set_of
from ...record import Record
from ..printed import told
from .words import argument_names, conditions, machine, only, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...policy import Policy
    from ...policy.partition import Piece

EXIT_SAME, EXIT_DIFFERENT = 0, 1
_WIDTH = 96


class Difference(Record):
    """``when``: conditions in words, "" if the arguments do not matter, or "otherwise"."""

    call: str
    set: str
    when: str
    before: str
    after: str


def main(words: list[str]) -> int:
    """0 if both mean the same."""
    values, others = parsed("diff", words)
    only("diff", others, 2, 2, "two policies")
    one, other = load(others[0]), load(others[1])
    found = differences(one, other, machine(values.get("arch")))
    facts = _facts(one, other)
    data = {"calls": [d.asdict() for d in found], "policy": [{"key": k, "before": a, "after": b} for k, a, b in facts]}
    told(values, data, _lines(found, facts) or ["both mean the same"])
    return EXIT_DIFFERENT if found or facts else EXIT_SAME


def differences(one: Policy, other: Policy, arch: str) -> list[Difference]:
    """For every call of an architecture, in the order of its table."""
    from ...syscalls import names

    told = {*named(one), *named(other)}
    found = []
    for call in names(arch):
        if call in told:
            found += _of_call(one, other, call, arch)
        elif one.default != other.default:
            found.append(Difference(call=call, set=set_of(call), when="", before=one.default, after=other.default))
    return found


def _of_call(one: Policy, other: Policy, call: str, arch: str) -> list[Difference]:
    before, after = partition(one, call), partition(other, call)
    names = argument_names(call, arch)
    found: dict[tuple[str, str, str], Difference] = {}
    for a in before:
        for b in after:
            if a.answer.action != b.answer.action and cubes.common(a.cubes, b.cubes):
                when = "" if len(before) == len(after) == 1 else _when(a, b, names)
                found[when, a.answer.action, b.answer.action] = Difference(
                    call=call, set=set_of(call), when=when, before=a.answer.action, after=b.answer.action)  # fmt: skip
    return list(found.values())


def _when(a: Piece, b: Piece, names: tuple[str, ...]) -> str:
    said = [conditions(rule.args, names) for rule in (a.answer.rule, b.answer.rule) if rule is not None]
    return " and ".join(dict.fromkeys(said)) or "otherwise"


def _facts(one: Policy, other: Policy) -> list[tuple[str, str, str]]:
    """What is not about one call. The default counts for numbers without a name, too."""
    found = [("default", one.default, other.default)]
    if one.filters and other.filters:
        found.append(("foreign_abi", one.foreign_abi, other.foreign_abi))
    else:
        before, after = (p.foreign_abi if p.filters else ALLOW for p in (one, other))
        found.append(("foreign_abi", before, after))
    for key in ("capabilities", "architectures"):
        before, after = (", ".join(sorted(getattr(p, key))) or "-" for p in (one, other))
        found.append((key, before, after))
    return [(key, before, after) for key, before, after in found if before != after]


def _lines(found: list[Difference], facts: list[tuple[str, str, str]]) -> list[str]:
    lines = [f"{key}: {before} -> {after}" for key, before, after in facts]
    plain: dict[tuple[str, str, str], list[str]] = {}
    for each in found:
        if not each.when:
            plain.setdefault((each.set or "other", each.before, each.after), []).append(each.call)
    for (name, before, after), calls in sorted(plain.items()):
        lines.append(f"@{name}: {before} -> {after}")
        row = "   "
        for call in calls:
            if len(row) + 1 + len(call) > _WIDTH:
                lines.append(row)
                row = "   "
            row += f" {call}"
        lines.append(row)
    call = ""
    for each in found:
        if not each.when:
            continue
        if each.call != call:
            call = each.call
            lines.append(f"{call} (@{each.set or 'other'}):")
        lines.append(f"    {each.before} -> {each.after}  {'' if each.when == 'otherwise' else 'where '}{each.when}")
    return lines
