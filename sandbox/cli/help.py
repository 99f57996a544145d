"""``pysandbox help [COMMAND]``: texts made from the tables, so that they cannot lag behind them."""

from __future__ import annotations

import sys

from ..errors import RequestError
from .flags import FAMILIES, FLAGS, JUDGE_COMMANDS, POLICY_COMMANDS, SHELLS, SUBCOMMANDS, SUBFLAGS
from .main import COMMANDS
from .options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .options import Option

WIDTH = 96
_LEFT = 28

OVERVIEW = """\
pysandbox runs a program that you do not trust: in namespaces of its own, under limits that hold, without
root, and says what happened to it.

    pysandbox run --mem 256M --time 1s -- python3 -c 'print(6*7)'
"""

# What each code means, for `help run`; docs/cli.md says the same at more length, and a test holds it to this.
EXIT_CODES = (
    ("0 to 255", "the program's own exit code"),
    ("128+N", "the program was ended by signal N, as in a shell (139: segmentation fault)"),
    ("124", "a time limit: --time, --wall or --idle"),
    ("125", "pysandbox itself could not do it; nothing is said about the program"),
    ("126", "the program cannot be executed"),
    ("127", "there is no such program in the sandbox"),
    ("137", "the memory limit; also SIGKILL, which is 128+9: --json tells them apart"),
)
OUTCOMES = {
    "ok": "it ended and returned 0",
    "exited": "it ended and returned something else",
    "signaled": "a signal ended it that no limit explains",
    "cpu_time": "--time: the CPU time of all of its processes together",
    "wall_time": "--wall: the time on the clock, while it used the CPU",
    "idle": "--wall or --idle ran out while it hardly used the CPU",
    "memory": "--mem: the kernel killed a process of this sandbox at its limit",
    "output": "--output: more bytes on stdout and stderr",
    "disk": "--disk: a container wrote more to its disk",
    "syscall": "the seccomp policy killed it for a system call",
    "exec_failed": "it could not be executed",
    "interrupted": "a signal to pysandbox, or its caller, ended the run",
}

_EXAMPLES = {
    "run": """\
    pysandbox run --mem 256M --time 1s -- python3 -c 'print(6*7)'
    pysandbox run --mem 64M --wall 2s --pids 16 ./solution < input.txt > output.txt
    pysandbox run -v ./src:/work:rw -w /work --time 1m -- make
    pysandbox run --json result.json --output 1M -q ./untrusted
    pysandbox run --rootfs ./debian:scratch -t -- /bin/bash""",
    "plan": """\
    pysandbox plan true
    pysandbox plan --mem 64M --rootfs ./debian:scratch -- /bin/sh""",
    "trace": """\
    pysandbox trace -- ls -l
    pysandbox trace --write ls.toml -- ls -l
    pysandbox trace --merge ls.toml -- ls -lR /usr
    pysandbox run --policy ./ls.toml -- ls -l
    pysandbox trace -q --json calls.json -- make""",
    "doctor": """\
    pysandbox doctor
    pysandbox doctor --json - | python3 -m json.tool""",
    "policy": """\
    pysandbox policy explain unshare
    pysandbox policy explain strict socket AF_INET
    pysandbox policy check ./mine.toml
    pysandbox policy diff default ./mine.toml
    pysandbox policy import profile.json --kernel 5.10 -o mine.toml
    pysandbox policy export default -o seccomp.json""",
    "judge": """\
    pysandbox judge sum/ mine.cpp yours.py
    pysandbox judge -j 4 --all sum.zip
    pysandbox judge --json result.json --html report.html sum/ mine.cpp
    pysandbox judge check sum/
    pysandbox judge calibrate sum/ --write
    pysandbox judge verdict result.json --profile dmoj""",
    "setup": """\
    sudo pysandbox setup --user alice
    sudo pysandbox setup --user alice --tmpfiles --yes
    sudo pysandbox setup --user alice --enter $$
    sudo pysandbox setup --user alice --undo""",
    "completion": """\
    eval "$(pysandbox completion bash)"                                # in ~/.bashrc
    pysandbox completion zsh > ~/.zfunc/_pysandbox                     # a directory of $fpath
    pysandbox completion fish > ~/.config/fish/completions/pysandbox.fish""",
    "version": "    pysandbox version",
    "help": "    pysandbox help run",
}

