"""The flags of ``run`` and ``plan``: one table, from which parsing, help and completion are made.

Own parsing, because argparse costs 6 ms of imports at each start. Long options take ``--name VALUE``
or ``--name=VALUE``, short ones ``-n VALUE`` or ``-nVALUE``; options end at ``--`` or at the first word
that is none, which is the program.
"""

from __future__ import annotations

from ..errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Option:
    """One flag. ``kind``: value (last one counts), list (each adds), pair (K=V, each adds), or flag."""

    __slots__ = ("choices", "field", "group", "help", "kind", "metavar", "name", "short")

    def __init__(self, name: str, field: str, kind: str, metavar: str, group: str, text: str,
                 short: str = "", choices: tuple[str, ...] = ()) -> None:  # fmt: skip
        self.name, self.field, self.kind, self.metavar = name, field, kind, metavar
        self.group, self.help, self.short, self.choices = group, text, short, choices


_L, _F, _N, _P, _S, _O = "Limits", "Files", "Namespaces and identity", "Program", "Streams and results", "Other"

OPTIONS = (
    Option("mem", "mem", "value", "SIZE", _L, "memory of the whole sandbox, swap excluded (64M, 1.5G)"),
    Option("swap", "swap", "value", "SIZE", _L, "swap beside --mem (default 0)"),
    Option("time", "time", "value", "TIME", _L, "CPU time of all its processes together (1s, 250ms, 2m)"),
    Option("wall", "wall", "value", "TIME", _L, "wall-clock time"),
    Option("idle", "idle", "value", "TIME", _L, "time in a row with hardly any CPU used"),
    Option("pids", "pids", "value", "N", _L, "processes and threads at once (default 128)"),
    Option("cpus", "cpus", "value", "N", _L, "share of CPUs (0.5, 2)"),
    Option("cpuset", "cpuset", "value", "LIST", _L, "CPUs it may run on (0-1,4)"),
    Option("output", "output", "value", "SIZE", _L, "bytes on stdout and stderr together"),
    Option("disk", "disk", "value", "SIZE", _L, "bytes in /tmp, /dev/shm and the workdir together (default 256M)"),
    Option("inodes", "inodes", "value", "N", _L, "files in the same places (default 16384)"),
    Option("fsize", "fsize", "value", "SIZE", _L, "size of any one file it writes, or unlimited"),
    Option("stack", "stack", "value", "SIZE", _L, "stack of a process, or unlimited"),
    Option("nofile", "nofile", "value", "N", _L, "open files of a process (default 1024)"),
    Option("core", "core", "value", "SIZE", _L, "size of a core file (default 0)"),
    Option("io-read", "io_read", "value", "RATE", _L, "reading from disks, a second (10M, 500iops, or 10M,500iops)"),
    Option("io-write", "io_write", "value", "RATE", _L, "writing to disks, a second"),
    Option("sysinfo", "sysinfo", "value", "auto|on|off", _L,
           "sysinfo(2) tells the limits (default auto: if --mem is given)", choices=("auto", "on", "off")),
    Option("best-effort", "best_effort", "flag", "", _L, "run even if a limit cannot be enforced, and say which"),
    Option("cgroup", "cgroup", "value", "auto|none|PATH", _L, "where the sandbox's cgroup is made"),
    Option("volume", "volumes", "list", "SRC:DST[:ro|rw]", _F,
           "show a file or directory of the host (read-only by default)", "v"),
    Option("tmpfs", "tmpfs", "list", "DST[:SIZE[:OPTIONS]]", _F,
           "an empty directory in memory (default 64M); options: mode=OCTAL, noexec"),
    Option("rootfs", "rootfs", "value", "DIR[:ro|scratch]", _F,
           "another root; scratch: writable, changes are thrown away"),
    Option("workdir", "workdir", "value", "DIR", _F, "directory to start in (default /work)", "w"),
    Option("without", "without", "list", "NAMESPACE", _N, "leave a namespace out, for debugging",
           choices=("user", "pid", "mount", "net", "ipc", "uts", "cgroup", "time")),
    Option("isolation", "isolation", "value", "namespaces|landlock", _N,
           "landlock: without any namespace, for hosts that have none to give", choices=("namespaces", "landlock")),
    Option("landlock", "landlock", "value", "auto|on|off", _N,
           "a second lock beside the namespaces: Landlock (default auto)", choices=("auto", "on", "off")),
    Option("net", "net", "value", "none|host|user|container:NAME|NETWORK", _N,
           "network: loopback only, the host's, a way out, another container's, or a private one",
           choices=("none", "host", "user")),
    Option("proc", "proc", "value", "auto|lxcfs|static|plain|private", _N,
           "whose figures /proc shows: lxcfs', ours made from the limits, or the kernel's",
           choices=("auto", "lxcfs", "static", "plain", "private")),
    Option("ids", "ids", "value", "single|range", _N, "map one id, or a range of subordinate ids",
           choices=("single", "range")),
    Option("user", "user", "value", "UID[:GID]", _N,
           "ids of the program inside (default 1000); names, with an image (default: its User)", "u"),
    Option("cap-add", "cap_add", "list", "NAME[,NAME]|ALL", _N,
           "keep a capability inside the user namespace (default: none)"),
    Option("cap-drop", "cap_drop", "list", "NAME[,NAME]|ALL", _N, "do not keep one that the policy keeps"),
    Option("hostname", "hostname", "value", "NAME", _N, "host name inside (default sandbox)"),
    Option("policy", "policy", "value", "NAME|FILE", _N, "seccomp policy (default: default)"),
    Option("denials", "denials", "value", "auto|on|off", _N,
           "report the system calls that the policy refuses (default auto: where the kernel can)",
           choices=("auto", "on", "off")),
    Option("env", "env", "pair", "K=V", _P, "set a variable; the caller's environment is not passed on", "e"),
    Option("grace", "grace", "value", "TIME", _P, "time between a forwarded signal and SIGKILL (default 2s)"),
    Option("tty", "tty", "flag", "", _P, "give it a terminal of its own", "t"),
    Option("stdin", "stdin", "value", "FILE|null|inherit", _S, "default: the bytes of our stdin, not its open file"),
    Option("stdout", "stdout", "value", "FILE|null|inherit", _S, "default: passed on to ours"),
    Option("stderr", "stderr", "value", "FILE|null|inherit|stdout", _S, "default: passed on to ours"),
    Option("json", "json", "value", "FILE|-", _O, "write the result as JSON; with - the streams are in it"),
    Option("quiet", "quiet", "flag", "", _O, "say nothing about the outcome on stderr", "q"),
)  # fmt: skip

