"""``pysandbox policy explain [POLICY] CALL [ARG...]``: what becomes of a call, which line says so, how to change it."""

from __future__ import annotations

import errno
import os

from ... import syscalls
from ...errors import PolicyError, RequestError
from ...policy import ALLOW, LOG, NOTIFY, TRAP, load, names, near, parse_action
from ...policy.answer import answer_number
from ...policy.partition import partition
from ...policy.sets import set_of
from ...record import Record
from ..printed import told
from .words import argument, argument_names, conditions, machine, only, parsed, where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...policy import Policy
    from ...policy.answer import Answer


class Question(Record):
    """A call as a program makes it. ``name`` is "" for a number that has none."""

    policy: Policy
    abi: str
    native: str
    number: int
    name: str
    arguments: tuple[int, ...]

    @property
    def foreign(self) -> bool:
        return self.abi != self.native


def main(words: list[str]) -> int:
    """Print the explanation."""
    values, others = parsed("explain", words)
    only("explain", others, 1, 8, "a call and up to six arguments")
    question = _question(values, others)
    given = answer_number(question.policy, question.abi, question.number, question.arguments, arch=question.native)
    told(values, _data(question, given), _lines(question, given))
    return 0


def _question(values: dict[str, Any], words: list[str]) -> Question:
    named = words[0] in names() or "/" in words[0] or words[0].endswith(".toml")
    # A policy and a call may have one name: the first of two words is the policy unless --policy says which.
    if named and len(words) > 1 and "policy" not in values and syscalls.number("x86_64", words[0]) is None:
        policy, words = load(words[0]), words[1:]
    else:
        policy = load(values.get("policy", "default"))
    only("explain", words, 1, 7, "a call and up to six arguments")
    native = machine(None)
    abi = values.get("abi", native)
    word, arguments = words[0], tuple(argument(w) for w in words[1:])
    if word.lstrip("-").isdecimal() or word[:2].lower() == "0x":
        number = int(word, 0)
        if not -(1 << 31) <= number < 1 << 32:
            raise RequestError("policy explain", word[:80], "no number of a call: it has 32 bits")
        number = number - (1 << 32) if number >= 1 << 31 else number
        if abi == "x32" and number >= 0:
            number |= syscalls.X32_BIT
        elif abi == "x86_64" and number >= 0 and number & syscalls.X32_BIT:
            abi = "x32"
        return Question(policy=policy, abi=abi, native=native, number=number, name=syscalls.name(abi, number) or "",
                        arguments=arguments)  # fmt: skip
    found = syscalls.number(abi, word)
    if found is None:
        other = syscalls.alias(word)
        elsewhere = [each for each in syscalls.ABIS if syscalls.number(each, word) is not None]
        hint = (f"the call of that function is {other}" if other else
                f"{abi} has no such call, but {', '.join(elsewhere)} has; add --abi" if elsewhere else
                near(word, syscalls.names(abi)) or "give its name or number")  # fmt: skip
        raise RequestError("policy explain", word[:80], f"no call of {abi}; {hint}")
    return Question(policy=policy, abi=abi, native=native, number=found, name=word, arguments=arguments)


def _lines(question: Question, given: Answer) -> list[str]:
    policy, call = question.policy, question.name
    lines = [f"{_title(question)} under policy {policy.name}: {_meaning(given.action)}"]
    if question.foreign:
        lines.append(f"  by         {where(given)}: every call by {question.abi} on {question.native} gets this")
        lines.append("  why        the same number is another call in another ABI, and past every rule by name")
        return lines
    lines.append(f"  by         {where(given)}")
    part = given.rule or given.group
    if part is not None and part.description:
        lines.append(f"             {part.description}")
    if given.rule is not None:
        lines.append(f"  because    {conditions(given.rule.args, argument_names(call, question.abi))}")
    if call:
        name = set_of(call)
        if name:
            lines.append(f"  set        @{name}: {_description(name)}")
        lines.append(f"  call       {call}({', '.join(argument_names(call, question.abi))}), "
                     f"number {question.number} of {question.abi}")  # fmt: skip
    others = _otherwise(question, given)
    for i, (when, action) in enumerate(others):
        lines.append(f"  {'other' if not i else '':<10} {action} {when}")
    if not others and call:
        lines.append("  arguments  do not matter")
    if given.action not in (ALLOW, LOG, NOTIFY):
        lines.append("  reported   " + ("in the result's denials" if given.report else "no (report = false)"))
    lines += [f"  {'change' if not i else '':<10} {line}".rstrip() for i, line in enumerate(_change(question, given))]
    return lines


