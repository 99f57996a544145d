"""The entries of a profile -> Policy, with the meaning that libseccomp gives them when runc adds them.

For one call, in the order of the profile:

    an entry whose action is the default one counts for nothing
    two conditions on one argument are two entries (runc and crun add them one by one)
    an entry without conditions replaces all before it, whatever their action, and all after it count for nothing
    others are OR-ed; where none holds, the default action answers

Two entries with different actions that can both hold have no order in libseccomp: it comes from its sorting. Here the
one that refuses wins, and a note says so; two that refuse in different ways are refused.

The kernel reads some arguments as 32-bit ints (``constants.INT_ARGS``), a profile compares 64 bits: what lies above
would pass a refusal (CVE-2019-10063). The policy answers as the profile does to the number that the kernel reads, so
that it never lets a call through that the profile would refuse in its plain form.
"""

from __future__ import annotations

from ...errors import PolicyError
from ...record import Record
from .. import cubes
from ..constants import ALL_BITS, INT_ARGS, INT_BITS
from ..files import near
from ..model import ALLOW, KILL, Arg, Group, Policy, Rule
from ..sets import set_of
from ..write import to_toml
from .profile import Profile, load
from .words import FOREIGN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .profile import Condition, Entry

_HIGH = ALL_BITS ^ INT_BITS
_NOT_CALLS = 6  # names in one note


class _Part(Record):
    """What one entry says of one call.

    ways: alternatives, in each of which all of the conditions must hold. plain: the entry has no conditions.
    """

    place: str
    action: str
    ways: tuple[tuple[Arg, ...], ...]
    comment: str
    plain: bool

    @property
    def always(self) -> bool:
        return () in self.ways

    @property
    def cubes(self) -> list[cubes.Cube]:
        return [cube for way in self.ways for cube in cubes.of_args(way)]


def read(text: bytes, *, arch: str, kernel: tuple[int, int], caps: frozenset[str] = frozenset(), name: str = "imported",
         path: str = "profile.json") -> tuple[Policy, list[str]]:  # fmt: skip
    """The policy that a profile amounts to on this architecture, kernel (major, minor) and with these capabilities.

    The second value are notes: what was not taken over as it stands. ``path`` is for messages. Raises PolicyError,
    whose key is a JSON path, for what has no meaning here.
    """
    from ...syscalls import names
    from ..parser import parse

    profile = load(text, path, arch=arch, kernel=kernel, caps=caps)
    notes = list(profile.notes)
    here = {*names("x86_64"), *names("aarch64")}
    reader = _Reader(path, profile, notes)
    parts: dict[str, list[_Part]] = {}
    missing: dict[str, None] = {}
    for entry in profile.entries:
        if entry.action == profile.default:
            continue
        for call in entry.names:
            if call not in here:
                missing[call] = None
                continue
            parts[call] = reader.merged(call, parts.get(call, []), reader.parts(call, entry))
    _tell_missing(missing, here, notes)
    groups: dict[tuple[str, str], list[str]] = {}
    rules: list[Rule] = []
    for call, said in parts.items():
        group, more = reader.settled(call, said)
        if group:
            groups.setdefault((set_of(call) or "other", group), []).append(call)
        rules += more
    filters = bool(groups or rules) or profile.default != ALLOW
    policy = Policy(name=name, path=path, text=b"", default=profile.default, groups=_groups(groups), rules=tuple(rules),
                  description=f"imported from {path.rpartition('/')[2]}", foreign_abi=reader.foreign_abi(arch, filters))
    return parse(name, path, to_toml(policy).encode()), notes


