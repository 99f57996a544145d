"""``pysandbox top CONTAINER``: its processes."""

from __future__ import annotations

import sys

from ...errors import RequestError
from .names import one
from .rows import short, size, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...containers import Container
    from ...containers.processes import Process

HEAD = ("PID", "PPID", "USER", "STATE", "%CPU", "RSS", "TIME", "COMMAND")
COMMAND = 500  # its words are the container's to choose


def main(words: list[str]) -> int:
    """A table with a line for each of them, numbers as they are inside."""
    values, container = one("top", words)
    found = of(container)
    if "json" in values:
        import json

        from .. import jsonfile

        fd = jsonfile.open_for(values["json"])
        jsonfile.write(fd, json.dumps([process.asdict() for process in found], indent=2) + "\n", values["json"])
    else:
        sys.stdout.write(table(HEAD, [_row(process) for process in found]))
    return 0


def of(container: Container) -> list[Process]:
    """The processes of a container that runs. Raises RequestError."""
    from ...containers.processes import processes

    about = container.call("about")
    if not about.get("pid"):
        raise RequestError("container", container.name, "has no processes: it is not running")
    return processes(about["pid"], about.get("namespaces", {}).get("pid"))


def _row(process: Process) -> tuple[str, ...]:
    return (
        str(process.pid), str(process.parent), "?" if process.uid is None else str(process.uid), process.state,
        f"{100 * process.cpu:.1f}", size(process.rss_bytes), clock(process.cpu_ns),
        short(process.command, COMMAND),
    )  # fmt: skip


def clock(ns: int) -> str:
    """``1:02.50``: minutes, seconds and hundredths, as top(1) has it."""
    hundredths = ns // 10_000_000
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"
