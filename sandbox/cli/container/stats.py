"""``pysandbox stats [CONTAINER...]``: what they use, again and again."""

from __future__ import annotations

import os
import sys
import time

from ...errors import HostError, RequestError
from ...units import parse_duration
from ..main import EXIT_FAULT, tell
from .names import find, parse
from .rows import size, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...containers import Container
    from ...containers.stats import Use

HEAD = ("ID", "NAME", "CPU %", "MEMORY", "LIMIT", "MEM %", "PIDS", "NET IN", "NET OUT")
SHORT_ID = 12
FIRST_LOOK_S = 0.25  # between the two looks of --no-stream: 25 ticks of the slowest clock that counts CPU time
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"  # ECMA-48: CUP, EL, ED

Row = tuple["Container", str, "Use"]


def main(words: list[str]) -> int:
    """A table a second on a terminal, or one; with ``--json`` a line of JSON for each container."""
    values, names = parse("stats", words)
    interval_s = parse_duration("--interval", values.get("interval", "1s")) / 1e9
    json_to = values.get("json")
    if json_to is not None:
        from .. import jsonfile

        json_fd = jsonfile.open_for(json_to)
    watch = _Watch(names)
    watch.look()
    once = bool(values.get("no_stream"))
    screen = json_to is None and not once and os.isatty(1)
    try:
        if screen:
            _write("\x1b[2J")
        time.sleep(FIRST_LOOK_S)
        while True:
            rows = watch.look()
            if json_to is not None:
                jsonfile.write(json_fd, "".join(_line(row) for row in rows), json_to)
            else:
                text = table(HEAD, [_cells(row) for row in rows])
                _write(_HOME + text.replace("\n", f"{_CLEAR_LINE}\n") + _CLEAR_REST if screen else text)
            if once or (names and not rows):
                return EXIT_FAULT if watch.failed else 0
            time.sleep(interval_s)
    except KeyboardInterrupt:  # the way to end it
        return 0


class _Watch:
    """The containers that were named, or whatever runs; each with its last counters."""

    def __init__(self, names: list[str]) -> None:
        self.failed = False
        self._before: dict[str, dict[str, Any]] = {}
        self._named: list[Container] | None = None
        if names:
            self._named = []
            for name in names:
                try:
                    container = find(name)
                    if not container.running:
                        raise RequestError("container", container.name, "is not running")
                    self._named.append(container)
                except RequestError as error:
                    self._fail(name, error)

    def look(self) -> list[Row]:
        """One look at all of them; those that have ended meanwhile are left out."""
        from ...containers.stats import use

        rows: list[Row] = []
        for container in tuple(self._named) if self._named is not None else _running():
            try:
                now = container.call("stats")
                name = container.name
            except RequestError:
                self._before.pop(container.id, None)
                continue
            except HostError as error:
                self._fail(container.name, error)
                if self._named is not None:
                    self._named.remove(container)
                continue
            rows.append((container, name, use(now, self._before.get(container.id))))
            self._before[container.id] = now
        return rows

    def _fail(self, name: str, error: Exception) -> None:
        if not self.failed or self._named is not None:  # without names once is enough
            tell(f"{name}: {error}")
        self.failed = True


def _running() -> list[Container]:
    from ...containers import list_containers

    return [container for container in list_containers() if container.running]


def _cells(row: Row) -> tuple[str, ...]:
    container, name, use = row
    share = use.memory_share
    return (
        container.id[:SHORT_ID], name, "-" if use.cpu is None else f"{100 * use.cpu:.1f}", _size(use.memory_bytes),
        _size(use.memory_limit_bytes), "-" if share is None else f"{100 * share:.1f}",
        "-" if use.pids is None else f"{use.pids}" if use.pids_limit is None else f"{use.pids}/{use.pids_limit}",
        _size(use.received_bytes), _size(use.sent_bytes),
    )  # fmt: skip


def _size(count: int | None) -> str:
    return "-" if count is None else size(count)


def _line(row: Row) -> str:
    import json

    container, name, use = row
    return json.dumps({"id": container.id, "name": name, **use.asdict(), "memory_share": use.memory_share}) + "\n"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
