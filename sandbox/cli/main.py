"""``pysandbox COMMAND ...``: find the command, turn our own exceptions into one line and exit code 125.

Everything else is imported by the command that needs it: a start of the command line may cost 5 ms
more than Python itself.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_FAULT = 125

# name -> (module, one line); each module has main(arguments) -> exit status
COMMANDS = {
    "run": ("run", "run a program in a sandbox"),
    "plan": ("plan", "print every step that a run would take, run nothing"),
    "trace": ("trace", "run a program, show what it calls, and write the policy that lets it"),
    "doctor": ("doctor", "say what this host can do, and how to get what is missing"),
    "policy": ("policy", "list, show, check, compare, convert and explain seccomp policies"),
    "judge": ("judge", "judge submissions against a problem package: verdicts, scores, reports"),
    "setup": ("setup", "delegate a cgroup subtree to a user (an administrator does this once)"),
    "completion": ("completion", "print the completion script for bash, zsh or fish"),
    "version": ("version", "print the version"),
    "help": ("help", "explain a command"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (docs/cli.md)."""
    try:
        return _main(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        return 130


def _main(words: list[str]) -> int:
    _open_what_is_closed()
    command, rest = (words[0], words[1:]) if words else ("help", [])
    if command in ("-h", "--help"):
        command = "help"
    elif command in ("-V", "--version"):
        command = "version"
    elif command in COMMANDS and _asks_for_help(rest):
        command, rest = "help", [command]
    if command not in COMMANDS:
        return fail(f"no command {command!r}; there are {', '.join(COMMANDS)}")
    from ..errors import SandboxError

    try:
        # not importlib: the module of that name costs 0.4 ms
        module = __import__(f"{__package__}.{COMMANDS[command][0]}", fromlist=["main"])
        return int(module.main(rest))
    except SandboxError as error:
        return fail(str(error))
    except BrokenPipeError:  # our own output went to something that does not read any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except MemoryError:
        return fail("out of memory")
    except Exception as error:
        if "PYSANDBOX_DEBUG" in os.environ:
            raise
        return fail(f"a fault of pysandbox: {type(error).__name__}: {error}; PYSANDBOX_DEBUG=1 shows where")


def _asks_for_help(rest: list[str]) -> bool:
    return bool(rest) and rest[0] in ("-h", "--help")


def _open_what_is_closed() -> None:
    """A file or socket of ours must not get the number of a standard stream and be taken for one."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            if fd:  # Python has found it closed and has None for it
                setattr(sys, "stdout" if fd == 1 else "stderr", open(fd, "w", encoding="utf-8", closefd=False))


def fail(message: str) -> int:
    """One line on stderr."""
    tell(message)
    return EXIT_FAULT


def tell(message: str) -> None:
    """One line on stderr, whatever is in the message: a control character in it is not for the terminal."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in f"pysandbox: {message}")
    try:
        os.write(2, text.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        pass


def console() -> None:
    """Entry of the ``pysandbox`` script: as ``main``, without the 1.5 ms that Python takes to end itself."""
    gc.disable()  # too short-lived to have garbage; collections cost 0.5 ms of the imports
    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # closed before we began
                stream.flush()
        except (OSError, ValueError):
            status = status or EXIT_FAULT
    os._exit(status)
