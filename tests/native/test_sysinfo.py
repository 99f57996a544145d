"""The listener's part of the protocol: steps that do not fit each other run nothing unlocked and hang nothing."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox import Sandbox

PLAN = struct.Struct("=8I")
STEP = struct.Struct("=4IiI3Q")

Steps = list[bytes]


def row(op: int, **fields: int) -> bytes:
    named = {"flags": 0, "text": 0, "text2": 0, "fd": -1, "mode": 0, "a": 0, "b": 0, "c": 0, **fields}
    return STEP.pack(op, *named.values())


ALL = 2**64 - 1
ANSWER = row(lib.PYSB_SYSINFO, a=64 << 20, b=0)
LISTEN = row(lib.PYSB_LISTEN, flags=1)


def op(step: bytes) -> int:
    return int(STEP.unpack(step)[0])


def ask(one: Any, run: Any, init: Callable[[Steps], Steps], program: Callable[[Steps], Steps]) -> Any:
    """The run's plan with other steps; offsets are into the blob and stay as they are."""
    magic, _bytes, n_init, n_program, *rest = PLAN.unpack_from(run.run)
    table = [run.run[PLAN.size + i * STEP.size :][: STEP.size] for i in range(n_init + n_program)]
    blob = run.run[PLAN.size + len(table) * STEP.size :]
    first, second = init(table[:n_init]), program(table[n_init:])
    size = PLAN.size + (len(first) + len(second)) * STEP.size + len(blob)
    plan = b"".join([PLAN.pack(magic, size, len(first), len(second), *rest), *first, *second, blob])
    return one.ask(run.request(run_bytes=len(plan)), run.setup + plan)


def before(kind: int, *new: bytes) -> Callable[[Steps], Steps]:
    def change(steps: Steps) -> Steps:
        at = next(i for i, step in enumerate(steps) if op(step) == kind)
        return [*steps[:at], *new, *steps[at:]]

    return change


def same(steps: Steps) -> Steps:
    return steps


@pytest.fixture(scope="module")
def pages_run(pack: Any) -> Any:
    return pack(["/usr/bin/getconf", "_PHYS_PAGES"])


def refused(answer: Any) -> None:
    assert answer.ended and answer.errors == [errno.EBADMSG] and not answer.output


def test_both_ends(wire: Callable[..., Any], pages_run: Any) -> None:
    answer = ask(wire(), pages_run, lambda s: [*s, ANSWER], before(lib.PYSB_STARTED, LISTEN))
    assert lib.PYSB_ENDED in answer.kinds and int(answer.output) * 4096 == 64 << 20


def test_the_init_alone(wire: Callable[..., Any], pages_run: Any) -> None:
    """It sees the end of the socket and waits for the program as ever."""
    answer = ask(wire(), pages_run, lambda s: [*s, ANSWER], same)
    assert lib.PYSB_ENDED in answer.kinds and int(answer.output) * 4096 > 64 << 20


def test_the_program_alone(wire: Callable[..., Any], pages_run: Any) -> None:
    answer = ask(wire(), pages_run, same, before(lib.PYSB_STARTED, LISTEN))
    assert answer.ended and answer.errors == [errno.EBADF] and not answer.output


def test_a_sandbox_twice_told(wire: Callable[..., Any], pages_run: Any) -> None:
    answer = ask(wire(), pages_run, lambda s: [*s, ANSWER, ANSWER], before(lib.PYSB_STARTED, LISTEN))
    assert lib.PYSB_ENDED in answer.kinds and int(answer.output) * 4096 == 64 << 20


@pytest.mark.parametrize("place", [lib.PYSB_SESSION, lib.PYSB_DROP_CAPS, lib.PYSB_NO_NEW_PRIVS, lib.PYSB_SECCOMP,
                                   lib.PYSB_EXEC])  # fmt: skip
def test_the_listener_has_one_place(place: int, wire: Callable[..., Any], pages_run: Any) -> None:
    refused(ask(wire(), pages_run, lambda s: [*s, ANSWER], before(place, LISTEN)))


def test_one_listener(wire: Callable[..., Any], pages_run: Any) -> None:
    refused(ask(wire(), pages_run, lambda s: [*s, ANSWER], before(lib.PYSB_STARTED, LISTEN, LISTEN)))


@pytest.mark.parametrize("fields", [{"fd": -1}, {"fd": 1}, {"fd": 2**31 - 1}, {"fd": 0, "a": 3}, {"fd": 0, "a": ALL}])
def test_gauges_are_checked(fields: dict[str, int], wire: Callable[..., Any], pages_run: Any) -> None:
    gauge = row(lib.PYSB_GAUGE, **fields)
    refused(ask(wire(), pages_run, lambda s: [*s, ANSWER, gauge], before(lib.PYSB_STARTED, LISTEN)))


@pytest.mark.parametrize(
    "answer_step",
    [
        row(lib.PYSB_SYSINFO, flags=2**32 - 1, a=ALL, b=ALL, c=ALL),
        row(lib.PYSB_SYSINFO),
        row(lib.PYSB_SYSINFO, a=1, b=2**63, c=2**63),
    ],
)
def test_figures_at_the_edges(answer_step: bytes, wire: Callable[..., Any], pages_run: Any) -> None:
    """Also a gauge that is no file of a cgroup: fd 0 is the memfd of the output."""
    gauges = [row(lib.PYSB_GAUGE, fd=0, a=a, flags=1) for a in range(lib.PYSB_GAUGES)]
    one = wire()
    for more in ([], gauges):
        answer = ask(one, pages_run, lambda s, m=more: [*s, answer_step, *m], before(lib.PYSB_STARTED, LISTEN))
        assert lib.PYSB_ENDED in answer.kinds and answer.output.strip().isdigit()


def test_in_the_setup_it_does_no_harm(wire: Callable[..., Any], pages_run: Any) -> None:
    """Python never packs it there; a sandbox made ahead with it serves a run that does not know of it."""
    magic, _bytes, n_init, zero, *rest = PLAN.unpack_from(pages_run.setup)
    table = [pages_run.setup[PLAN.size + i * STEP.size :][: STEP.size] for i in range(n_init)]
    blob = pages_run.setup[PLAN.size + n_init * STEP.size :]
    size = PLAN.size + (n_init + 1) * STEP.size + len(blob)
    setup = b"".join([PLAN.pack(magic, size, n_init + 1, zero, *rest), *table, ANSWER, blob])
    one = wire()
    for _ in range(3):
        answer = one.ask(pages_run.request(setup_bytes=len(setup)), setup + pages_run.run)
        assert lib.PYSB_ENDED in answer.kinds, answer.errors
        assert int(answer.output) * 4096 > 64 << 20


def test_made_ahead_and_one_after_the_other() -> None:
    """The listener of one run is not that of the next, also where sandboxes of one kind take turns."""
    with Sandbox() as box:
        for n in range(12):
            result = box.run(["getconf", "_PHYS_PAGES"], sysinfo=("on", "off")[n % 2])
            assert result.ok and result.sysinfo is (n % 2 == 0)
