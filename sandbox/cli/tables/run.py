"""Flags of ``run`` that make a container of it, and the commands ``exec``, ``rm`` and ``volume``."""

from __future__ import annotations

from ..options import Option

_C = "Containers"
_LIMITS = "Limits"

# What ``run`` takes besides ``options.OPTIONS``; any of them makes a container.
RUN: tuple[Option, ...] = (
    Option("image", "image", "value", "NAME", _C, "its root: an image, by name, id or the beginning of an id"),
    Option("name", "name", "value", "NAME", _C, "what it is called (default: two words that are free)"),
    Option("detach", "detach", "flag", "", _C, "run it in the background and print its id", "d"),
    Option("rm", "remove", "flag", "", _C, "remove it when it ends, and what it has written"),
    Option("interactive", "interactive", "flag", "", _C, "keep its stdin open, for attach", "i"),
    Option("entrypoint", "entrypoint", "value", "PROGRAM", _C, "in place of the image's Entrypoint and Cmd"),
    Option("read-only", "read_only", "flag", "", _C, "its root cannot be written to"),
    Option("upper", "upper", "value", "disk|tmpfs|fuse", _C, "where its changes go (default disk)",
           choices=("disk", "tmpfs", "fuse")),
    Option("device", "devices", "list", "PATH", _C, "a harmless device: /dev/fuse, /dev/net/tun, /dev/kvm"),
    Option("env-file", "env_file", "list", "FILE", _C, "set variables: a line each, NAME=VALUE"),
    Option("label", "labels", "pair", "K=V", _C, "a label of the container", "l"),
    Option("stop-signal", "stop_signal", "value", "SIGNAL", _C, "what stop sends (default: the image's, or TERM)"),
    Option("publish", "publish", "list", "[IP:][HOST]:GUEST[/udp]", _C,
           "a port of the host leads to one inside", "p"),
    Option("publish-all", "publish_all", "flag", "", _C, "publish all ports that the image exposes", "P"),
    Option("allow", "allow", "list", "HOST:PORT[/udp]|dns", _C, "the only places that it may connect to"),
    Option("bandwidth", "bandwidth", "value", "UP[/DOWN]", _C, "bytes a second on its network, or 10mbit"),
)  # fmt: skip

_FORMAT = Option("json", "json", "flag", "", "", "as JSON")

FLAGS: dict[str, tuple[Option, ...]] = {
    "exec": (
        Option("detach", "detach", "flag", "", "", "do not wait for it", "d"),
        Option("interactive", "interactive", "flag", "", "", "pass our stdin on", "i"),
        Option("tty", "tty", "flag", "", "", "give it a terminal of its own", "t"),
        Option("env", "env", "pair", "K=V", "", "set a variable, beside those of the container", "e"),
        Option("user", "user", "value", "USER[:GROUP]", "", "who it is (default: as the container's program)", "u"),
        Option("workdir", "workdir", "value", "DIR", "", "directory to start in (default: the container's)", "w"),
        Option("wall", "wall", "value", "TIME", "", "wall-clock time"),
        Option("output", "output", "value", "SIZE", "", "bytes on stdout and stderr together"),
    ),
    "rm": (
        Option("force", "force", "flag", "", "", "end it first if it runs", "f"),
        Option("all", "all", "flag", "", "", "all that have ended", "a"),
    ),
}
SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "volume": {
        "ls": ("[--json]", "list them"),
        "create": ("NAME...", "make empty ones"),
        "inspect": ("NAME...", "what is known of them, as JSON"),
        "rm": ("NAME...", "remove them; what a container has stays"),
        "prune": ("", "remove all that no container has"),
    },
}
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {
    "volume": {
        "ls": (_FORMAT,),
        "create": (Option("label", "labels", "list", "K=V", "", "a label of the volume", "l"),),
        "inspect": (),
        "rm": (),
        "prune": (),
    },
}
PROGRAMS: tuple[str, ...] = ("exec",)
USAGE: dict[str, str] = {
    "exec": "[OPTIONS] CONTAINER [--] PROGRAM [ARGUMENTS]",
    "rm": "[-f] CONTAINER... | -a",
    "volume": "ls|create|inspect|rm|prune ...",
}
ABOUT: dict[str, str] = {
    "exec": """\
Runs one more program in a running container: in its namespaces, its cgroup, under its policy and its limits. Ends
with the program's exit status, as run does. If this command is killed, so is the program, unless -d was said.""",
    "rm": """\
Removes containers that have ended: the record, the log and all that they have written. Volumes with a name stay.""",
    "volume": """\
A volume with a name outlives containers. It is made, and filled with what the image has at its place, when a container
is run with -v NAME:DIR for the first time.""",
}
EXAMPLES: dict[str, str] = {
    "exec": """\
    pysandbox exec web ps
    pysandbox exec -it web sh
    pysandbox exec -e DEBUG=1 -u nobody -w /srv web ./check""",
    "rm": """\
    pysandbox rm web
    pysandbox rm -f web db
    pysandbox rm -a""",
    "volume": """\
    pysandbox volume create data
    pysandbox volume ls
    pysandbox volume rm data""",
}
