"""Flags and help of ``oci``: those that engines give to runc and crun."""

from __future__ import annotations

from ..options import Option

_FORMAT = Option("format", "format", "value", "table|json", "", "how to write it (default table)", "f",
                 choices=("table", "json"))  # fmt: skip
# Before or after the name of the operation.
GLOBAL = (
    Option("root", "root", "value", "DIR", "",
           "where the state of containers is kept (default $XDG_RUNTIME_DIR/pysandbox/oci)"),
    Option("log", "log", "value", "FILE", "", "append errors and warnings to a file"),
    Option("log-format", "log_format", "value", "text|json", "", "of --log (default text)", choices=("text", "json")),
    Option("systemd-cgroup", "systemd_cgroup", "flag", "", "",
           "accepted: a cgroup is made where one has been delegated, by systemd or others"),
    Option("debug", "debug", "flag", "", "", "accepted: nothing more is written"),
)  # fmt: skip
_CREATE = (
    Option("bundle", "bundle", "value", "DIR", "", "the directory with config.json (default .)", "b"),
    Option("pid-file", "pid_file", "value", "FILE", "", "write the number of the process to wait for"),
    Option("console-socket", "console_socket", "value", "PATH", "", "send the terminal's master to this unix socket"),
    Option("preserve-fds", "preserve_fds", "value", "N", "", "hand over N open files from 3 on"),
    Option("no-pivot", "no_pivot", "flag", "", "", "accepted: the root is entered in the one safe way"),
    Option("no-new-keyring", "no_new_keyring", "flag", "", "",
           "accepted: the program has a session keyring of its own"),
)  # fmt: skip

SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {"oci": {
    "create": ("ID", "make a container from a bundle; its program waits"),
    "start": ("ID", "let the program of a created container begin"),
    "state": ("ID", "the state of a container, as JSON"),
    "kill": ("ID [SIGNAL]", "send a signal to the program, TERM unless said otherwise"),
    "exec": ("ID [PROGRAM [ARGUMENTS]]", "run a further program in a running container"),
    "pause": ("ID", "freeze all processes of a container"),
    "resume": ("ID", "let them go on"),
    "delete": ("ID", "remove a container that has stopped"),
    "run": ("ID", "create, start, wait and delete; the exit status is the program's"),
    "list": ("", "all containers"),
    "spec": ("", "write a config.json to start from"),
    "features": ("", "what this runtime can do, as JSON"),
}}  # fmt: skip
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {"oci": {
    "create": (*_CREATE, *GLOBAL),
    "start": GLOBAL,
    "state": GLOBAL,
    "kill": (Option("all", "all", "flag", "", "", "with KILL: all processes at once, by the kernel", "a"), *GLOBAL),
    "exec": (
        Option("process", "process", "value", "FILE", "", "the program as process of config.json has it", "p"),
        Option("detach", "detach", "flag", "", "", "do not wait", "d"),
        Option("tty", "tty", "flag", "", "", "give it a terminal", "t"),
        Option("cwd", "cwd", "value", "DIR", "", "directory to start in (default /)"),
        Option("env", "env", "list", "K=V", "", "set a variable", "e"),
        Option("user", "user", "value", "UID[:GID]", "", "ids inside (default 0:0)", "u"),
        *(option for option in _CREATE if option.name in ("pid-file", "console-socket")),
        *GLOBAL,
    ),
    "pause": GLOBAL,
    "resume": GLOBAL,
    "delete": (Option("force", "force", "flag", "", "", "kill it first if it has not stopped", "f"), *GLOBAL),
    "run": (*_CREATE, Option("detach", "detach", "flag", "", "", "do not wait, and do not delete", "d"), *GLOBAL),
    "list": (_FORMAT, Option("quiet", "quiet", "flag", "", "", "only ids", "q"), *GLOBAL),
    "spec": (
        Option("bundle", "bundle", "value", "DIR", "", "write it there (default .)", "b"),
        Option("rootless", "rootless", "flag", "", "", "accepted: it always is"),
        *GLOBAL,
    ),
    "features": GLOBAL,
}}  # fmt: skip
FLAGS: dict[str, tuple[Option, ...]] = {}
PROGRAMS: tuple[str, ...] = ()
USAGE: dict[str, str] = {"oci": "[OPTIONS] COMMAND [ID]"}
ABOUT: dict[str, str] = {"oci": (
    "An OCI runtime for engines without root: bundles with a config.json, as runc and crun take them. "
    "`podman --runtime $(command -v pysandbox-oci)` uses it. What a sandbox without root cannot do is an error that "
    "names its place in config.json, before anything is made."
)}  # fmt: skip
EXAMPLES: dict[str, str] = {"oci": """\
  pysandbox oci spec && mkdir rootfs          a bundle to start from
  pysandbox oci run --bundle . box            run it
  podman --runtime /usr/bin/pysandbox-oci run --rm IMAGE COMMAND"""}
