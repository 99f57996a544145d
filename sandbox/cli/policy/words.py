"""What the subcommands have in common: their words, output, and conditions in words."""

from __future__ import annotations

from ...errors import RequestError
from ...policy.constants import ALL_BITS, CONSTANTS, INT_BITS
from ..flags import POLICY_FLAGS, mixed
from ..main import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...policy import Arg
    from ...policy.answer import Answer


def parsed(command: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """(values of flags, the other words); flags may stand anywhere, ``--`` ends them. Raises RequestError."""
    return mixed(f"policy {command}", POLICY_FLAGS[command], words, "policy")


def only(command: str, words: Sequence[str], least: int, most: int, what: str) -> None:
    """Raise RequestError unless so many words were given."""
    if not least <= len(words) <= most:
        raise RequestError(f"policy {command}", " ".join(words)[:80], f"takes {what}; see pysandbox help policy")


def notes(found: Iterable[str]) -> None:
    """Sentences on stderr."""
    for note in found:
        tell(f"note: {note}")


def condition(arg: Arg, names: Sequence[str] = ()) -> str:
    """``flags & 0x7e020000 != 0``; ``names`` are those of the call's arguments."""
    name = names[arg.index] if arg.index < len(names) else f"argument {arg.index}"
    if arg.mask == ALL_BITS or (arg.mask == INT_BITS and arg.index < len(names)):
        return f"{name} {arg.op} {number(arg.value)}"
    return f"({name} & {number(arg.mask)}) {arg.op} {number(arg.value)}"


def conditions(args: Iterable[Arg], names: Sequence[str] = ()) -> str:
    """All of them, joined by ``and``."""
    return " and ".join(condition(arg, names) for arg in args)


def number(value: int) -> str:
    """Small ones as they are, others in hexadecimal."""
    return str(value) if value < 256 else hex(value)


def argument(word: str) -> int:
    """A number, or names of constants joined by |. Raises RequestError."""
    try:
        return int(word, 0) & ALL_BITS
    except ValueError:
        pass
    value = 0
    for name in word.split("|"):
        if name.strip() not in CONSTANTS:
            from ...policy import near

            hint = near(name.strip(), CONSTANTS) or "give the number"
            raise RequestError("policy explain", word[:80], f"no number and no constant that is known; {hint}")
        value |= CONSTANTS[name.strip()]
    return value


def where(answer: Answer) -> str:
    """``group no_mounts (/…/default.toml:7)``: the part of a file that an answer is from."""
    level = answer.policy
    line = answer.line
    if not line:
        key = answer.why.encode()
        line = next((n for n, text in enumerate(level.text.split(b"\n"), 1) if text.startswith(key)), 0)
    place = f"{level.path}:{line}" if line else level.path
    if answer.rule is not None:
        return f"a rule ({place})"
    if answer.group is not None:
        return f"group {answer.group.name} ({place})"
    return f"{answer.why} ({place})"


def argument_names(call: str, abi: str) -> tuple[str, ...]:
    """Names of the arguments of a call, () if it takes none or nothing is known."""
    from ...syscalls.vocabulary import signature

    return tuple(parameter.name for parameter in signature(abi, call) or ())


def machine(word: str | None) -> str:
    """The architecture that is meant, by default this machine's. Raises HostError."""
    from ...seccomp import ARCHES

    if word:
        return word
    import os

    here = os.uname().machine
    here = {"amd64": "x86_64", "arm64": "aarch64"}.get(here, here)
    if here not in ARCHES:
        from ...errors import HostError

        raise HostError(f"no seccomp policies for the architecture {here}", f"name one by --arch: {', '.join(ARCHES)}")
    return here
