"""``pysandbox network create|ls|inspect|rm|prune``"""

from __future__ import annotations

import json

from ..errors import RequestError, SandboxError
from ..networks import store
from .flags import mixed
from .main import EXIT_FAULT, tell
from .tables.network import NETWORK_COMMANDS, NETWORK_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def main(words: list[str]) -> int:
    """The subcommand of this name."""
    what, rest = (words[0], words[1:]) if words else ("", [])
    if what not in NETWORK_COMMANDS:
        raise RequestError("network", what, f"expected {', '.join(NETWORK_COMMANDS)}; see pysandbox help network")
    values, names = mixed("network", NETWORK_FLAGS[what], rest, "network")
    takes_names = what in ("create", "inspect", "rm")
    if bool(names) != takes_names:
        raise RequestError(f"network {what}", " ".join(names), "expected a name" if takes_names else "takes no names")
    known: dict[str, Callable[[dict[str, Any], Sequence[str]], int]] = {
        "create": _create, "ls": _ls, "inspect": _inspect, "rm": _rm, "prune": _prune}  # fmt: skip
    return known[what](values, names)


def _create(values: dict[str, Any], names: Sequence[str]) -> int:
    if len(names) > 1:
        raise RequestError("network create", " ".join(names), "takes one name")
    made = store.create(names[0], subnet=values.get("subnet", ""), internal=bool(values.get("internal")))
    print(made.name)
    return 0


def _described(name: str) -> dict[str, Any]:
    network = store.find(name)
    with store.locked(name) as path:
        members = store.members(path)
    return {
        "name": network.name,
        "subnet": network.subnet,
        "internal": network.internal,
        "members": [{"name": member.name, "address": member.address} for member in members],
    }


def _ls(values: dict[str, Any], _names: Sequence[str]) -> int:
    found = [_described(network.name) for network in store.networks()]
    if values.get("json"):
        print(json.dumps(found, indent=2))
        return 0
    from .columns import columns

    rows = [
        (n["name"], n["subnet"], "yes" if n["internal"] else "no", ", ".join(m["name"] for m in n["members"]) or "-")
        for n in found
    ]
    for line in columns(rows, ("NAME", "SUBNET", "INTERNAL", "MEMBERS")):
        print(line)
    return 0


def _inspect(_values: dict[str, Any], names: Sequence[str]) -> int:
    print(json.dumps([_described(name) for name in names], indent=2))
    return 0


def _rm(_values: dict[str, Any], names: Sequence[str]) -> int:
    status = 0
    for name in names:
        try:
            store.remove(name)
        except SandboxError as error:  # the others can still go
            tell(str(error))
            status = EXIT_FAULT
        else:
            print(name)
    return status


def _prune(_values: dict[str, Any], _names: Sequence[str]) -> int:
    for name in store.prune():
        print(name)
    return 0
