"""What a policy is, once it has been read."""

from __future__ import annotations

import errno

from ..record import Record
from .constants import ALL_BITS
from .files import near

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NONE = "none"

ALLOW = "allow"
KILL = "kill"  # the whole process, by SIGSYS (SECCOMP_RET_KILL_PROCESS, Linux 4.14)
LOG = "log"  # allowed, and written to the audit log
TRAP = "trap"  # a SIGSYS that the program may handle
NOTIFY = "notify"  # whoever started the run is asked (seccomp_unotify(2), Linux 5.5)
ERRNO = "errno:"
PLAIN_ACTIONS = (ALLOW, KILL, LOG, TRAP, NOTIFY)
_MAX_ERRNO = 4095  # MAX_ERRNO of the kernel; seccomp(2) caps larger values silently


class Arg(Record):
    """One condition: ``(argument[index] & mask) op value``; all numbers unsigned."""

    index: int
    op: str
    value: int
    mask: int = ALL_BITS


class Rule(Record):
    """An action for a call when all of ``args`` hold; ``line`` is where the file says so.

    report: a refusal by this rule is told in ``Result.denials``.
    """

    call: str
    action: str
    args: tuple[Arg, ...]
    line: int = 0
    report: bool = True
    description: str = ""


class Group(Record):
    """Calls that share one unconditional action; sets are expanded. ``report`` as in Rule."""

    name: str
    action: str
    calls: tuple[str, ...]
    line: int = 0
    report: bool = True
    description: str = ""


class Policy(Record):
    """A parsed policy; ``path`` is its file and ``text`` the bytes of that file.

    groups and rules are those of this file alone: ``levels()`` has them all. default, foreign_abi,
    architectures and capabilities are final: the parent's where this file is silent. Capabilities have no CAP_.
    said: the top-level keys of this file.
    """

    name: str
    path: str
    text: bytes
    default: str
    foreign_abi: str = KILL
    description: str = ""
    groups: tuple[Group, ...] = ()
    rules: tuple[Rule, ...] = ()
    capabilities: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    parent: Policy | None = None
    said: frozenset[str] = frozenset()

    def levels(self) -> Iterator[Policy]:
        """This policy, then the one that it extends, and so on: the order in which they are asked."""
        level: Policy | None = self
        while level is not None:
            yield level
            level = level.parent

    def saying(self, key: str) -> Policy:
        """The level that decides a top-level key; this one if none names it."""
        return next((level for level in self.levels() if key in level.said), self)

    @property
    def filters(self) -> bool:
        """False if the policy lets everything pass, so that no filter is needed."""
        silent = all(not (level.groups or level.rules) for level in self.levels())
        return not (self.default == self.foreign_abi == ALLOW and silent)

    @property
    def asks(self) -> bool:
        """Is there a call that only a listener can answer?"""
        said = [self.default]
        for level in self.levels():
            said += [group.action for group in level.groups]
            said += [rule.action for rule in level.rules]
        return NOTIFY in said


def parse_action(action: str) -> tuple[str, int]:
    """("errno:EPERM") -> ("errno:", 1); ("kill") -> ("kill", 0). ValueError says what is wrong."""
    if action in PLAIN_ACTIONS:
        return action, 0
    if action.startswith(ERRNO):
        word = action[len(ERRNO):]
        number = int(word) if word.isdecimal() and word.isascii() else getattr(errno, word, 0)
        if isinstance(number, int) and (0 < number <= _MAX_ERRNO or word == "0"):  # 0: says yes, does nothing
            return ERRNO, number
        hint = near(word.upper(), errno.errorcode.values())
        raise ValueError(f"unknown errno {word!r}; {hint or 'give a name such as EPERM'}")
    known = (*PLAIN_ACTIONS, "errno:EPERM", "errno:ENOSYS")
    hint = near(action, known) or f"use {', '.join(PLAIN_ACTIONS)} or errno:NAME"
    raise ValueError(f"unknown action {action!r}; {hint}")


def may_overlap(one: tuple[Arg, ...], other: tuple[Arg, ...]) -> bool:
    """False if no call can meet both sets of conditions (shown by two ``==`` that exclude each other)."""
    return not any(
        a.index == b.index and a.op == b.op == "==" and (a.value ^ b.value) & a.mask & b.mask
        for a in one
        for b in other
    )
