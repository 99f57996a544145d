"""``pysandbox run [OPTIONS] [--] PROGRAM [ARGUMENTS]``"""

from __future__ import annotations

import sys

from ..errors import RequestError
from .options import OPTIONS, defaults, flagged, parse
from .signals import Signals, under_signals
from .tables.run import RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..pipeline import Sandbox
    from ..result import Result
    from ..running import Running


def main(words: list[str]) -> int:
    """Parse, run, report; the exit status of docs/cli.md."""
    return under_signals(_main, words)


def _main(words: list[str], signals: Signals) -> int:
    try:
        values, argv = parse(words, (*OPTIONS, *RUN))
        as_container = values.get("net", "none") not in ("none", "host") or any(o.field in values for o in RUN)
        if not argv and not (as_container and values.get("image")):
            raise RequestError("run", "", "no program was named; see pysandbox help run")
        json_to = values.get("json")
        if json_to is not None:
            from . import jsonfile

            json_fd = jsonfile.open_for(json_to)
        if as_container:
            box = None if values.get("detach") else _box(values)
            from .container import run as container  # while the spawner starts

            if box is None:
                return container.detached(values, argv)
            result = container.foreground(values, argv, signals, box)
        else:
            running = start(values, argv, signals)
    except RequestError as error:
        raise flagged(error) from None
    if not as_container:
        try:
            with running:
                result = wait(running, signals)
        finally:
            # Waited for: where pid 1 reaps nobody, as in many containers, each run would leave a zombie.
            from ..pipeline import default

            default().close()
    if json_to is not None:
        import json

        jsonfile.write(json_fd, json.dumps(result.to_json(), indent=2) + "\n", json_to)
    report(result, bool(values.get("quiet")))
    return result.exit_status


def _box(values: dict[str, Any]) -> Sandbox:
    """Where a container is run; with a network of its own the spawner is made for that, later."""
    if values.get("net", "none") in ("none", "host") and not values.get("publish"):
        return warm(values, ahead=False, leaf="name" in values)[0]
    from ..pipeline import default

    return default()


def report(result: Result, quiet: bool) -> None:
    """What a person should know of it, on stderr."""
    refused = result.refused and not result.ok
    plain = result.outcome in ("ok", "exited") and not (result.notes or result.hints or result.not_enforced or refused)
    if not (quiet or (plain and not (result.stdout_truncated or result.stderr_truncated))):
        from .main import tell
        from .report import lines

        for line in lines(result):
            tell(line)


def start(values: dict[str, Any], argv: list[str], signals: Signals) -> Running:
    """Launch ``argv`` with these values of options."""
    box, remember = warm(values)
    try:
        signals.check()
        running = box.start(argv, **defaults(values))
    except BaseException:
        box.close()
        raise
    remember()
    return running


def warm(values: dict[str, Any], ahead: bool = True, leaf: bool = False) -> tuple[Sandbox, Callable[[], None]]:
    """A Sandbox whose spawner starts while Python still imports the rest (2 ms that are not waited for), and what to
    call when its run has been launched. ``ahead``: is the next run likely to want the setup of the last? ``leaf``: it
    will want a cgroup, if there is one to be had."""
    from ..userns import start_spawner
    from . import early

    namespaces = values.get("isolation") != "landlock"
    kind = {"ids": values.get("ids", "single"), "user": namespaces and "user" not in values.get("without", ()),
            "net": namespaces and values.get("net") != "host" and "net" not in values.get("without", ())}  # fmt: skip
    if kind["ids"] not in ("single", "range") or not namespaces:
        kind["ids"] = "single"  # validate() refuses the value in its turn
    backend = early.backend(values, leaf)
    if backend is not None:
        kind["keeper"] = backend.keeper
    spawner = start_spawner(**kind)
    sent = None
    foreseen = ahead and spawner.writes_own_maps and (backend is None or backend.name != "v2")  # the init is born late
    if foreseen:
        from ..native import ahead as guess

        sent = guess.foresee(spawner)
    from ..pipeline import default

    box = default()
    box.adopt(spawner, **kind)
    if backend is not None:
        box.adopt_backend(values.get("cgroup", "auto"), backend)
    return box, lambda: guess.remember(spawner, sent) if foreseen else None


def wait(running: Running, signals: Signals) -> Result:
    """Pass signals on until the end of it."""
    terminal = None
    if running.spec.tty:
        from .terminal import Terminal

        terminal = Terminal()
        running.supervision.on_terminal = terminal.attach
        signals.on_resize(terminal.resize)
    signals.pass_on(running.supervision.interrupt)
    try:
        return running.wait()
    finally:
        if terminal is not None:
            terminal.restore()


if not TYPE_CHECKING and sys.platform != "linux":
    raise ImportError("pysandbox needs Linux")
