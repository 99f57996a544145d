"""Flags and help of ``pysandbox network``; see the package."""

from __future__ import annotations

from ..options import Option

_JSON = Option("json", "json", "flag", "", "", "as JSON")

NETWORK_COMMANDS = {
    "create": ("NAME", "make one, for containers that are started with --net NAME"),
    "ls": ("[--json]", "list them"),
    "inspect": ("NAME...", "what is known of them and who is in them, as JSON"),
    "rm": ("NAME...", "remove them; one that has members stays"),
    "prune": ("", "remove all that have no members"),
}
NETWORK_FLAGS: dict[str, tuple[Option, ...]] = {
    "create": (
        Option("internal", "internal", "flag", "", "", "its members reach each other and nobody else"),
        Option("subnet", "subnet", "value", "CIDR", "", "its IPv4 addresses (default: a free /24 of 10.213.0.0/16)"),
    ),
    "ls": (_JSON,),
    "inspect": (),
    "rm": (),
    "prune": (),
}

FLAGS: dict[str, tuple[Option, ...]] = {}
SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {"network": NETWORK_COMMANDS}
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {"network": NETWORK_FLAGS}
PROGRAMS: tuple[str, ...] = ()
USAGE: dict[str, str] = {"network": "|".join(NETWORK_COMMANDS) + " ..."}
ABOUT: dict[str, str] = {
    "network": """\
Containers in a network reach each other by name. There is no daemon: a network is a record, and comes to life with
its first member. Without --internal each member has its own way to the outside, as with --net user."""
}
EXAMPLES: dict[str, str] = {
    "network": """\
    pysandbox network create backend --internal
    pysandbox run --image db --net backend --name db -d
    pysandbox run --image app --net backend -- ping -c 1 db
    pysandbox network rm backend""",
}
