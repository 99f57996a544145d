"""``pysandbox oci [OPTIONS] COMMAND [ID]``: the command line that engines know from runc and crun."""

from __future__ import annotations

from ..errors import RequestError, SandboxError
from ..units import parse_count
from .flags import mixed
from .options import parse
from .tables.oci import GLOBAL, SUBCOMMANDS, SUBFLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..oci.log import Log

_COMMANDS = SUBCOMMANDS["oci"]
_MAX_PRESERVED = 64


def main(words: list[str]) -> int:
    """One operation; its exit status. A fault goes to ``--log`` as well."""
    before, command, rest = _split(words)
    if not command or (command != "exec" and any(word in ("-h", "--help") for word in rest)):
        from .help import main as explain

        return explain(["oci"])
    if command == "exec":  # what follows the id is the program's
        values, others = parse([*before, *rest], SUBFLAGS["oci"]["exec"], "oci")
    else:
        values, others = mixed(f"oci {command}".rstrip(), SUBFLAGS["oci"][command], [*before, *rest], "oci")
    _count(command, others)
    if "preserve_fds" in values:
        values["preserve_fds"] = parse_count("--preserve-fds", values["preserve_fds"], 0, _MAX_PRESERVED)
    from ..oci.log import Log

    log = Log(values.get("log"), values.get("log_format", "text"))
    try:
        return _do(command, values, others, log)
    except SandboxError as error:
        log.error(str(error))
        raise


def _split(words: list[str]) -> tuple[list[str], str, list[str]]:
    """The options before the command, the command ("" for help), and what follows it."""
    takes_value = {f"--{option.name}" for option in GLOBAL if option.kind != "flag"}
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in takes_value else 1
    if any(word in ("-h", "--help") for word in words[:at]):
        return [], "", []
    command = words[at] if at < len(words) else ""
    if command not in _COMMANDS:
        raise RequestError("oci", command, f"expected {', '.join(_COMMANDS)}; see pysandbox help oci")
    return words[:at], command, words[at + 1 :]


def _count(command: str, others: list[str]) -> None:
    usual = {"list": (0, 0), "spec": (0, 0), "features": (0, 0), "kill": (1, 2), "exec": (1, 1 << 16)}
    least, most = usual.get(command, (1, 1))
    if not least <= len(others) <= most:
        wanted = _COMMANDS[command][0] or "no words"
        raise RequestError(f"oci {command}", " ".join(others)[:80], f"takes {wanted}; see pysandbox help oci")


def _do(command: str, values: dict[str, Any], others: list[str], log: Log) -> int:
    if command == "features":
        from ..oci.features import features

        return _print(features())
    if command == "spec":
        from ..oci.template import write

        write(values.get("bundle", "."))
        return 0
    from ..oci import lifecycle, state

    base = state.root(values.get("root"))
    if command == "list":
        return _list(lifecycle.listed(base), values)
    identity = others[0]
    if command == "create":
        lifecycle.create(base, identity, lifecycle.Options(values), log)
    elif command == "start":
        lifecycle.start(base, identity)
    elif command == "state":
        return _print(lifecycle.show(base, identity))
    elif command == "kill":
        lifecycle.kill(base, identity, _signal(others[1] if len(others) > 1 else "TERM"), values.get("all", False))
    elif command == "exec":
        return _exec(base, identity, values, others[1:], log)
    elif command == "pause":
        lifecycle.pause(base, identity)
    elif command == "resume":
        lifecycle.resume(base, identity)
    elif command == "delete":
        lifecycle.delete(base, identity, log, values.get("force", False))
    else:
        return lifecycle.run(base, identity, lifecycle.Options(values), log, detach=values.get("detach", False))
    return 0


def _exec(base: str, identity: str, values: dict[str, Any], argv: list[str], log: Log) -> int:
    from ..oci import joined, process
    from ..oci.reader import Node

    if ("process" in values) == bool(argv):
        raise RequestError("oci exec", " ".join(argv)[:80], "takes either --process FILE or a program")
    if "process" in values:
        wanted = joined.read_process(values["process"])
    else:
        uid, _, gid = values.get("user", "0").partition(":")
        both = (("uid", uid), ("gid", gid or uid))
        ids = {name: parse_count("--user", word, 0, (1 << 32) - 2) for name, word in both}
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        wanted = {"args": argv, "cwd": values.get("cwd", "/"), "env": [path, *values.get("env", ())], "user": ids}
    if values.get("tty"):
        wanted["terminal"] = True
    for note in process.of_the_container(Node(wanted, "process")):
        log.warning(note)
    return joined.run(base, identity, wanted, console_socket=values.get("console_socket"),
                      detach=values.get("detach", False), pid_file=values.get("pid_file"))  # fmt: skip


def _signal(word: str) -> int:
    import signal

    if word.isdecimal() and 0 < int(word) < signal.NSIG:
        return int(word)
    name = word.upper()
    found = getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)
    if not isinstance(found, signal.Signals):
        raise RequestError("oci kill", word, "no such signal; give a name such as TERM, or a number")
    return int(found)


def _print(value: object) -> int:
    import json
    import sys

    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    return 0


def _list(found: list[dict[str, Any]], values: dict[str, Any]) -> int:
    import sys

    if values.get("quiet"):
        lines = [record["id"] for record in found]
    elif values.get("format") == "json":
        return _print(found)
    else:
        rows = [("ID", "PID", "STATUS", "BUNDLE"),
                *((r["id"], str(r.get("pid", 0)), r["status"], r["bundle"]) for r in found)]  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  ".join([*(row[i].ljust(widths[i]) for i in range(3)), row[3]]) for row in rows]
    for line in lines:
        sys.stdout.write("".join(c if c.isprintable() else repr(c)[1:-1] for c in line) + "\n")
    return 0
