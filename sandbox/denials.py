"""System calls that were refused, in words: what the program asked for, which line refused it, how to allow it.

Only for what was refused: nothing here is imported by a run without denials.
"""

from __future__ import annotations

import errno
from posixpath import basename

from . import syscalls
from .policy.model import Group, Rule, parse_action
from .record import Record
from .syscalls.decode import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Protocol

    from .policy import Policy
    from .policy.answer import Answer

    class Raw(Protocol):
        """What the run reports of a refused call, the first of ``count`` that were alike."""

        @property
        def data(self) -> bytes:
            """struct seccomp_data: int nr, u32 arch, u64 instruction pointer, u64 args[6]."""

        @property
        def action(self) -> int:
            """The SECCOMP_RET value that the policy gives."""

        @property
        def memory(self) -> Sequence[bytes]:
            """For each argument what lay at that address, b"" if nothing could be read."""

        @property
        def count(self) -> int:
            """How often."""


_DATA_BYTES = 64
# SECCOMP_RET_ACTION_FULL and the actions of <linux/seccomp.h>.
_ACTION, _DATUM = 0xFFFF0000, 0xFFFF
_ERRNO = 0x00050000
_ACTIONS = {0x80000000: "kill", 0: "kill", 0x00030000: "trap", 0x7FC00000: "notify", 0x7FFC0000: "log",
            0x7FFF0000: "allow"}  # fmt: skip


