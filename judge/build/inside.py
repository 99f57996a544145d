"""One compiler in one sandbox: its sources read-only, its output packed inside and handed out through a pipe.

The compiler writes to a tmpfs and not to a directory of the host's: so what it can write is bounded by one number, and
no name that a hostile compiler's input made (a link, a FIFO, a file that grows) is ever opened out here. What it
prints and the packed output go to unlinked files, of which the first bytes are read.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sandbox import HostError, Result, Sandbox

from ..facts import Limited, RunFacts
from ..language.probe import shown
from ..program import PLACE

BUILD = "/build"
PREPARED = "/prepared"
WORK = "/work"

MESSAGE_BYTES = 64 << 10
OUTPUT_BYTES = 512 << 20
# Beyond the packed output: what a compiler may print before it is ended.
PRINTED_BYTES = 64 << 20
# Compilers start processes of their own: Go as many as there are CPUs, and threads.
PIDS = 512
# A CPU second takes longer on a busy machine, and a compiler that sleeps is to be ended as well.
WALL_FACTOR, WALL_EXTRA_NS = 3, 10_000_000_000

_ENV = {"HOME": "/tmp", "TMPDIR": "/tmp"}
_TAR = ("--format=ustar", "--hard-dereference", "--numeric-owner", "--owner=0", "--group=0", "-cf", "-")


@dataclass(frozen=True)
class Order:
    """What is to be run. sources: the directory shown at PLACE; commands: one after the other, the first that fails
    ends it. packed: the directory inside that is handed out. see: of the system, besides what every sandbox shows."""

    sources: Path
    commands: Sequence[Sequence[str]]
    time_ns: int
    memory_bytes: int
    env: Mapping[str, str]
    policy: str = "compiler"
    packed: str = BUILD
    in_place: bool = False
    see: Sequence[str] = ()
    prepared: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """facts: of the run; message: what was printed, capped; packed: the archive, valid if facts.outcome is "ok"."""

    facts: RunFacts
    message: str
    packed: BinaryIO


@contextmanager
def compile_in(box: Sandbox, order: Order, scratch: Path) -> Iterator[Outcome]:
    """Raises SandboxError where no sandbox can be had; a compiler that fails is an Outcome."""
    wall_ns = WALL_FACTOR * order.time_ns + WALL_EXTRA_NS
    volumes = [f"{order.sources}:{PLACE}:ro", *shown(order.see)]
    if order.prepared is not None:
        volumes.append(f"{order.prepared}:{PREPARED}:ro")
    with tempfile.TemporaryFile(dir=scratch) as packed, tempfile.TemporaryFile(dir=scratch) as printed:
        result = box.run(
            ["/bin/sh", "-c", script(order)],
            policy=order.policy, mem=order.memory_bytes, time=f"{order.time_ns}ns", wall=f"{wall_ns}ns", pids=PIDS,
            output=OUTPUT_BYTES + PRINTED_BYTES, stack="unlimited", disk="1G", inodes=65536, nofile=4096,
            tmpfs=[f"{BUILD}:{OUTPUT_BYTES}"], volumes=volumes, workdir=WORK, env={**_ENV, **order.env},
            stdout=packed, stderr=printed,
        )  # fmt: skip
        _not_ours(result)
        limits = Limited(order.time_ns, order.time_ns, wall_ns, order.memory_bytes, OUTPUT_BYTES + PRINTED_BYTES)
        packed.seek(0)
        yield Outcome(RunFacts.of(result, limits), _message(printed), packed)


def script(order: Order) -> str:
    """For sh(1). The commands print to stderr; stdout is the archive's, on a number that they do not get."""
    commands = " && ".join(shlex.join(command) for command in order.commands) or ":"
    enter = f"cd {PLACE}" if order.in_place else f"cp -R {PLACE}/. {WORK}/ && cd {WORK}"
    return (
        f"exec 3>&1 1>&2 </dev/null\n{enter} || exit\n{{ {commands}; }} 3>&- || exit\n"
        f"exec tar {' '.join(_TAR)} -C {order.packed} . >&3"
    )


def _not_ours(result: Result) -> None:
    """A run that was never the compiler's says nothing about the sources."""
    if result.outcome in ("exec_failed", "interrupted"):
        raise HostError(f"the compiler's sandbox ended with {result.outcome}: {result.error}", "see pysandbox doctor")


def _message(printed: BinaryIO) -> str:
    size = printed.seek(0, 2)
    printed.seek(0)
    text = readable(printed.read(MESSAGE_BYTES))
    return f"{text}\n… {size} bytes in all" if size > MESSAGE_BYTES else text


def readable(data: bytes) -> str:
    """For a terminal or a page: no control characters, so that a message cannot paint over another."""
    text = data.decode("utf-8", "replace")
    for place in (f"{WORK}/", f"{PLACE}/", f"{BUILD}/"):
        text = text.replace(place, "")
    return "".join(c for c in text if c in "\n\t" or (c.isprintable() and c != "\ufeff")).strip()
