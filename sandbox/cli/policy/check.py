"""``pysandbox policy check FILE...``: every mistake as ``file:line: key: hint``, and what is odd though it is right."""

from __future__ import annotations

import os

from ...errors import HostError, PolicyError
from ...policy import locate, near, read
from ...policy.mistakes import mistakes
from ...policy.partition import partition
from ..printed import out
from .words import conditions, only, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...policy import Policy

EXIT_GOOD, EXIT_WRONG = 0, 1

# The last call of each release since numbers are one everywhere (424): what a kernel of that release knows.
_LAST = {
    (5, 1): 427, (5, 2): 435, (5, 5): 435, (5, 6): 438, (5, 8): 439, (5, 9): 439, (5, 10): 440, (5, 11): 441,
    (5, 12): 442, (5, 13): 446, (5, 14): 447, (5, 15): 448, (5, 16): 449, (5, 17): 450, (6, 5): 451, (6, 6): 453,
    (6, 7): 456, (6, 8): 461, (6, 10): 462, (6, 13): 466, (6, 15): 467, (6, 17): 469, (6, 19): 470,
}  # fmt: skip


def main(words: list[str]) -> int:
    """0 if no file has a mistake; warnings and notes do not count."""
    _values, others = parsed("check", words)
    only("check", others, 1, 1 << 16, "one NAME or FILE at least")
    status = EXIT_GOOD
    for word in others:
        lines, wrong = _check(word)
        if wrong:
            status = EXIT_WRONG
        out(lines)
    return status


def _check(word: str) -> tuple[list[str], bool]:
    try:
        name, path = locate(word)
        text = read(name, path)[0]
    except PolicyError as error:
        return [str(error)], True
    policy, found = mistakes(name, path, text)
    if policy is not None:
        found = sorted([*found, *_unknown(policy)], key=lambda e: (e.file != path, e.line))
        found = found or _uncompilable(policy)
    if policy is None or found:
        return [str(error) for error in found], True
    doubts = [*_warnings(policy), *_notes(policy)]
    return [*doubts, f"{path}: {'no mistakes' if doubts else 'good'}"], False


def _arches(policy: Policy) -> tuple[str, ...]:
    from ...seccomp import ARCHES

    return policy.architectures or ARCHES


def _unknown(policy: Policy) -> Iterator[PolicyError]:
    """Names that are calls of no ABI; those of other ABIs are left out silently by the compiler."""
    from ...syscalls import ABIS, alias, names

    known = {name for abi in ABIS for name in names(abi)}
    for level in policy.levels():
        parts = [(call, group.line, f"groups.{group.name}.calls") for group in level.groups for call in group.calls]
        parts += [(rule.call, rule.line, f"rules[{i}].call") for i, rule in enumerate(level.rules)]
        for call, line, key in parts:
            if call and call not in known:  # no call: a rule with a mistake of its own
                other = alias(call)
                hint = f"the call is {other}" if other else near(call, known) or "check its name"
                yield PolicyError(level.path, _line_of(level, call, line), key, f"unknown system call {call!r}; {hint}")


def _line_of(level: Policy, call: str, line: int) -> int:
    for number, text in enumerate(level.text.decode().split("\n")[max(line - 1, 0):], max(line, 1)):
        if f'"{call}"' in text.partition("#")[0]:
            return number
    return line


def _uncompilable(policy: Policy) -> list[PolicyError]:
    from ...seccomp.compile import compile_policy

    found = []
    for arch in _arches(policy):
        try:
            compile_policy(policy, arch)
        except PolicyError as error:
            found.append(error)
        except HostError as error:
            found.append(PolicyError(policy.path, 0, "", str(error)))
    return list({str(error): error for error in found}.values())


def _warnings(policy: Policy) -> Iterator[str]:
    from ...policy import ALLOW, LOG

    here = policy.path

    def warn(line: int, text: str) -> str:
        return f"{here}:{line}: warning: {text}" if line else f"{here}: warning: {text}"

    for rule in policy.rules:
        piece = next((p for p in partition(policy, rule.call) if p.answer.rule is rule), None)
        if piece is not None and not piece.cubes:
            yield warn(rule.line, f"this rule never decides: other rules do wherever {conditions(rule.args)}")
    for group in policy.groups:
        without = policy.replace(groups=tuple(g for g in policy.groups if g is not group))
        if group.calls and all(_same(policy, without, call) for call in group.calls):
            yield warn(group.line, f"group {group.name} changes nothing: its calls are {group.action} without it")
    starts = [p.answer.action for call in ("execve", "execveat") for p in partition(policy, call) if p.cubes]
    if not {ALLOW, LOG, "notify"} & set(starts):
        yield warn(0, "execve is refused: the filter is loaded before the program is executed, nothing can start")
    if policy.parent is not None and "foreign_abi" in policy.said and policy.foreign_abi != policy.parent.foreign_abi:
        if policy.parent.foreign_abi == "kill":
            line = next((n for n, t in enumerate(policy.text.split(b"\n"), 1) if t.startswith(b"foreign_abi")), 0)
            yield warn(line, f"foreign_abi is {policy.foreign_abi}, that of {policy.parent.name} is kill")


def _same(one: Policy, other: Policy, call: str) -> bool:
    last, alone = partition(one, call)[-1], partition(other, call)
    # ``report`` is a difference, too
    return all(p.answer.action == last.answer.action and p.answer.report == last.answer.report
               for p in alone if p.cubes and (p.answer.rule is None or p.answer.policy is not one))  # fmt: skip


def _notes(policy: Policy) -> Iterator[str]:
    """Calls that this libseccomp or the running kernel does not know: they are filtered all the same."""
    from ...policy.partition import named
    from ...seccomp.compile import binding
    from ...syscalls import number

    calls = named(policy)
    lib = binding()
    machine = os.uname().machine
    here = {"x86_64": "X86_64", "aarch64": "AARCH64"}.get(machine)
    if here is None:
        return
    new = [c for c in calls if number(machine, c) is not None
           and lib.resolve_syscall(getattr(lib.Arch, here), c) == -1]  # fmt: skip
    if new:
        yield f"{policy.path}: note: newer than this libseccomp, filtered by number: {' '.join(new)}"
    release = os.uname().release
    last = _last_known(release)
    absent = [c for c in calls if last < (number(machine, c) or 0) < 1 << 30 and (number(machine, c) or 0) >= 424]
    if absent:
        yield f"{policy.path}: note: newer than this kernel ({release}), which has no such calls: {' '.join(absent)}"


def _last_known(release: str) -> int:
    parts = release.split(".")
    minor = "".join(c for c in (parts[1] if len(parts) > 1 else "") if c.isdecimal())
    if not parts[0].isdecimal() or not minor:
        return 1 << 30
    version = (int(parts[0]), int(minor))
    return max((last for since, last in _LAST.items() if since <= version), default=423)
