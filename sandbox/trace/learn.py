"""Notes -> what a policy has to say so that the same run passes: groups by the names of the sets, and rules with the
values that were seen. Nothing that a policy says already is said again, and nothing that it refuses is overruled."""

from __future__ import annotations

import os

from ..policy import ALLOW, INT_BITS, KILL, LOG, Arg, Group, Policy, Rule
from ..policy.answer import answer
from ..policy.sets import set_of, sets
from ..record import Record
from .conditions import CONDITIONS, sample, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conditions import Values
    from .facts import Facts, Kind

# What a libc may do in a run that this one did not show, and why.
LIBC = (
    ("libc_signals", "every signal handler ends with rt_sigreturn; the kernel itself restarts a sleep by "
     "restart_syscall", ("rt_sigreturn", "restart_syscall")),
    ("libc_end", "the ends of threads and processes; abort(3) and assert(3)",
     ("exit", "exit_group", "rt_sigprocmask", "getpid", "gettid", "tgkill")),
    ("libc_messages", "what assert(3), perror(3) and a run-time say when something goes wrong", ("write", "writev")),
    ("libc_memory", "malloc(3) grows and trims as much as it is asked to", ("brk", "munmap", "mremap", "madvise")),
    ("libc_locks", "a lock that was free in this run is waited for in another", ("futex",)),
    ("libc_clock", "answered without the kernel where its clock allows that (vdso(7)), which is up to the host",
     ("clock_gettime", "gettimeofday", "time", "getcpu", "getrandom")),
)  # fmt: skip
LIBC_VALUES = (("mmap", (2,)), ("mprotect", (2,)), ("mmap", (0,)), ("mprotect", (0,)))  # memory, not code
CONDITIONAL = "conditional"
REFUSAL = "errno:EPERM"  # of a call that is allowed with other arguments
MAX_RULES = 64  # values of one call
# Core dumps: the limit of 1 keeps them from a handler that runs as root outside; see policies/default.toml.
_RLIMIT_CORE = 4
CORE_RULES = (
    Rule(call="setrlimit", action="errno:0", args=(Arg(index=0, op="==", value=_RLIMIT_CORE, mask=INT_BITS),),
         description="RLIMIT_CORE stays as the launcher has set it"),
    Rule(call="prlimit64", action="errno:0",
         args=(Arg(index=1, op="==", value=_RLIMIT_CORE, mask=INT_BITS), Arg(index=2, op="!=", value=0)),
         description="RLIMIT_CORE stays as the launcher has set it"),
)  # fmt: skip


class Additions(Record):
    """What a policy lacks. groups: name -> (action, description, calls). conflicts: what the file refuses in so many
    words, and the run did. wide: calls that were seen with too many values for rules."""

    groups: dict[str, tuple[str, str, tuple[str, ...]]]
    rules: tuple[Rule, ...]
    conflicts: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Does the policy allow the run as it is?"""
        return not (self.rules or any(calls for _action, _description, calls in self.groups.values()))


def empty(path: str, *, base: Policy, default: str, description: str) -> Policy:
    """A policy that says nothing yet; the capabilities are those of the run's."""
    return Policy(name="", path=path, text=b"", default=default, foreign_abi=KILL, description=description,
                  capabilities=base.capabilities, architectures=(os.uname().machine,))  # fmt: skip


def additions(facts: Facts, policy: Policy, base: Policy) -> Additions:
    """What ``policy`` lacks for the run; ``base`` is the policy that the run was under."""
    return _Learner(policy, base).learn(facts)