class Denial(Record):
    """A call that the policy refused, as often as ``count`` says; of several alike the first is shown.

    call: "" if the number has no name. abi: x86_64, aarch64, or a foreign one: i386, x32, arm. text: the call as
    strace shows it. arguments: (name, text). action: ``errno:NAME`` or ``kill``. policy, file, line: where it says so
    (line 0: nowhere in particular). rule: which part of it, in words. allow: the TOML of a policy that extends this
    one and lets the call pass, or why there is none. permit: the part of it, for whoever joins several.
    """

    call: str
    number: int
    abi: str
    text: str
    arguments: tuple[tuple[str, str], ...] = ()
    action: str
    count: int = 1
    policy: str
    file: str = ""
    line: int = 0
    rule: str = ""
    allow: str = ""
    permit: Group | Rule | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for json.dumps."""
        data = self.asdict()
        del data["permit"]
        data["arguments"] = [{"name": name, "text": text} for name, text in self.arguments]
        return data


def explain(raw: Iterable[Raw], policy: str) -> tuple[Denial, ...]:
    """What was refused by the policy of that name or path, the first first.

    A policy that has changed or gone since is no error: then the denials do not say which line it was.
    """
    from .errors import PolicyError
    from .policy import load

    raw = list(raw)
    if not raw:
        return ()
    try:
        loaded = load(policy)
    except PolicyError:
        return tuple(_denial(each, None, policy) for each in raw)
    return tuple(_denial(each, loaded, loaded.name) for each in raw)


def action_text(value: int) -> str:
    """A SECCOMP_RET value in the words of a policy."""
    if value & _ACTION == _ERRNO:
        number = value & _DATUM
        return f"errno:{errno.errorcode.get(number, number)}"
    return _ACTIONS.get(value & _ACTION, f"{value:#x}")


def _denial(raw: Raw, policy: Policy | None, name: str) -> Denial:
    data = raw.data[:_DATA_BYTES].ljust(_DATA_BYTES, b"\0")
    number = int.from_bytes(data[:4], "little", signed=True)
    arch = int.from_bytes(data[4:8], "little")
    args = tuple(int.from_bytes(data[at:at + 8], "little") for at in range(16, _DATA_BYTES, 8))
    abi = syscalls.abi_of(arch, number) or f"arch {arch:#x}"
    call = decode(abi, number, args, raw.memory)
    denial = Denial(call=call.name, number=number, abi=abi, text=str(call), arguments=call.arguments,
                    action=action_text(raw.action), count=raw.count, policy=name)  # fmt: skip
    return denial if policy is None else _explained(denial, policy, args)


def _explained(denial: Denial, policy: Policy, args: tuple[int, ...]) -> Denial:
    from .policy.answer import answer_number

    answer = answer_number(policy, denial.abi, denial.number, args)
    if parse_action(answer.action) != _parsed(denial.action):
        return denial  # the file is not the one that the filter was made from: nothing to say is better than wrong
    level = answer.policy
    denial = denial.replace(policy=level.name, file=level.path, line=answer.line or _line(level, answer.why),
                            rule=_words(answer))  # fmt: skip
    if answer.why == "foreign_abi":
        why = f"no policy can allow calls by a foreign ABI ({denial.abi}): its numbers mean other calls"
        return denial.replace(allow=f"{why} than those that the policy names; use a program built for this machine")
    if not denial.call:
        return denial.replace(allow=f"no call with the number {denial.number} is known, so that no policy can name it")
    from .policy.permit import permit, text

    part = permit(answer, policy, denial.call, args, denial.text)
    return denial.replace(permit=part, allow=text(policy, [part]))


def _parsed(action: str) -> tuple[str, int] | None:
    try:
        return parse_action(action)
    except ValueError:
        return None


def _line(policy: Policy, key: str) -> int:
    """The line of a top-level key, 0 if the file leaves it to what is usual."""
    for number, line in enumerate(policy.text.split(b"\n"), 1):
        if line.startswith(b"["):
            break
        if line.partition(b"=")[0].strip() == key.encode():
            return number
    return 0


def _words(answer: Answer) -> str:
    if answer.why == "default":
        return "the default"
    if answer.why == "foreign_abi":
        return "foreign_abi"
    if answer.rule is not None:
        return f"a rule: {answer.rule.description}" if answer.rule.description else "a rule"
    return f"group {answer.group.name}" if answer.group is not None else ""


# --- for a terminal ----------------------------------------------------------------------------------

MOST_LINES = 8  # a program that tries everything is not worth a screen


def lines(denials: Sequence[Denial]) -> list[str]:
    """What was refused, one line for each kind, and what to write in a policy file so that it passes."""
    shown, more = denials[:MOST_LINES], len(denials) - MOST_LINES
    out = [_refused(denial) for denial in shown]
    if more > 0:
        out.append(f"refused: {more} more kind{'s' if more > 1 else ''} of calls; --json has them all")
    return out + _to_allow(shown)


def _refused(denial: Denial) -> str:
    kind, number = _parsed(denial.action) or (denial.action, 0)
    if kind == "errno:":
        answer = errno.errorcode.get(number, str(number)) if number else "0, and not done"
    else:
        answer = "killed" if kind == "kill" else kind
    where = f"{basename(denial.file)}{f':{denial.line}' if denial.line else ''}, " if denial.file else ""
    by = f" by {denial.rule}" if denial.rule else ""
    return f"refused {denial.count} x: {denial.text} -> {answer}{by} ({where}policy {denial.policy})"


def _to_allow(denials: Sequence[Denial]) -> list[str]:
    from .policy.write import text

    permits = [denial.permit for denial in denials if denial.permit is not None]
    calls = dict.fromkeys(call for part in permits if isinstance(part, Group) for call in part.calls)
    parts = [f'[groups.allowed] action = "allow", calls = [{", ".join(map(text, calls))}]'] if calls else []
    parts += dict.fromkeys(_inline(d.allow) for d in denials if isinstance(d.permit, Rule) and d.call not in calls)
    out = []
    if parts:
        extends = next(line for d in denials if d.permit for line in d.allow.split("\n") if line.startswith("extends"))
        head = f"to allow {'it' if len(permits) == 1 else 'them'}: --policy FILE with version = 1, {extends} and"
        out += [f"{head} {parts[0]}"] if len(parts) == 1 else [head, *(f"  {part}" for part in parts)]
    out += dict.fromkeys(d.allow for d in denials if d.permit is None and d.allow)
    return out


def _inline(allow: str) -> str:
    """The one rule of a policy text, on one line and without its description."""
    written = allow.partition("[[rules]]\n")[2].splitlines()
    return f"[[rules]] {', '.join(line for line in written if line and not line.startswith('description'))}"