def _title(question: Question) -> str:
    if not question.arguments:
        return question.name or f"call {question.number}"
    from ...syscalls.decode import decode

    return str(decode(question.abi, question.number, (*question.arguments, 0, 0, 0, 0, 0, 0)[:6]))


def _meaning(action: str) -> str:
    """What happens, and what the program sees."""
    kind, number = parse_action(action)
    if kind == "errno:":
        if not number:
            return f"{action}: it does nothing, and the program sees success"
        name = errno.errorcode.get(number, str(number))
        return f"{action}: the call is not made, the program sees {name} ({os.strerror(number).lower()})"
    return {
        ALLOW: "allow: the kernel makes the call",
        LOG: "log: the kernel makes the call, and writes it to the audit log",
        TRAP: "trap: the call is not made, the program gets SIGSYS, which ends it unless it has a handler",
        NOTIFY: "notify: whoever started the run is asked",
    }.get(kind, "kill: the program ends by SIGSYS at once (outcome syscall)")


def _otherwise(question: Question, given: Answer) -> list[tuple[str, str]]:
    """The other answers that arguments can have: (conditions, action)."""
    if not question.name:
        return []
    known = argument_names(question.name, question.abi)
    found: dict[tuple[str, str], None] = {}
    for piece in partition(question.policy, question.name):
        said = piece.answer
        if not piece.cubes or (said.rule, said.group, said.why) == (given.rule, given.group, given.why):
            continue
        when = f"where {conditions(said.rule.args, known)}" if said.rule is not None else "otherwise"
        found[f"{when} (line {said.line})" if said.line else when, said.action] = None
    return list(found)


def _change(question: Question, given: Answer) -> list[str]:
    """A file with which the call passes, below a line that says so."""
    if given.action in (ALLOW, LOG) or not question.name:
        return []
    from ...policy.permit import permit, text

    said = permit(given, question.policy, question.name, question.arguments)
    lines = text(question.policy, [said]).removesuffix("\n").split("\n")
    return ["a file with", *(f"    {line}".rstrip() for line in lines)]


def _description(name: str) -> str:
    import tomllib

    from ...policy.files import FOLDER, SETS

    try:
        with open(f"{FOLDER}/{SETS}.toml", "rb") as file:
            return str(tomllib.load(file)["sets"][name].get("description", ""))
    except (OSError, ValueError, KeyError) as error:
        raise PolicyError(f"{FOLDER}/{SETS}.toml", 0, f"sets.{name}", str(error)) from None


def _data(question: Question, given: Answer) -> dict[str, Any]:
    part = given.rule or given.group
    return {
        "policy": question.policy.name, "call": question.name, "number": question.number, "abi": question.abi,
        "arguments": list(question.arguments), "action": given.action, "meaning": _meaning(given.action),
        "why": given.why, "file": given.policy.path, "line": given.line,
        "group": given.group.name if given.group else None,
        "conditions": conditions(given.rule.args, argument_names(question.name, question.abi)) if given.rule else None,
        "description": part.description if part else "", "report": given.report,
        "set": set_of(question.name) if question.name else "",
        "otherwise": [] if question.foreign else
                     [{"when": when, "action": action} for when, action in _otherwise(question, given)],
        "change": [] if question.foreign else [line.strip() for line in _change(question, given)[1:]],
    }  # fmt: skip


