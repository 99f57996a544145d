"""The flags of every command: those of ``run`` and ``plan`` are in ``options``, the others' are here."""

from __future__ import annotations

from ..errors import RequestError
from .options import OPTIONS, Option
from .tables import build, ci, container, image, network, oci
from .tables import run as run_table

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

# The subcommands of ``judge``; without one it judges submissions.
JUDGE_COMMANDS = {
    "check": ("PACKAGE...", "every mistake of a problem package, with file and line; 1 if there is an error"),
    "languages": ("", "what this host can compile and run, and what is missing"),
    "calibrate": ("PACKAGE", "the time limit that follows from the jury's own submissions"),
    "verdict": ("RESULT.json", "the verdicts again, from the facts that --json wrote; nothing is run"),
}
_LANGUAGES = Option("languages", "languages", "value", "FILE", "",
                    "languages of your own (TOML), besides or instead of those that come with it")
_PROFILE = Option("profile", "profile", "value", "PROFILE", "", "which verdict comes first (default: icpc)",
                  choices=("icpc", "ioi", "dmoj"))  # fmt: skip
_JSON_TABLE = Option("json", "json", "value", "FILE|-", "", "write it as JSON; with - instead of the table")
_NO_LIVE = Option("no-live", "quiet", "flag", "", "", "no progress, only the result", "q")
JUDGE_FLAGS: dict[str, tuple[Option, ...]] = {
    "": (
        Option("jobs", "jobs", "value", "N", "", "tests at once, each on a CPU of its own (default 1)", "j"),
        Option("all", "all", "flag", "", "", "the package's own submissions, against what is expected of them"),
        _PROFILE,
        Option("time", "time", "value", "TIME", "", "time limit, instead of the package's"),
        Option("memory", "memory", "value", "SIZE", "", "memory limit, instead of the package's"),
        Option("language", "language", "value", "ID", "", "the submissions' language, if their names do not say it"),
        _LANGUAGES,
        Option("json", "json", "value", "FILE|-", "", "write facts and verdicts as JSON; with - instead of the table"),
        Option("junit", "junit", "value", "FILE", "", "write a JUnit report, for CI"),
        Option("html", "html", "value", "FILE", "", "write a report for people: one file, with pictures"),
        Option("jury", "jury", "flag", "", "", "the output is for the jury: with checkers' messages on secret tests"),
        Option("reruns", "reruns", "value", "N", "",
               "how often a time near the limit is measured again, alone (default 3)"),
        Option("keep-going", "keep_going", "flag", "", "", "judge every test, also where the verdict is clear"),
        Option("journal", "journal", "value", "FILE", "", "where finished tests are kept, for after a crash"),
        Option("fresh", "fresh", "flag", "", "", "take nothing from the journal"),
        _NO_LIVE,
    ),
    "check": (),
    "languages": (_LANGUAGES, _JSON_TABLE),
    "calibrate": (
        Option("runs", "runs", "value", "N", "", "how often each submission is run (default 3)"),
        Option("time", "time", "value", "TIME", "", "no accepted submission needs more than this (default 30s)"),
        Option("write", "write", "flag", "", "", "write the limit into the package"),
        _LANGUAGES,
        _JSON_TABLE,
        _NO_LIVE,
    ),
    "verdict": (
        Option("profile", "profile", "value", "PROFILE", "", "which verdict comes first (default: as it was judged)",
               choices=("icpc", "ioi", "dmoj")),
        Option("json", "json", "value", "FILE|-", "", "write it as JSON; with - instead of the text"),
    ),
}  # fmt: skip
_JUDGE = tuple({o.name: o for options in JUDGE_FLAGS.values() for o in options}.values())

FAMILIES = (run_table, container, image, network, build, ci, oci)
# Commands with subcommands -> their names.
SUBCOMMANDS = {"policy": POLICY_COMMANDS, "judge": JUDGE_COMMANDS,
               **{name: words for table in FAMILIES for name, words in table.SUBCOMMANDS.items()}}  # fmt: skip
# The flags of each of them.
SUBFLAGS = {"policy": POLICY_FLAGS, "judge": JUDGE_FLAGS,
            **{name: flags for table in FAMILIES for name, flags in table.SUBFLAGS.items()}}  # fmt: skip

# Commands that take options, and then a program.
PROGRAM_COMMANDS = ("run", "plan", "trace", *(name for table in FAMILIES for name in table.PROGRAMS))
# Of a command with subcommands the flags of all of them once, for completion.
FLAGS = {"run": (*OPTIONS, *run_table.RUN), "plan": OPTIONS,
         "trace": (*_TRACE, *(option for option in OPTIONS if option.name not in _TAKEN_BY_TRACE)),
         "doctor": _DOCTOR, "policy": _POLICY, "judge": _JUDGE, "setup": _SETUP,
         **{name: tuple({o.name: o for options in flags.values() for o in options}.values())
            for table in FAMILIES for name, flags in table.SUBFLAGS.items()},
         **{name: flags for table in FAMILIES for name, flags in table.FLAGS.items()}}  # fmt: skip


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


def mixed(
    command: str, options: Sequence[Option], words: Sequence[str], page: str
) -> tuple[dict[str, Any], list[str]]:
    """(values of flags, the other words); flags may stand anywhere, ``--`` ends them. Raises RequestError.

    ``page``: the command that ``pysandbox help`` explains.
    """
    known = {f"--{option.name}": option for option in options}
    short = {f"-{option.short}": option for option in options if option.short}
    values: dict[str, Any] = {}
    others: list[str] = []
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word == "--":
            return values, [*others, *reversed(rest)]
        # -1 is a word of its own: an argument of a call, for one
        if not word.startswith("-") or word == "-" or word[1:2].isdigit():
            others.append(word)
            continue
        name, equals, value = word.partition("=")
        option = known.get(name)
        if option is None and word[:2] in short:
            name, option = word[:2], short[word[:2]]
            equals = value = word[2:]
        if option is None:
            raise RequestError(command, word[:80], f"no such option; see pysandbox help {page}")
        if option.kind == "flag":
            if equals and (name.startswith("--") or value.startswith(("-", "="))):
                raise RequestError(name, value, "takes no value")
            if equals:  # -fa is -f -a
                rest.append(f"-{value}")
            values[option.field] = True
            continue
        value = value if equals else rest.pop() if rest else ""
        if not value:
            raise RequestError(name, "", f"needs a value: {option.metavar}")
        if option.choices and value not in option.choices:
            raise RequestError(name, value[:80], f"use one of {', '.join(option.choices)}")
        if option.kind == "list":
            values.setdefault(option.field, []).append(value)
        elif option.kind == "pair":
            key, equals, text = value.partition("=")
            if not equals or not key:
                raise RequestError(name, value[:80], "expected NAME=VALUE")
            values.setdefault(option.field, {})[key] = text
        else:
            values[option.field] = value
    return values, others
