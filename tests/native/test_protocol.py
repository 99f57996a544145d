"""The spawner and hostile, torn or mistaken requests: it answers or hangs up, runs nothing unlocked, and lives."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sandbox.native._core import ffi, lib

# Each example is a real sandbox or the refusal of one; a fixed seed, so that a failure comes again.
BOUNDED = settings(
    max_examples=150, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

PLAN = struct.Struct("=8I")
STEP = struct.Struct("=4IiI3Q")
EDGES = [0, 1, 2, 7, 8, 31, 32, 47, 48, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF]
LOCK = [lib.PYSB_DROP_CAPS, lib.PYSB_NO_NEW_PRIVS, lib.PYSB_STARTED, lib.PYSB_SECCOMP, lib.PYSB_EXEC]


def test_layout_is_the_one_of_the_header() -> None:
    assert PLAN.size == ffi.sizeof("struct pysb_plan")
    assert STEP.size == ffi.sizeof("struct pysb_step")


def check(answer: Any) -> None:
    """Whatever was sent: an end, and if a program ran after all, then locked down."""
    assert answer.ended, f"no end of the run: {answer.kinds}"
    if lib.PYSB_SPAWNED in answer.kinds:  # an init never goes without a word, unless it has crashed
        assert {lib.PYSB_FAILED, lib.PYSB_ENDED} & {*answer.kinds}, answer.kinds
    for line in answer.output.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(value, 16) == 0, line
        if name == "NoNewPrivs":
            assert value.strip() == "1"


def still_good(one: Any, run: Any) -> None:
    assert one.alive()
    answer = one.good(run)
    assert lib.PYSB_ENDED in answer.kinds, (answer.kinds, answer.errors)
    assert b"NoNewPrivs:\t1" in answer.output


def refused(answer: Any) -> None:
    check(answer)
    assert not answer.began and not answer.output
    assert answer.errors == [errno.EBADMSG]


def test_a_good_run(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    for _ in range(5):
        still_good(one, status_run)


def test_random_datagrams(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()

    @BOUNDED
    @given(st.binary(max_size=200), st.integers(0, 250))
    def fuzz(request: bytes, extra: int) -> None:
        if not request:
            return  # an empty datagram is the end of file, as documented
        check(one.ask(request, b"", extra_fds=extra))

    fuzz()
    still_good(one, status_run)


def test_request_fields(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    plans = status_run.setup + status_run.run
    sizes = st.sampled_from([*EDGES, len(status_run.setup), len(status_run.run), len(plans)]) | st.integers(
        0, 2**32 - 1
    )
    words = st.fixed_dictionaries(
        {},
        optional={
            "magic": sizes, "flags": st.integers(0, 15), "setup_bytes": sizes, "run_bytes": sizes,
            "setup_fds": sizes, "cgroup_fd": st.integers(-(2**31), 2**31 - 1),
            "clone_flags": st.integers(0, 2**64 - 1) | st.sampled_from([1 << n for n in range(64)]),
        },
    )  # fmt: skip

    @BOUNDED
    @example({"clone_flags": 0x100}, 0, 0)  # CLONE_VM: an init on the spawner's own stack
    @example({"clone_flags": 0x8000}, 0, 0)  # CLONE_PARENT: an init that the spawner cannot wait for
    @example({"setup_fds": 0xFFFFFFFF}, 0, 0)
    @given(words, st.integers(0, 245), st.integers(0, 3))
    def fuzz(changed: dict[str, int], extra: int, dropped: int) -> None:
        if changed.get("run_bytes") == 0:
            return  # that is the message that names cgroup directories: tested below
        check(one.ask(status_run.request(**changed), plans, extra_fds=extra, drop_fds=dropped))

    fuzz()
    still_good(one, status_run)


@pytest.mark.parametrize("flag", [1 << n for n in range(8, 64)])
def test_only_namespaces_are_cloned(flag: int, wire: Callable[..., Any], status_run: Any) -> None:
    namespaces = 0x10000000 | 0x20000000 | 0x00020000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
    one = wire()
    answer = one.ask(
        status_run.request(clone_flags=status_run.plan.clone_flags | flag), status_run.setup + status_run.run
    )
    if flag & namespaces:
        check(answer)
    else:
        refused(answer)
    still_good(one, status_run)


@pytest.mark.parametrize("changed", [
    {"clone_flags": 0x100},  # CLONE_VM: an init on the spawner's own stack
    {"clone_flags": 1 << 7}, {"clone_flags": 1 << 63}, {"flags": lib.PYSB_REQ_JOIN},
])  # fmt: skip
def test_a_guess_makes_nothing_but_a_sandbox(
    changed: dict[str, int], wire: Callable[..., Any], status_run: Any
) -> None:
    """What Python guesses comes out of a file, of another version perhaps."""
    one = wire()
    one.ask(status_run.request(run_bytes=0, **changed), status_run.setup)
    # by its answer it is done with the guess
    refused(one.ask(status_run.request(clone_flags=0x100), status_run.setup + status_run.run))
    children = Path(f"/proc/{one.spawner.pid}/task/{one.spawner.pid}/children").read_text()
    assert children == "" and one.alive()
    still_good(one, status_run)


def test_the_wrong_number_of_fds(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    plans = status_run.setup + status_run.run
    refused(one.ask(status_run.request(), plans, drop_fds=1))  # the run plan names fd 0
    check(one.ask(status_run.request(), plans, drop_fds=2))
    check(one.ask(status_run.request(), plans, drop_fds=3))
    assert lib.PYSB_ENDED in one.ask(status_run.request(), plans, extra_fds=239).kinds
    check(one.ask(status_run.request(), plans, extra_fds=240))  # more than there is room for: cut off by the kernel
    still_good(one, status_run)


def test_fds_that_nobody_wanted_are_closed(wire: Callable[..., Any], status_run: Any) -> None:
    """A reader sees the end of a pipe as soon as the spawner has refused what carried it."""
    one = wire()
    read, write = os.pipe()
    one.send(b"nonsense", [write] * 100)
    one.send(status_run.request(magic=1), [write] * 100)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:  # it may have been told of the failure: the first fd is the report socket
        assert len(pipe.read()) <= 2 * 64
    still_good(one, status_run)


def test_too_many_cgroup_directories(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    for _ in range(20):
        one.ask(status_run.request(run_bytes=0), b"pysandbox-of-nobody-", extra_fds=10)
    still_good(one, status_run)


def test_truncated_plans(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    setup, run = status_run.setup, status_run.run

    @BOUNDED
    @given(st.integers(0, len(setup) + len(run) - 1), st.booleans())
    def fuzz(length: int, honest: bool) -> None:
        plans = (setup + run)[:length]
        changed = {}
        if honest:  # the request says how short they are; the header inside does not
            changed = {"setup_bytes": min(length, len(setup)), "run_bytes": max(1, length - len(setup))}
        refused(one.ask(status_run.request(**changed), plans))

    fuzz()
    still_good(one, status_run)


def test_bit_flips(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    whole = status_run.setup + status_run.run

    @BOUNDED
    @given(st.lists(st.integers(0, len(whole) * 8 - 1), min_size=1, max_size=8))
    def fuzz(bits: list[int]) -> None:
        spoilt = bytearray(whole)
        for bit in bits:
            spoilt[bit // 8] ^= 1 << bit % 8
        check(one.ask(status_run.request(), bytes(spoilt)))

    fuzz()
    still_good(one, status_run)


def test_spoilt_heads_and_steps(wire: Callable[..., Any], status_run: Any) -> None:
    """Any 32-bit word of the headers and step tables replaced by one at an edge."""
    one = wire()
    plans = {"setup": status_run.setup, "run": status_run.run}
    tables = {name: (PLAN.size + STEP.size * sum(PLAN.unpack_from(plan)[2:4])) // 4 for name, plan in plans.items()}

    @BOUNDED
    @given(st.sampled_from(sorted(plans)), st.data())
    def fuzz(name: str, data: Any) -> None:
        spoilt = {n: bytearray(plan) for n, plan in plans.items()}
        blob = len(plans[name]) - 4 * tables[name]
        word = data.draw(st.integers(0, tables[name] - 1))
        value = data.draw(st.sampled_from([*EDGES, blob - 1, blob, blob + 1]) | st.integers(0, 2**32 - 1))
        struct.pack_into("=I", spoilt[name], 4 * word, value)
        check(one.ask(status_run.request(), bytes(spoilt["setup"] + spoilt["run"])))

    fuzz()
    still_good(one, status_run)


def test_a_stream_that_an_earlier_step_has_closed(wire: Callable[..., Any], status_run: Any) -> None:
    """It is not /dev/null."""
    attach = STEP.pack(lib.PYSB_ATTACH, 0, 0, 0, status_run.roles["stdout"], 0, 0, 0, 0)
    answer = ask_rebuilt(wire(), status_run, lambda steps: [attach, *steps])
    check(answer)
    assert answer.errors == [errno.EBADF] and not answer.began


# ---- namespaces are entered by a run that joins a sandbox, before all else ----

INTO_A_NETWORK = STEP.pack(lib.PYSB_JOIN, 0, 0, 0, 0, 0, 0x40000000, 0, 0)


def test_a_sandbox_that_is_made_enters_none(wire: Callable[..., Any], status_run: Any) -> None:
    setup = bytearray(status_run.setup)
    setup[PLAN.size + STEP.size : PLAN.size + 2 * STEP.size] = INTO_A_NETWORK
    answer = wire().ask(status_run.request(setup_fds=1), bytes(setup) + status_run.run, extra_fds=1)
    refused(answer)


def test_a_run_enters_none(wire: Callable[..., Any], status_run: Any) -> None:
    magic, size, n_init, *rest = PLAN.unpack_from(status_run.run)
    head = PLAN.pack(magic, size + STEP.size, n_init + 1, *rest)
    run = head + INTO_A_NETWORK + status_run.run[PLAN.size :]
    refused(wire().ask(status_run.request(run_bytes=len(run)), status_run.setup + run))


# ---- the way into the program is fixed ----


def rebuilt(run: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """The run plan with another list of program steps; offsets are into the blob and stay as they are."""
    magic, _bytes, n_init, n_program, *rest = PLAN.unpack_from(run)
    table = [run[PLAN.size + i * STEP.size :][: STEP.size] for i in range(n_init + n_program)]
    blob = run[PLAN.size + len(table) * STEP.size :]
    program = change(table[n_init:])
    size = PLAN.size + (n_init + len(program)) * STEP.size + len(blob)
    return b"".join([PLAN.pack(magic, size, n_init, len(program), *rest), *table[:n_init], *program, blob])


def op(step: bytes) -> int:
    return int(STEP.unpack(step)[0])


def ask_rebuilt(one: Any, run: Any, change: Callable[[list[bytes]], list[bytes]]) -> Any:
    spoilt = rebuilt(run.run, change)
    return one.ask(run.request(run_bytes=len(spoilt)), run.setup + spoilt)


def test_rebuilding_alone_changes_nothing(wire: Callable[..., Any], status_run: Any) -> None:
    answer = ask_rebuilt(wire(), status_run, lambda steps: steps)
    assert lib.PYSB_ENDED in answer.kinds and b"Seccomp:\t2" in answer.output


@pytest.mark.parametrize("missing", [o for o in LOCK if o != lib.PYSB_SECCOMP])
def test_no_step_of_the_lock_may_be_missing(missing: int, wire: Callable[..., Any], status_run: Any) -> None:
    refused(ask_rebuilt(wire(), status_run, lambda steps: [s for s in steps if op(s) != missing]))


@pytest.mark.parametrize("first", range(len(LOCK) - 1))
def test_the_lock_has_one_order(first: int, wire: Callable[..., Any], status_run: Any) -> None:
    def swap(steps: list[bytes]) -> list[bytes]:
        at = len(steps) - len(LOCK) + first
        return [*steps[:at], steps[at + 1], steps[at], *steps[at + 2 :]]

    refused(ask_rebuilt(wire(), status_run, swap))


@pytest.mark.parametrize("twice", [lib.PYSB_EXEC, lib.PYSB_STARTED, lib.PYSB_SECCOMP])
def test_nothing_is_executed_before_the_lock(twice: int, wire: Callable[..., Any], status_run: Any) -> None:
    def early(steps: list[bytes]) -> list[bytes]:
        return [next(s for s in steps if op(s) == twice), *steps]

    refused(ask_rebuilt(wire(), status_run, early))


def test_nothing_comes_after_exec(wire: Callable[..., Any], status_run: Any) -> None:
    refused(ask_rebuilt(wire(), status_run, lambda steps: [*steps, steps[0]]))


@pytest.mark.parametrize("length", [1, 7, 9, 8 * 0x10000, 2**32 - 8, 2**32, 2**63, 2**64 - 8])
def test_lengths_of_a_filter(length: int, wire: Callable[..., Any], status_run: Any) -> None:
    def change(steps: list[bytes]) -> list[bytes]:
        fields = list(STEP.unpack(steps[-2]))
        assert fields[0] == lib.PYSB_SECCOMP
        fields[6] = length
        return [*steps[:-2], STEP.pack(*fields), steps[-1]]

    refused(ask_rebuilt(wire(), status_run, change))


def test_an_empty_filter_runs_nothing(wire: Callable[..., Any], status_run: Any) -> None:
    """A length of 0 is sound as a number; the kernel refuses it, and the program must not run without."""

    def change(steps: list[bytes]) -> list[bytes]:
        fields = list(STEP.unpack(steps[-2]))
        fields[6] = 0
        return [*steps[:-2], STEP.pack(*fields), steps[-1]]

    answer = ask_rebuilt(wire(), status_run, change)
    check(answer)
    assert answer.failed and not answer.output


@pytest.mark.parametrize("where", ["setup", "run"])
def test_ops_of_the_other_phase(where: str, wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    for number in (0, 40, 63, 64 if where == "setup" else 1, 200, 2**32 - 1):
        plans = {"setup": bytearray(status_run.setup), "run": bytearray(status_run.run)}
        n_init = PLAN.unpack_from(plans[where])[2] if where == "run" else 0
        struct.pack_into("=I", plans[where], PLAN.size + n_init * STEP.size, number)
        refused(one.ask(status_run.request(), bytes(plans["setup"] + plans["run"])))
    still_good(one, status_run)


def test_programs_given_in_a_setup_are_refused(wire: Callable[..., Any], status_run: Any) -> None:
    run = status_run.run
    answer = wire().ask(status_run.request(setup_bytes=len(run)), run + run)
    refused(answer)


def test_many_requests_at_once(wire: Callable[..., Any], status_run: Any) -> None:
    """A burst of good and bad ones: every report socket ends, and the good ones ran."""
    import threading

    one = wire()
    answers: list[tuple[bool, Any]] = []

    def ask(good: bool) -> None:
        request = status_run.request() if good else status_run.request(setup_bytes=40)
        answers.append((good, one.ask(request, status_run.setup + status_run.run, seconds=30)))

    threads = [threading.Thread(target=ask, args=(n % 2 == 0,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16
    for good, answer in answers:
        if good:
            assert lib.PYSB_ENDED in answer.kinds and b"NoNewPrivs:\t1" in answer.output
        else:
            refused(answer)