_WORDS = {"null": "devnull", "inherit": "inherit", "stdout": "stdout"}


def parse(
    words: Sequence[str], options: Sequence[Option] = OPTIONS, command: str = "run"
) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
    """Field values and the program with its arguments. Raises RequestError for what is no option."""
    by_word = {f"--{option.name}": option for option in options}
    by_word |= {f"-{option.short}": option for option in options if option.short}
    values: dict[str, Any] = {}
    words, at = list(words), 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            break
        if len(word) < 2 or word[0] != "-":
            at -= 1
            break
        option, attached = _find(word, by_word, command)
        if option.kind == "flag":
            if attached is not None:
                if word.startswith("--") or attached.startswith(("-", "=")):
                    raise RequestError(word.partition("=")[0], attached, "takes no value")
                words.insert(at, f"-{attached}")  # -it is -i -t
            values[option.field] = True
            continue
        if attached is None:
            if at >= len(words):
                raise RequestError(word, "", f"needs a value: {option.metavar}")
            attached = words[at]
            at += 1
        _store(values, option, attached)
    return values, words[at:]


def _find(word: str, by_word: dict[str, Option], command: str) -> tuple[Option, str | None]:
    if word.startswith("--"):
        name, equals, attached = word.partition("=")
        if name in by_word:
            return by_word[name], attached if equals else None
        raise RequestError(word[:80], word[:80], f"no such option{_near(name, by_word)}; see pysandbox help {command}")
    if word[:2] in by_word:
        return by_word[word[:2]], word[2:] or None
    raise RequestError(word[:80], word[:80], f"no such option; see pysandbox help {command}")


def _near(name: str, by_word: dict[str, Option]) -> str:
    import difflib

    found = difflib.get_close_matches(name, [word for word in by_word if word[:2] == "--"], 1)
    return f", did you mean {found[0]}?" if found else ""


def _store(values: dict[str, Any], option: Option, text: str) -> None:
    if option.kind == "list":
        values.setdefault(option.field, []).append(text)
    elif option.kind == "pair":
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise RequestError(f"--{option.name}", text, "expected NAME=VALUE")
        values.setdefault(option.field, {})[name] = value
    elif option.field in ("stdin", "stdout", "stderr"):
        # a file may be called null or inherit: ./null
        values[option.field] = _WORDS.get(text, text) if text != "stdout" or option.field == "stderr" else text
    elif option.field == "rootfs" or option.field == "policy" or text:
        values[option.field] = text
    else:
        raise RequestError(f"--{option.name}", text, f"needs a value: {option.metavar}")


def flagged(error: RequestError) -> RequestError:
    """The same error with the field called as on the command line: ``volume`` -> ``--volume``."""
    for option in OPTIONS:
        if error.field in (option.field, option.name):
            return RequestError(f"--{option.name}", error.value, error.why)
    return error


def defaults(values: dict[str, Any]) -> dict[str, Any]:
    """The streams as the command line has them: passed on, or in the JSON."""
    from ..request import CAPTURE
    from ..streams import FORWARD

    to_json = values.get("json") == "-"
    streams = {"stdin": FORWARD, "stdout": CAPTURE if to_json else 1, "stderr": CAPTURE if to_json else 2}
    request = {k: v for k, v in values.items() if k not in ("json", "quiet")}
    return {**{k: v for k, v in streams.items() if k not in request}, **request}