class _Reader:
    def __init__(self, path: str, profile: Profile, notes: list[str]) -> None:
        self.path, self.profile, self.notes = path, profile, notes

    def foreign_abi(self, arch: str, filters: bool) -> str:
        """kill, as with libseccomp; a profile that lets everything pass, on other ABIs too, is no filter at all."""
        listed = [name for name in FOREIGN[arch] if name in self.profile.architectures]
        if not filters and len(listed) == len(FOREIGN[arch]):
            return ALLOW
        if listed:
            self.notes.append(f"{', '.join(listed)}: not let through, an argument rule of one ABI says nothing of "
                              "another's numbers; foreign_abi is kill")  # fmt: skip
        return KILL

    def parts(self, call: str, entry: Entry) -> list[_Part]:
        indexes = [c.index for c in entry.conditions]
        if len(set(indexes)) == len(indexes):
            alternatives: list[tuple[Condition, ...]] = [entry.conditions]
        else:
            self.notes.append(f"{entry.place}: several conditions on one argument of {call}: a runtime adds them one "
                              "by one, so that any of them is enough")  # fmt: skip
            alternatives = [(c,) for c in entry.conditions]
        out = []
        for conditions in alternatives:
            ways: list[tuple[Arg, ...]] = [()]
            for condition in conditions:
                ways = [(*way, *more) for way in ways for more in self.options(call, condition, entry.place)]
            if len(ways) > 256:
                raise PolicyError(self.path, 0, f"{entry.place}.args",
                                  "too many comparisons by size of 32-bit arguments; use masks")  # fmt: skip
            if not ways:
                self.notes.append(f"{entry.place}: can never hold for {call}, an argument of it has 32 bits")
                continue
            out.append(_Part(place=entry.place, action=entry.action, ways=tuple(ways), comment=entry.comment,
                             plain=not entry.conditions))  # fmt: skip
        return out

    def options(self, call: str, condition: Condition, place: str) -> list[tuple[Arg, ...]]:
        """The ways to meet a condition; [()] if it always is met, [] if never."""
        index, op, value, mask = condition.index, condition.op, condition.value, condition.mask
        if index not in INT_ARGS.get(call, ()):
            return [(Arg(index=index, op=op, value=value, mask=mask),)] if mask else [()]
        if op in ("==", "!=") and mask == ALL_BITS and value & _HIGH == _HIGH and value & 1 << 31:
            self.notes.append(f"{place}: {value:#x} for a 32-bit argument of {call} is read as {value & INT_BITS:#x}")
            value &= INT_BITS
        # what the kernel reads has zeros above
        if op == "==":
            if value & ~INT_BITS:
                return []
            return [(Arg(index=index, op=op, value=value, mask=mask & INT_BITS),)] if mask & INT_BITS else [()]
        if op == "!=":
            return [()] if value & ~INT_BITS else [(Arg(index=index, op=op, value=value, mask=INT_BITS),)]
        met = cubes.below(value if op in ("<", ">=") else value + 1, 32)
        if op in (">", ">="):
            met = cubes.without([cubes.EVERYTHING], met)
        return [cubes.args_of((m << index * cubes.WORD_BITS, v << index * cubes.WORD_BITS)) for m, v in met]

    def merged(self, call: str, before: list[_Part], new: list[_Part]) -> list[_Part]:
        """As libseccomp's database: a rule without conditions is all that there is."""
        for part in new:
            if before and before[0].plain:
                if part.action != before[0].action:
                    self.notes.append(f"{part.place}: of no effect for {call}, {before[0].place} has no conditions and "
                                      f"comes first ({before[0].action})")  # fmt: skip
                continue
            if not part.plain:
                before = [*before, part]
                continue
            for other in before:
                if other.action != part.action:
                    self.notes.append(f"{other.place}: of no effect for {call}, {part.place} has no conditions "
                                      f"({part.action})")  # fmt: skip
            before = [part]
        return before

    def settled(self, call: str, parts: Sequence[_Part]) -> tuple[str, list[Rule]]:
        """(action of the group that the call is in, or ""; rules), once conflicts are told and decided."""
        for i, one in enumerate(parts):
            for other in parts[:i]:
                if one.action == other.action or not cubes.common(one.cubes, other.cubes):
                    continue
                if ALLOW not in (one.action, other.action):
                    raise PolicyError(self.path, 0, one.place, f"{one.action} and {other.action} of {other.place} can "
                                      f"both hold for {call}, and which one answers is libseccomp's accident; make one "
                                      "exclude the other")  # fmt: skip
                refusing = one if other.action == ALLOW else other
                self.notes.append(f"{one.place} and {other.place} can both hold for {call}: {refusing.action} wins "
                                  "here, with libseccomp it depends on its sorting")  # fmt: skip
        always = [p for p in parts if p.always]
        refused = next((p for p in always if p.action != ALLOW), None)
        if refused is not None:
            always, parts = [refused], [p for p in parts if p.action != ALLOW]
        group = always[0].action if always else ""
        rules = []
        # The parser sees that two rules exclude each other only where both are comparisons with ==.
        many = len({p.action for p in parts if p.action != ALLOW}) > 1
        for part in parts:
            if part.always or part.action == group:
                continue
            for way in part.ways:
                plain = [way] if not many else [cubes.args_of(cube) for cube in cubes.of_args(way)]
                rules += [Rule(call=call, action=part.action, args=args, description=part.comment) for args in plain]
        return group, _distinct(rules)


def _distinct(rules: list[Rule]) -> list[Rule]:
    seen: dict[tuple[str, frozenset[Arg]], Rule] = {}
    for rule in rules:
        seen.setdefault((rule.action, frozenset(rule.args)), rule)
    return list(seen.values())


def _groups(found: dict[tuple[str, str], list[str]]) -> tuple[Group, ...]:
    """One group for each set and action; the action that most calls have needs no mention in the name."""
    from collections import Counter

    count = Counter(action for (_set, action), calls in found.items() for _call in calls)
    usual = count.most_common(1)[0][0] if count else ""
    out = []
    for (name, action), calls in found.items():
        word = name if action == usual else f"{name}_{action.removeprefix('errno:').lower()}"
        out.append(Group(name=word, action=action, calls=tuple(calls)))
    return tuple(out)


def _tell_missing(missing: dict[str, None], here: set[str], notes: list[str]) -> None:
    """Names that are no calls of x86_64 or aarch64 are skipped, as runtimes do; a near miss is told by itself."""
    from ...syscalls import names

    elsewhere = {*names("i386"), *names("x32")}
    others = []
    for call in missing:
        hint = near(call, here) if call not in elsewhere and not any(c.isdecimal() for c in call) else ""
        if hint and _slip(call, here):
            notes.append(f"{call}: no such call, skipped; {hint}")
        else:
            others.append(call)
    if others:
        more = f" and {len(others) - _NOT_CALLS} more" if len(others) > _NOT_CALLS else ""
        notes.append(f"not calls of x86_64 or aarch64, skipped: {', '.join(others[:_NOT_CALLS])}{more}")


def _slip(call: str, here: set[str]) -> bool:
    from difflib import SequenceMatcher

    return any(SequenceMatcher(None, call, other).ratio() > 0.88 for other in here)
