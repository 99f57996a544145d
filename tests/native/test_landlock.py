"""Landlock's part of the protocol: a plan that would leave it out runs nothing, and its order is fixed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox import landlock
from sandbox.host import probe
from tests.native.test_sysinfo import ask, before, op, refused, row, same

pytestmark = pytest.mark.skipif(probe().landlock < 2, reason="no Landlock in this kernel")

RESTRICT, CONFINE = row(lib.PYSB_RESTRICT), row(lib.PYSB_CONFINE)
RULESET = row(lib.PYSB_LANDLOCK, a=landlock.READ)


def without(kind: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda steps: [step for step in steps if op(step) != kind]


@pytest.fixture(scope="module")
def plain(pack: Any) -> Any:
    """A run without Landlock, so that each test adds what it is about."""
    return pack(["/bin/sh", "-c", "echo ran; echo > /tmp/x && echo wrote"], landlock="off")


@pytest.fixture(scope="module")
def locked(pack: Any) -> Any:
    return pack(["/bin/sh", "-c", "echo ran; echo > /tmp/x && echo wrote"], landlock="on")


def test_a_ruleset_that_allows_nothing(wire: Callable[..., Any], plain: Any) -> None:
    """What no rule allows is refused: not even the program can be executed."""
    handled = row(lib.PYSB_LANDLOCK, a=landlock.WRITE)
    answer = ask(wire(), plain, lambda s: [*s, handled], before(lib.PYSB_STARTED, RESTRICT))
    assert answer.errors == [errno.EACCES] and not answer.output


def test_a_ruleset_about_one_right(wire: Callable[..., Any], plain: Any) -> None:
    """What is not handled stays as it is."""
    handled = row(lib.PYSB_LANDLOCK, a=landlock.rights("make_dir"))
    answer = ask(wire(), plain, lambda s: [*s, handled], before(lib.PYSB_STARTED, RESTRICT))
    assert lib.PYSB_ENDED in answer.kinds and answer.output == b"ran\nwrote\n"


def test_a_ruleset_that_is_not_entered(wire: Callable[..., Any], locked: Any) -> None:
    answer = ask(wire(), locked, same, without(lib.PYSB_RESTRICT))
    assert answer.ended and answer.errors == [errno.EBADMSG] and not answer.output


def test_entering_without_a_ruleset(wire: Callable[..., Any], plain: Any) -> None:
    answer = ask(wire(), plain, same, before(lib.PYSB_STARTED, RESTRICT))
    assert answer.ended and answer.errors == [errno.EBADF] and not answer.output


@pytest.mark.parametrize("kind", [lib.PYSB_NO_NEW_PRIVS, lib.PYSB_SESSION, lib.PYSB_SECCOMP, lib.PYSB_EXEC])
@pytest.mark.parametrize("step", [RESTRICT, CONFINE])
def test_its_place_is_fixed(wire: Callable[..., Any], plain: Any, kind: int, step: bytes) -> None:
    refused(ask(wire(), plain, lambda s: [*s, RULESET], before(kind, step)))


def test_in_the_wrong_order(wire: Callable[..., Any], plain: Any) -> None:
    refused(ask(wire(), plain, same, before(lib.PYSB_STARTED, CONFINE, RESTRICT)))
    refused(ask(wire(), plain, same, before(lib.PYSB_STARTED, RESTRICT, RESTRICT)))


def test_offsets_and_fds_are_checked(wire: Callable[..., Any], plain: Any) -> None:
    for bad in (row(lib.PYSB_LANDLOCK_PATH, text=0xFFFFFF), row(lib.PYSB_LANDLOCK_PATH, flags=1, fd=200),
                row(lib.PYSB_LANDLOCK_PATH, flags=4, text=0xFFFFFF)):  # fmt: skip
        refused(ask(wire(), plain, lambda s, bad=bad: [*s, bad], same))


def test_a_path_without_a_ruleset(wire: Callable[..., Any], plain: Any) -> None:
    answer = ask(wire(), plain, lambda s: [*s, row(lib.PYSB_LANDLOCK_PATH, flags=1, fd=0, a=0)], same)
    assert lib.PYSB_ENDED in answer.kinds  # no right, no rule


def test_confined_alone(wire: Callable[..., Any], plain: Any) -> None:
    answer = ask(wire(), plain, same, before(lib.PYSB_STARTED, CONFINE))
    assert lib.PYSB_ENDED in answer.kinds and answer.output == b"ran\nwrote\n"
