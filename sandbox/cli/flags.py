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

_ARCH = Option("arch", "arch", "value", "ARCH", "", "for this architecture (default: this machine's)",
               choices=("x86_64", "aarch64"))  # fmt: skip
_JSON = Option("json", "json", "value", "FILE|-", "", "write it as JSON; with - instead of the text")
_OUT = Option("out", "out", "value", "FILE", "", "write to a file instead of stdout", "o")

# The subcommands of ``policy`` -> (the words that they take, one line) and their flags.
POLICY_COMMANDS = {
    "list": ("", "the shipped policies"),
    "show": ("NAME|FILE", "the text of one, or with --resolved what it amounts to"),
    "check": ("NAME|FILE...", "every mistake and doubt, with its line; 1 if there is a mistake"),
    "diff": ("A B", "which calls get another answer; 1 if there are any"),
    "explain": ("[NAME|FILE] CALL|NUMBER [ARG...]", "what becomes of a call, and which line says so"),
    "import": ("FILE.json", "a policy from a profile of Docker or an OCI runtime"),
    "export": ("NAME|FILE", "a profile for Docker, podman, runc, crun"),
    "schema": ("", "the JSON schema of policy files"),
}
POLICY_FLAGS: dict[str, tuple[Option, ...]] = {
    "list": (),
    "show": (Option("resolved", "resolved", "flag", "", "", "sets and what it extends written out"),),
    "check": (),
    "diff": (_ARCH, _JSON),
    "explain": (
        Option("policy", "policy", "value", "NAME|FILE", "", "the policy that is asked (default: default)"),
        Option("abi", "abi", "value", "ABI", "", "the call is made by this ABI (default: this machine's)",
               choices=("x86_64", "i386", "x32", "aarch64")),
        _JSON,
    ),
    "import": (
        _OUT, _ARCH,
        Option("kernel", "kernel", "value", "MAJOR.MINOR", "", "for this kernel (default: the running one)"),
        Option("cap-add", "cap_add", "list", "NAME", "", "for a program that keeps this capability"),
    ),
    "export": (_OUT, _ARCH),
    "schema": (),
}  # fmt: skip
# Each flag once, for completion.
_POLICY = tuple({o.name: o for options in POLICY_FLAGS.values() for o in options}.values())

# Commands that take the options of a run, and then a program.
PROGRAM_COMMANDS = ("run", "plan", "trace")
FLAGS = {"run": OPTIONS, "plan": OPTIONS,
         "trace": (*_TRACE, *(option for option in OPTIONS if option.name not in _TAKEN_BY_TRACE)),
         "doctor": _DOCTOR, "policy": _POLICY, "setup": _SETUP}  # fmt: skip


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
