"""``pysandbox volume ls|create|inspect|rm|prune``"""

from __future__ import annotations

from ...containers import volumes
from ...errors import RequestError, SandboxError
from ..flags import mixed
from ..main import EXIT_FAULT, tell
from ..tables.run import SUBCOMMANDS, SUBFLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def main(words: list[str]) -> int:
    """The subcommand of this name."""
    what, rest = (words[0], words[1:]) if words else ("", [])
    if what not in SUBCOMMANDS["volume"]:
        raise RequestError("volume", what, f"expected {', '.join(SUBCOMMANDS['volume'])}; see pysandbox help volume")
    values, names = mixed("volume", SUBFLAGS["volume"][what], rest, "volume")
    takes_names = what in ("create", "inspect", "rm")
    if bool(names) != takes_names:
        raise RequestError(f"volume {what}", " ".join(names), "expected names" if takes_names else "takes no names")
    known: dict[str, Callable[[dict[str, Any], Sequence[str]], int]] = {
        "ls": _ls, "create": _create, "inspect": _inspect, "rm": _rm, "prune": _prune}  # fmt: skip
    return known[what](values, names)


def _ls(values: dict[str, Any], _names: Sequence[str]) -> int:
    found = [volumes.describe(name) for name in volumes.everyone()]
    if values.get("json"):
        import json

        print(json.dumps(found, indent=2))
        return 0
    from ..columns import columns

    for line in columns([(v["name"], ", ".join(v["containers"]) or "-") for v in found], ("NAME", "CONTAINERS")):
        print(line)
    return 0


def _create(values: dict[str, Any], names: Sequence[str]) -> int:
    labels = {}
    for word in values.get("labels", ()):
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise RequestError("--label", word, "expected NAME=VALUE")
        labels[name] = value
    for name in names:
        if not volumes.create(name, labels):
            raise RequestError("volume", name, "is there already")
        print(name)
    return 0


def _inspect(_values: dict[str, Any], names: Sequence[str]) -> int:
    import json

    print(json.dumps([volumes.describe(name) for name in names], indent=2))
    return 0


def _rm(_values: dict[str, Any], names: Sequence[str]) -> int:
    status = 0
    for name in names:
        try:
            volumes.remove(name)
            print(name)
        except SandboxError as error:
            tell(str(error))
            status = EXIT_FAULT
    return status


def _prune(_values: dict[str, Any], _names: Sequence[str]) -> int:
    for name in volumes.prune():
        print(name)
    return 0
