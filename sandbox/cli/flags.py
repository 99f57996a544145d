"""The flags of every command: those of ``run`` and ``plan`` are in ``options``, the others' are here."""

from __future__ import annotations

from ..errors import RequestError
from .options import OPTIONS, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SHELLS = ("bash", "zsh", "fish")

_DOCTOR = (Option("json", "json", "value", "FILE|-", "", "write the report as JSON; with - instead of the table"),)
_SETUP = (
    Option("user", "user", "value", "NAME|UID", "", "who gets the subtree (required)"),
    Option("yes", "yes", "flag", "", "", "do not ask"),
    Option("undo", "undo", "flag", "", "", "take it back: remove the subtree, if nothing runs in it"),
    Option("enter", "enter", "value", "PID", "", "also put this process into it (on cgroup v2 a shell has to be)"),
    Option("tmpfiles", "tmpfiles", "flag", "", "", "also write a file for systemd-tmpfiles, for every boot"),
)  # fmt: skip

# What has to be as trace has it: every call is asked about, by the one listener that a process can have.
_TRACE = (
    Option("write", "write", "value", "FILE", "", "write the policy to a new file (FILE.toml)"),
    Option("merge", "merge", "value", "FILE", "", "add to a policy that was learned before; made if it is not there"),
    Option("default", "default", "value", "errno:NAME|kill", "",
           "what a new policy does to all other calls (default errno:ENOSYS)"),
)  # fmt: skip
_TAKEN_BY_TRACE = ("sysinfo", "denials")

# Commands that take the options of a run, and then a program.
PROGRAM_COMMANDS = ("run", "plan", "trace")
FLAGS = {"run": OPTIONS, "plan": OPTIONS,
         "trace": (*_TRACE, *(option for option in OPTIONS if option.name not in _TAKEN_BY_TRACE)),
         "doctor": _DOCTOR, "setup": _SETUP}  # fmt: skip


def parse(command: str, words: Sequence[str]) -> dict[str, Any]:
    """The values of a command that takes flags and nothing else. Raises RequestError."""
    known = {f"--{option.name}": option for option in FLAGS.get(command, ())}
    values: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        option = known.get(name)
        if option is None:
            raise RequestError(word[:80] or command, word[:80], f"no such option; see pysandbox help {command}")
        if option.kind == "flag":
            if equals:
                raise RequestError(name, value, "takes no value")
            values[option.field] = True
            continue
        if not equals:
            value = next(rest, "")
        if not value:
            raise RequestError(name, "", f"needs a value: {option.metavar}")
        values[option.field] = value
    return values