_USAGE = {
    "run": "[OPTIONS] [--] PROGRAM [ARGUMENTS]",
    "plan": "[OPTIONS OF run] [--] PROGRAM [ARGUMENTS]",
    "trace": "[--write FILE | --merge FILE] [OPTIONS OF run] [--] PROGRAM [ARGUMENTS]",
    "doctor": "[--json FILE|-]",
    "policy": "|".join(POLICY_COMMANDS) + " ...",
    "judge": "[OPTIONS] PACKAGE SUBMISSION... | " + "|".join(JUDGE_COMMANDS) + " ...",
    "setup": "--user NAME|UID [--yes] [--undo] [--enter PID] [--tmpfiles]",
    "completion": "|".join(SHELLS),
    "version": "",
    "help": "[COMMAND]",
}

_ABOUT = {
    "run": """\
The program sees the system's directories read-only, an /etc and a /proc of its own, an empty writable
/work, /tmp and /dev/shm, and no network. Of your files it sees itself and what -v shares. Options end
at -- or at the first word that is none.""",
    "plan": """\
Prints the steps in the order in which they would be taken. Nothing is made and nothing is run. Takes the
options of run: see pysandbox help run.""",
    "trace": """\
Runs the program as run would, with every system call noted, and says on stderr what it called, which files
it named and where it connected to. What --policy refuses is refused here too. --write makes the smallest
policy under which the same run passes, --merge adds another run to it. Takes the options of run: see
pysandbox help run; --json writes what was seen, and the result.""",
    "doctor": """\
Finds out by trying: it starts sandboxes, and one that has to hit its memory limit. Each line is ok,
limited or missing; what is not ok has one fix below it. Ends with 0 if `pysandbox run --mem` works for
this user, else with 1.""",
    "policy": """\
Nothing is run. A NAME is a shipped policy, a FILE has a slash or ends in .toml. Ends with 0; check ends with 1
if there is a mistake, diff with 1 if there is a difference; 125 is for what cannot be done.""",
    "judge": """\
A PACKAGE is a directory or an archive: ICPC/Kattis (legacy, 2025-09, draft), DMOJ, Polygon, or a folder
of N.in and N.ans. A SUBMISSION is a file, a directory or a zip. Progress goes to stderr, the result to
stdout; secret data to neither. Ends with 0 if all are accepted (with --all: as expected), else with 1;
125 is for what cannot be judged. A package whose name is that of a subcommand is ./NAME.""",
    "setup": """\
Run it as root, on a host without systemd or with cgroup v1. It makes one cgroup directory for the user in
each hierarchy, prints every command before it acts, and asks first. The limits of that directory stay
yours. It does not outlive a reboot, --tmpfiles makes it come back.""",
    "completion": "Prints a script for the shell.",
    "version": "",
    "help": "Explains a command.",
}

for _table in FAMILIES:
    _USAGE |= _table.USAGE
    _ABOUT |= _table.ABOUT
    _EXAMPLES |= _table.EXAMPLES

_UNITS = """\
SIZE is bytes or a number with K, M, G or T (powers of 1024). TIME is seconds or a number with ns, us, ms,
s, m or h. Both may have a fraction: 1.5G, 0.25s. RATE is a SIZE a second, operations a second (500iops), or
both (10M,500iops)."""


