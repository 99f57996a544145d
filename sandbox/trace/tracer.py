"""The handler of a traced run: every call is answered as the policy would answer it, and noted.

A policy looks at registers, which cannot change while a call waits, so that "go on" for what it allows and an errno
for what it refuses are as good as the kernel's own answers. What memory held is noted only.
"""

from __future__ import annotations

import os

from ..errors import PolicyError
from ..notify import Allow, Kill, Refuse, Return
from ..policy.answer import answer
from ..policy.model import ALLOW, ERRNO, KILL, LOG, NOTIFY, TRAP, parse_action
from .conditions import CONDITIONS, values_of
from .facts import Facts, Kind
from .learn import MAX_RULES
from .places import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..notify import Notification, Reply
    from ..policy import Policy
    from .conditions import Values

# Its flags are in memory, out of reach of the policy that is to be learned; libc falls back to clone.
CLONE3, CLONE3_ANSWER = "clone3", "errno:ENOSYS"


class Tracer:
    """``policy`` is that of the run. Raises PolicyError if it asks or traps, which only a kernel's filter can."""

    def __init__(self, policy: Policy) -> None:
        said = {policy.default, policy.foreign_abi}
        for level in policy.levels():
            said |= {group.action for group in level.groups} | {rule.action for rule in level.rules}
        if said & {TRAP, NOTIFY}:
            raise PolicyError(policy.path, 0, "", "has notify or trap rules, which trace cannot answer")
        self.policy, self.facts = policy, Facts()
        self.began = False
        self._machine = os.uname().machine
        self._ruled = {rule.call for level in policy.levels() for rule in level.rules}
        self._kinds: dict[tuple[str, int], Kind] = {}
        self._values: dict[str, set[Values]] = {}
        self._replies: dict[str, Reply] = {}
        self._start: tuple[Kind, tuple[int, ...]] | None = None

    def __call__(self, call: Notification) -> Reply:
        if not self.began:
            if call.start:
                kind = self._kind(call)
                self._start = kind, call.args
                return self._reply(kind.action)
            self._begin(call)
        kind = self._kind(call)
        self.facts.saw(kind, call.args, call.pid)
        note(call, self.facts)
        return self._reply(kind.action)

    def _begin(self, call: Notification) -> None:
        """The program is there: of the attempts to execute it the last one counts, as in strace(1)."""
        self.began = True
        if self._start is not None:
            self.facts.saw(*self._start, call.pid)
            try:
                self.facts.touched(os.readlink(f"/proc/{call.pid}/exe"), "exec")
            except OSError:  # it was killed meanwhile
                pass

    def _kind(self, call: Notification) -> Kind:
        key = call.abi, call.number
        known = self._kinds.get(key)
        if known is not None:
            return known
        values: tuple[int, ...]
        if call.abi != self._machine:
            # What the policy none lets pass here is beyond what a learned one can say
            values, action = (), self.policy.foreign_abi if self.policy.foreign_abi not in (ALLOW, LOG) else KILL
        else:
            values = self._known_values(call.name, values_of(call.name, call.args))
            action = answer(self.policy, call.name, call.args).action
            if call.name == CLONE3 and action in (ALLOW, LOG):
                action = CLONE3_ANSWER
        kind = Kind(abi=call.abi, number=call.number, call=call.name, values=values, action=action)
        if call.name and call.name not in self._ruled and call.name not in CONDITIONS:  # depends on no argument
            self._kinds[key] = kind
        return kind

    def _known_values(self, call: str, values: Values) -> Values:
        """The same, or none where the call has been seen with too many for rules."""
        known = self._values.setdefault(call, set())
        if values not in known:
            if len(known) > MAX_RULES:
                return ()
            known.add(values)
        return values

    def _reply(self, action: str) -> Reply:
        found = self._replies.get(action)
        if found is None:
            found = self._replies[action] = reply_of(action)
        return found


def reply_of(action: str) -> Reply:
    """An action of a policy as a reply."""
    if action in (ALLOW, LOG):
        return Allow()
    kind, number = parse_action(action)
    if kind == ERRNO:
        return Refuse(number) if number else Return(0)
    assert kind == KILL
    return Kill()
