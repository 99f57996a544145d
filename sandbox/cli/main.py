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
    "image": ("image", "images: import, list, inspect, remove, export, pull, push"),
    "build": ("build", "make an image from a Dockerfile"),
    "ps": ("container.ps", "list containers"),
    "exec": ("container.exec", "run a program in a running container"),
    "logs": ("container.logs", "what a container has written"),
    "attach": ("container.attach", "connect to the streams of a running container"),
    "stop": ("container.stop", "end containers: a signal, a grace, then the kill"),
    "kill": ("container.kill", "send a signal to containers, SIGKILL unless said otherwise"),
    "pause": ("container.pause", "freeze all processes of containers"),
    "unpause": ("container.unpause", "let frozen containers go on"),
    "stats": ("container.stats", "what running containers use, live"),
    "top": ("container.top", "the processes in a container"),
    "inspect": ("container.inspect", "everything that is known of a container, as JSON"),
    "wait": ("container.wait", "wait until containers end, and print their exit status"),
    "cp": ("container.cp", "copy files into a container or out of it"),
    "update": ("container.update", "change limits of a running container"),
    "port": ("container.port", "the published ports of a container"),
    "rm": ("container.rm", "remove containers"),
    "commit": ("container.commit", "make an image of what a container has changed"),
    "volume": ("container.volume", "named volumes: list, make, inspect, remove"),
    "network": ("network", "private networks that containers share"),
    "ci": ("ci", "run the steps of a job file in containers; serve a GitLab Runner"),
    "oci": ("oci", "be the OCI runtime of another engine"),
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
    write_line(f"pysandbox: {message}")


def write_line(text: str) -> None:
    """One line on stderr, without our name: of a command that says more than faults."""
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    try:
        os.write(2, printable.encode("utf-8", "backslashreplace") + b"\n")
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