def main(words: list[str]) -> int:
    """Print the overview, or all about one command."""
    if len(words) > 1:
        raise RequestError("help", " ".join(words)[:80], "takes one command")
    if words and words[0] not in COMMANDS:
        raise RequestError("help", words[0][:80], f"there is no such command; there are {', '.join(COMMANDS)}")
    sys.stdout.write("\n".join(about(words[0]) if words else overview()) + "\n")
    return 0


def overview() -> Iterator[str]:
    """What ``pysandbox`` alone prints."""
    yield "usage: pysandbox COMMAND ..."
    yield ""
    yield from filled(OVERVIEW.rstrip())
    yield ""
    for name, (_module, text) in COMMANDS.items():
        yield f"  {name:<12}{text}"
    yield ""
    yield "`pysandbox help COMMAND` explains one, `pysandbox doctor` says what works on this host."


def about(command: str) -> Iterator[str]:
    """Everything on one command."""
    yield f"usage: pysandbox {command} {_USAGE.get(command, '')}".rstrip()
    yield ""
    yield from filled(COMMANDS[command][1].capitalize() + ".")
    if _ABOUT.get(command):
        yield ""
        yield from filled(_ABOUT[command])
    if command in _EXAMPLES:
        yield ""
        yield "Examples:"
        yield _EXAMPLES[command]
    # those of run are explained there
    own = [option for option in FLAGS.get(command, ()) if command == "policy" or option not in OPTIONS]
    if command in SUBCOMMANDS:
        if "" in SUBFLAGS[command]:
            yield ""
            yield "Options:"
            yield from table(SUBFLAGS[command][""])
        yield from _subcommands(SUBCOMMANDS[command], SUBFLAGS[command])
        if command != "policy":
            yield ""
            yield from filled(_UNITS)
    elif own:
        yield ""
        yield "Options:"
        yield from table(own)
    if command == "run":
        yield from _run()


def _subcommands(
    commands: Mapping[str, tuple[str, str]], flags: Mapping[str, Sequence[Option]]
) -> Iterator[str]:
    for name, (words, text) in commands.items():
        yield ""
        yield f"  {name} {words}".rstrip()
        yield f"      {text}"
        for line in table(flags[name]):
            yield f"    {line}"


def _run() -> Iterator[str]:
    for group in dict.fromkeys(option.group for option in FLAGS["run"]):
        yield ""
        yield f"{group}:"
        yield from table([option for option in FLAGS["run"] if option.group == group])
    yield ""
    yield from filled(_UNITS)
    yield ""
    yield "Exit code:"
    for code, text in EXIT_CODES:
        yield from row(code, text, 12)
    yield ""
    yield "Outcome (on stderr, and in --json):"
    for outcome, text in OUTCOMES.items():
        yield from row(outcome, text, 14)


def table(options: Sequence[Option]) -> Iterator[str]:
    """The lines of some flags."""
    for option in options:
        left = f"-{option.short}, --{option.name}" if option.short else f"    --{option.name}"
        if option.metavar:
            left += f" {option.metavar}"
        text = option.help
        if option.choices and option.kind == "list":
            text += f" ({', '.join(option.choices)})"
        if option.kind in ("list", "pair"):
            text += "; may be repeated"
        yield from row(left, text, _LEFT)


def row(left: str, text: str, width: int) -> Iterator[str]:
    """A word and its explanation, the latter wrapped in a column of its own."""
    lines = list(filled(text, WIDTH - width - 2))
    if len(left) >= width:
        yield f"  {left}"
    else:
        yield f"  {left:<{width}}{lines.pop(0)}"
    for line in lines:
        yield f"  {'':<{width}}{line}"


def filled(text: str, width: int = WIDTH) -> Iterator[str]:
    """Wrapped paragraphs; lines that are indented stay as they are."""
    current = ""
    for line in text.splitlines():
        if not line or line.startswith(" "):
            if current:
                yield current
            current = ""
            yield line
            continue
        for word in line.split():
            if current and len(current) + 1 + len(word) > width:
                yield current
                current = word
            else:
                current = f"{current} {word}" if current else word
    if current:
        yield current
