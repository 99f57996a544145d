"""``inside/copying.py`` in a sandbox of its own, between two trees of which at least one is a stranger's."""

from __future__ import annotations

import os

from ..errors import HostError
from ..images.helper import INSIDE, PYTHON, number, report_of, texts
from ..pipeline import Sandbox
from ..record import Record
from ..request import CAPTURE, Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

OURS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside")
LIMIT_FILES = 200_000
_MEMORY_BYTES = 512 << 20
_WALL_S = 3600
_BOOT = (
    "import sys; sys.path.insert(0, '/pysandbox'); sys.dont_write_bytecode = True; "
    "from inside import start; from ours import copying; "
    f"sys.exit(start.run(copying.main, sys.argv[1:], {_MEMORY_BYTES}))"
)


class Copied(Record):
    """What was copied. ``skipped``: of no kind that is; ``unmatched``: patterns that nothing matched."""

    files: int
    bytes: int
    skipped: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


def copy(
    source: str | int,
    target: str | int,
    what: str,
    value: str,
    *,
    patterns: Sequence[str] = (),
    links: bool,
    limit_bytes: int,
    ids: str = "single",
) -> Copied:
    """From one directory to another, each a path of the host or an fd of a detached mount.

    ``what`` and ``value`` are for messages.

    Raises RequestError where there is more than ``limit_bytes``, and what a Sandbox raises.
    """
    if not os.access(PYTHON, os.X_OK):
        raise HostError(f"{PYTHON} is missing, which copies files in a sandbox", "apt install python3")
    caps = ("DAC_OVERRIDE", "FOWNER") if ids == "single" else ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
    volumes: list[Any] = [
        Mount(source=INSIDE, target="/pysandbox/inside"),
        Mount(source=OURS, target="/pysandbox/ours"),
        Mount(source=source, target="/from"),
        Mount(source=target, target="/to", writable=True),
    ]
    with Sandbox() as sandbox:
        result = sandbox.run(
            [
                PYTHON,
                "-I",
                "-S",
                "-B",
                "-c",
                _BOOT,
                str(limit_bytes),
                str(LIMIT_FILES),
                "links" if links else "nolinks",
                *(os.fsencode(pattern).hex() for pattern in patterns),
            ],
            env={"LANG": "C.UTF-8"},
            workdir="/",
            volumes=volumes,
            stdout=CAPTURE,
            stderr=CAPTURE,
            user=0,
            ids=ids,
            net="none",
            cap_add=caps,
            wall=_WALL_S,
            pids=16,
            nofile=4096,
            landlock="off",
            proc="plain",
            sysinfo="off",
            denials="off",
        )
    report = report_of(result, what, value)
    return Copied(
        files=number(report, "files"),
        bytes=number(report, "bytes"),
        skipped=texts(report, "skipped"),
        unmatched=texts(report, "unmatched"),
    )