class _Learner:
    def __init__(self, policy: Policy, base: Policy) -> None:
        self.policy, self.base = policy, base
        self.groups: dict[str, tuple[str, str, list[str]]] = {}
        self.rules: list[Rule] = []
        self.conflicts: list[str] = []
        self.wide: list[str] = []

    def learn(self, facts: Facts) -> Additions:
        native = [kind for kind in facts.counts if kind.abi == os.uname().machine and kind.call]
        self.choose_wide(native)
        allowed = [kind for kind in native if kind.action in (ALLOW, LOG)]
        for kind in allowed:
            about = words(kind.abi, kind.number, kind.call, kind.values) if kind.values else ""
            self.allow(kind.call, kind.values, facts.args[kind], set_of(kind.call) or "other", "", about)
        for name, why, calls in LIBC:
            for call in calls:
                self.allow(call, (), (), name, why, "")
        for call, values in LIBC_VALUES:
            about = "writable" if values[0] else "neither writable nor executable"
            self.allow(call, values, sample(call, values), "", "", f"{about}, for malloc(3) and stacks")
        passed = {(kind.call, kind.values) for kind in allowed}
        for kind in native:
            if kind.action not in (ALLOW, LOG, KILL) and (kind.call, kind.values) not in passed:
                self.refuse(kind, facts.args[kind])
        self.keep_refusals({kind.call for kind in allowed}, passed)
        order = [*sets(), "other", *(name for name, _why, _calls in LIBC)]
        names = sorted(self.groups, key=lambda name: order.index(name) if name in order else len(order))
        return Additions(
            groups={name: (*self.groups[name][:2], tuple(self.groups[name][2])) for name in names},
            rules=tuple(sorted(self.rules, key=lambda rule: rule.call)), conflicts=tuple(self.conflicts),
            wide=tuple(self.wide),
        )  # fmt: skip

    def choose_wide(self, kinds: list[Kind]) -> None:
        seen: dict[str, set[Values]] = {}
        for kind in kinds:
            seen.setdefault(kind.call, set()).add(kind.values)
        self.wide = sorted(call for call, values in seen.items() if len(values) > MAX_RULES)

    def allow(self, call: str, values: Values, args: tuple[int, ...], group: str, why: str, about: str) -> None:
        said = answer(self.policy, call, args)
        if said.action in (ALLOW, LOG):
            return
        if said.why != "default" and not (said.group is not None and self.is_conditional(said.policy, call)):
            self.conflicts.append(f"{call}{f' ({about})' if about else ''} is refused by {said.policy.path}"
                                  f"{f':{said.line}' if said.line else ''}")  # fmt: skip
            return
        if values and call not in self.wide:
            self.condition(call, values, ALLOW, about)
        else:
            self.group(group, ALLOW, why, call)

    def refuse(self, kind: Kind, args: tuple[int, ...]) -> None:
        """A refusal that the program met is a part of how it runs: another errno may be another way."""
        said = answer(self.policy, kind.call, args)
        if said.action == kind.action or (said.why != "default" and not self.is_conditional(said.policy, kind.call)):
            return
        if kind.values and kind.call not in self.wide:
            if kind.action != self.refusal:  # that of all other values
                about = words(kind.abi, kind.number, kind.call, kind.values)
                self.condition(kind.call, kind.values, kind.action, f"refused in the run: {about}")
        elif not any(kind.call in calls for _action, _why, calls in self.groups.values()):
            name = kind.action.removeprefix("errno:").lower()
            self.group(f"refused_{name}", kind.action, "refused in the run as well", kind.call)

    def keep_refusals(self, calls: set[str], passed: set[tuple[str, Values]]) -> None:
        """The rules by which the run's policy refused some forms of what is allowed now, whether seen or not."""
        known = [*self.rules, *(rule for level in self.policy.levels() for rule in level.rules)]
        rules = [rule for level in self.base.levels() for rule in level.rules if rule.action not in (ALLOW, LOG)]
        for rule in (*CORE_RULES, *rules):
            if rule.call not in calls or any(rule.call == r.call and rule.args == r.args for r in known):
                continue
            # With conditions only what was seen is allowed; a rule of the policy may look closer than they do
            if rule.call in CONDITIONS and rule.call not in self.wide and not any(
                call == rule.call and self.catches(rule, values) for call, values in passed
            ):
                continue
            known.append(rule)
            self.rules.append(rule.replace(line=0))

    def catches(self, rule: Rule, values: Values) -> bool:
        """Can a call with these values meet the rule?"""
        masks = dict(CONDITIONS[rule.call])
        seen = dict(zip(masks, values, strict=True))
        for arg in rule.args:
            mask = masks.get(arg.index, 0)
            if arg.op == "==" and (arg.value ^ seen.get(arg.index, 0)) & arg.mask & mask:
                return False
            if arg.op == "!=" and not arg.mask & ~mask and seen.get(arg.index, 0) & arg.mask == arg.value:
                return False
        return True

    def condition(self, call: str, values: Values, action: str, about: str) -> None:
        args = tuple(Arg(index=index, op="==", value=value, mask=mask)
                     for (index, mask), value in zip(CONDITIONS[call], values, strict=True))  # fmt: skip
        if any(rule.call == call and rule.args == args for rule in self.rules):
            return
        self.rules.append(Rule(call=call, action=action, args=args, description=about))
        if self.policy.default != self.refusal and not any(call in group.calls for group in self.policy.groups):
            self.group(CONDITIONAL, self.refusal, "with other arguments than the rules allow", call)

    @property
    def refusal(self) -> str:
        return KILL if self.policy.default == KILL else REFUSAL

    def group(self, name: str, action: str, why: str, call: str) -> None:
        if any(call in calls for _action, _why, calls in self.groups.values()):
            return
        known = next((group for group in self.policy.groups if group.name == name), None)
        while known is not None and known.action != action:
            name += "_allowed" if action == ALLOW else "_refused"
            known = next((group for group in self.policy.groups if group.name == name), None)
        self.groups.setdefault(name, (action, why, []))[2].append(call)

    def is_conditional(self, level: Policy, call: str) -> bool:
        """Does this level refuse a call but for the arguments that its rules allow?"""
        return any(rule.call == call and rule.action in (ALLOW, LOG) for rule in level.rules) or any(
            group.name == CONDITIONAL and call in group.calls for group in level.groups
        )


def with_additions(policy: Policy, more: Additions) -> Policy:
    """The policy with what it lacked, as a value; ``policy`` is to be a new one, or is to lose its comments."""
    groups = {group.name: group for group in policy.groups}
    for name, (action, why, calls) in more.groups.items():
        before = groups.get(name) or Group(name=name, action=action, calls=(), description=why)
        groups[name] = before.replace(calls=(*before.calls, *calls))
    return policy.replace(groups=tuple(groups.values()), rules=(*policy.rules, *more.rules))


def summary(more: Additions) -> Iterator[str]:
    """What is new, a line for each group and for the rules of each call."""
    for name, (action, _why, calls) in more.groups.items():
        if action == ALLOW:
            yield f"{name}: {' '.join(calls)}"
    by_call: dict[str, list[str]] = {}
    for rule in more.rules:
        if rule.action == ALLOW:
            by_call.setdefault(rule.call, []).append(rule.description)
    for call, abouts in by_call.items():
        yield f"{call}: {', '.join(abouts)}"


