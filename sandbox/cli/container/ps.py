"""``pysandbox ps``: a line for each container."""

from __future__ import annotations

import sys

from ...errors import RequestError
from .names import parse
from .rows import age, short, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ...containers.model import ContainerConfig, ContainerState

    Pair = tuple[ContainerState, ContainerConfig]

HEAD = ("ID", "NAME", "IMAGE", "COMMAND", "STATE", "CREATED", "PORTS")
SHORT_ID = 12
SHORT_COMMAND = 30
STATES = ("created", "running", "paused", "exited", "lost")


def main(words: list[str]) -> int:
    """Those that run, or with ``--all`` all of them, the newest first."""
    values, others = parse("ps", words)
    if others:
        raise RequestError("ps", others[0][:80], "takes no names; use --filter name=NAME")
    tests = [_filter(text) for text in values.get("filter", ())]
    every = values.get("all") or any(text.startswith("state=") for text in values.get("filter", ()))
    pairs = [pair for pair in _pairs() if (every or pair[0].state in ("running", "paused")) and
             all(test(pair) for test in tests)]  # fmt: skip
    if "json" in values:
        _json(values["json"], pairs)
    elif values.get("quiet"):
        digits = None if values.get("no_trunc") else SHORT_ID
        sys.stdout.write("".join(f"{state.id[:digits]}\n" for state, _ in pairs))
    else:
        sys.stdout.write(table(HEAD, [_row(pair, bool(values.get("no_trunc"))) for pair in pairs]))
    return 0


def _pairs() -> list[Pair]:
    from ...containers import list_containers

    found = []
    for container in reversed(list_containers()):
        try:
            found.append((container.state, container.config))
        except RequestError:  # removed meanwhile
            continue
    return found


def _filter(text: str) -> Callable[[Pair], bool]:
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise RequestError("--filter", text, "expected KEY=VALUE")
    if key == "name":
        return lambda pair: value in pair[0].name
    if key == "id":
        return lambda pair: pair[0].id.startswith(value)
    if key == "image":
        return lambda pair: value in pair[1].image_name or pair[1].image.partition(":")[2].startswith(value)
    if key == "state":
        if value not in STATES:
            raise RequestError("--filter", text, f"a state is one of {', '.join(STATES)}")
        return lambda pair: pair[0].state == value
    if key == "label":
        label, compared, wanted = value.partition("=")
        return lambda pair: label in pair[1].labels and (not compared or pair[1].labels[label] == wanted)
    raise RequestError("--filter", text, "the keys are name, id, image, state, label")


def command_of(config: ContainerConfig) -> str:
    """The words of its program as a shell would have them."""
    import shlex

    return shlex.join(config.argv)


def said(state: ContainerState) -> str:
    """How it is doing, and since when."""
    if state.state in ("running", "paused"):
        return f"{state.state} {age(state.started_ns)}"
    if state.state == "exited":
        why = "" if state.outcome in ("", "ok", "exited") else f", {state.outcome}"
        return f"exited ({state.exit_status}{why}) {age(state.ended_ns)} ago"
    return state.state


def _row(pair: Pair, whole: bool) -> Sequence[str]:
    state, config = pair
    command = command_of(config)
    image = config.image_name or config.image.partition(":")[2][:SHORT_ID] or "-"
    return (
        state.id if whole else state.id[:SHORT_ID], state.name, image,
        command if whole else short(command, SHORT_COMMAND), said(state), f"{age(state.created_ns)} ago",
        ", ".join(_ports(pair)),
    )  # fmt: skip


def _ports(pair: Pair) -> list[str]:
    """As they are, where it runs: the host's port may have been chosen then. Else as they were asked for."""
    state, config = pair
    if config.publish and state.state in ("running", "paused"):
        from ...containers import Container
        from .port import of, outside

        try:
            return [f"{outside(port)}->{port['guest']}/{port['protocol']}" for port in of(Container(state.id))]
        except RequestError:  # it has ended meanwhile
            pass
    return list(config.publish)


def _json(path: str, pairs: list[Pair]) -> None:
    import json

    from .. import jsonfile

    fd = jsonfile.open_for(path)
    rows: list[dict[str, Any]] = [
        {**state.asdict(), "image": config.image, "image_name": config.image_name, "argv": list(config.argv),
         "publish": list(config.publish), "labels": dict(config.labels)}
        for state, config in pairs
    ]  # fmt: skip
    jsonfile.write(fd, json.dumps(rows, indent=2) + "\n", path)
