"""The listener's part of the protocol: steps that do not fit each other run nothing unlocked and hang nothing."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox import Sandbox
from sandbox.listening import Listening

PLAN = struct.Struct("=8I")
STEP = struct.Struct("=4IiI3Q")

Steps = list[bytes]


def row(op: int, **fields: int) -> bytes:
    named = {"flags": 0, "text": 0, "text2": 0, "fd": -1, "mode": 0, "a": 0, "b": 0, "c": 0, **fields}
    return STEP.pack(op, *named.values())


ALL = 2**64 - 1
ANSWER = row(lib.PYSB_SYSINFO, a=64 << 20, b=0)
LISTEN = row(lib.PYSB_LISTEN)
NUMBER = 1536
CHANNEL = row(lib.PYSB_CHANNEL, a=NUMBER)
ASKING = Listening(number=NUMBER, sysinfo=True, required=True)


def op(step: bytes) -> int:
    return int(STEP.unpack(step)[0])


def changed(plan: bytes, init: Callable[[Steps], Steps], program: Callable[[Steps], Steps]) -> bytes:
    """A plan with other steps; offsets are into the blob and stay as they are."""
    magic, _bytes, n_init, n_program, *rest = PLAN.unpack_from(plan)
    table = [plan[PLAN.size + i * STEP.size :][: STEP.size] for i in range(n_init + n_program)]
    blob = plan[PLAN.size + len(table) * STEP.size :]
    first, second = init(table[:n_init]), program(table[n_init:])
    size = PLAN.size + (len(first) + len(second)) * STEP.size + len(blob)
    return b"".join([PLAN.pack(magic, size, len(first), len(second), *rest), *first, *second, blob])


def same(steps: Steps) -> Steps:
    return steps


def ask(one: Any, run: Any, init: Callable[[Steps], Steps] = same, program: Callable[[Steps], Steps] = same,
        setup: Callable[[Steps], Steps] = same) -> Any:  # fmt: skip
    made, did = changed(run.setup, setup, same), changed(run.run, init, program)
    return one.ask(run.request(setup_bytes=len(made), run_bytes=len(did)), made + did)


def without(kind: int) -> Callable[[Steps], Steps]:
    return lambda steps: [step for step in steps if op(step) != kind]


def altered(kind: int, **fields: int) -> Callable[[Steps], Steps]:
    """The steps of this kind with other fields."""
    names = ("op", "flags", "text", "text2", "fd", "mode", "a", "b", "c")

    def change(steps: Steps) -> Steps:
        return [STEP.pack(*{**dict(zip(names, STEP.unpack(s), strict=True)), **fields}.values())
                if op(s) == kind else s for s in steps]  # fmt: skip

    return change


def before(kind: int, *new: bytes) -> Callable[[Steps], Steps]:
    def change(steps: Steps) -> Steps:
        at = next(i for i, step in enumerate(steps) if op(step) == kind)
        return [*steps[:at], *new, *steps[at:]]

    return change


@pytest.fixture(scope="module")
def pages_run(pack: Any) -> Any:
    return pack(["/usr/bin/getconf", "_PHYS_PAGES"], gauges={}, mem="64M", listening=ASKING)


@pytest.fixture(scope="module")
def plain_run(pack: Any) -> Any:
    return pack(["/usr/bin/getconf", "_PHYS_PAGES"])


def refused(answer: Any) -> None:
    assert answer.ended and answer.errors == [errno.EBADMSG] and not answer.output


def told(*steps: bytes) -> Callable[[Steps], Steps]:
    """The init's steps with these for PYSB_SYSINFO."""
    return lambda before: [*without(lib.PYSB_SYSINFO)(before), *steps]


def test_both_ends(wire: Callable[..., Any], pages_run: Any) -> None:
    answer = ask(wire(), pages_run, told(ANSWER))
    assert lib.PYSB_ENDED in answer.kinds and int(answer.output) * 4096 == 64 << 20


def test_the_init_alone(wire: Callable[..., Any], pages_run: Any, plain_run: Any) -> None:
    """It sees the end of the socket and waits for the program as ever."""
    answer = ask(wire(), plain_run, lambda s: [*s, ANSWER], setup=lambda s: [*s, LISTEN])
    assert lib.PYSB_ENDED in answer.kinds and int(answer.output) * 4096 > 64 << 20


def test_the_program_alone(wire: Callable[..., Any], pages_run: Any) -> None:
    answer = ask(wire(), pages_run, setup=without(lib.PYSB_LISTEN))
    assert answer.ended and answer.errors == [errno.EBADF] and not answer.output


def test_nothing_to_tell(wire: Callable[..., Any], pages_run: Any) -> None:
    """Asked about sysinfo(2) without figures the init lets the kernel answer."""
    answer = ask(wire(), pages_run, without(lib.PYSB_SYSINFO))
    assert lib.PYSB_ENDED in answer.kinds and int(answer.output) * 4096 > 64 << 20


def test_a_sandbox_twice_told(wire: Callable[..., Any], pages_run: Any) -> None:
    answer = ask(wire(), pages_run, told(ANSWER, ANSWER), setup=lambda s: [*s, LISTEN])
    assert lib.PYSB_ENDED in answer.kinds and int(answer.output) * 4096 == 64 << 20


@pytest.mark.parametrize("place", [lib.PYSB_NO_NEW_PRIVS, lib.PYSB_STARTED, lib.PYSB_SECCOMP, lib.PYSB_EXEC])
def test_nothing_comes_between_the_locks(place: int, wire: Callable[..., Any], pages_run: Any) -> None:
    program = lambda s: before(place, CHANNEL)(without(lib.PYSB_CHANNEL)(s))  # noqa: E731
    refused(ask(wire(), pages_run, program=program))


@pytest.mark.parametrize("program", [
    without(lib.PYSB_CHANNEL),  # a listener without a way out
    lambda s: before(lib.PYSB_SESSION, CHANNEL)(s),  # two ways out
    altered(lib.PYSB_CHANNEL, flags=1),  # to Python, while the filter's is for the init
    altered(lib.PYSB_CHANNEL, flags=2),
    altered(lib.PYSB_CHANNEL, a=2**31),
    altered(lib.PYSB_CHANNEL, a=ALL),
    without(lib.PYSB_SECCOMP),  # a way out without a listener
    altered(lib.PYSB_SECCOMP, flags=0),
    altered(lib.PYSB_SECCOMP, flags=lib.PYSB_LISTENER_PYTHON),
    altered(lib.PYSB_SECCOMP, flags=lib.PYSB_LISTENER_INIT | lib.PYSB_LISTENER_PYTHON),
    altered(lib.PYSB_SECCOMP, flags=lib.PYSB_LISTENER_OR_NOT),
    altered(lib.PYSB_SECCOMP, flags=8),
    altered(lib.PYSB_SECCOMP, b=12),
    altered(lib.PYSB_SECCOMP, b=8 * 0x10000),
    altered(lib.PYSB_SECCOMP, text2=2**32 - 8),
])  # fmt: skip
def test_a_listener_and_its_way_out_belong_together(
    program: Callable[[Steps], Steps], wire: Callable[..., Any], pages_run: Any
) -> None:
    refused(ask(wire(), pages_run, program=program))


@pytest.mark.parametrize(("fields", "error"), [
    ({"a": 1023}, errno.EBADF),  # the program's limit is 1024: it could have this number
    ({"a": 2}, errno.EEXIST),  # in use
    ({"a": 2**31 - 1}, errno.EBADF),  # above what we may have
])  # fmt: skip
def test_a_number_that_will_not_do(
    fields: dict[str, int], error: int, wire: Callable[..., Any], pages_run: Any
) -> None:
    answer = ask(wire(), pages_run, program=altered(lib.PYSB_CHANNEL, **fields))
    assert answer.ended and answer.errors == [error] and not answer.output


def test_an_empty_filter_is_none(wire: Callable[..., Any], pages_run: Any) -> None:
    """The kernel refuses it; the plan that means "no filter" has no such step."""
    answer = ask(wire(), pages_run, program=altered(lib.PYSB_SECCOMP, b=0))
    assert answer.ended and answer.errors == [errno.EINVAL] and not answer.output


@pytest.mark.parametrize("fields", [{"fd": -1}, {"fd": 1}, {"fd": 2**31 - 1}, {"fd": 0, "a": 3}, {"fd": 0, "a": ALL}])
def test_gauges_are_checked(fields: dict[str, int], wire: Callable[..., Any], pages_run: Any) -> None:
    gauge = row(lib.PYSB_GAUGE, **fields)
    refused(ask(wire(), pages_run, told(ANSWER, gauge)))


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
        answer = ask(one, pages_run, told(answer_step, *more))
        assert lib.PYSB_ENDED in answer.kinds and answer.output.strip().isdigit()


def test_in_the_setup_it_does_no_harm(wire: Callable[..., Any], plain_run: Any) -> None:
    """A sandbox made ahead with a listener's end, or with figures, serves a run that does not know of it."""
    setup = changed(plain_run.setup, lambda s: [*s, LISTEN, ANSWER], same)
    one = wire()
    for _ in range(3):
        answer = one.ask(plain_run.request(setup_bytes=len(setup)), setup + plain_run.run)
        assert lib.PYSB_ENDED in answer.kinds, answer.errors
        assert int(answer.output) * 4096 > 64 << 20


def test_made_ahead_and_one_after_the_other() -> None:
    """The listener of one run is not that of the next, also where sandboxes of one kind take turns."""
    with Sandbox() as box:
        for n in range(12):
            result = box.run(["getconf", "_PHYS_PAGES"], sysinfo=("on", "off")[n % 2])
            assert result.ok and result.sysinfo is (n % 2 == 0)
