"""The native core's own word about capabilities: a plan keeps what it says twice, never what would be a way out."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox.native.pack import _PLAN, _STEP

BOUNDING, CAPS = lib.PYSB_DROP_BOUNDING, lib.PYSB_DROP_CAPS
EBADMSG = 74


def changed(run: bytes, op: int, *, a: int | None = None, flags: int | None = None, drop: bool = False) -> bytes:
    """The plan with its one step of this kind changed, or with a harmless other one in its place."""
    plan, found = bytearray(run), 0
    counts = _PLAN.unpack_from(run)
    for at in range(_PLAN.size, _PLAN.size + (counts[2] + counts[3]) * _STEP.size, _STEP.size):
        step = list(_STEP.unpack_from(run, at))
        if step[0] != op:
            continue
        found += 1
        if drop:
            step = [lib.PYSB_KEYRING, *[0] * 3, -1, *[0] * 4]
        step[6] = step[6] if a is None else a
        step[1] = step[1] if flags is None else flags
        _STEP.pack_into(plan, at, *step)
    assert found == 1
    return bytes(plan)


def both(run: bytes, mask: int) -> bytes:
    return changed(changed(run, BOUNDING, a=mask), CAPS, a=mask)


def test_kept_in_both(pack: Any, wire: Any) -> None:
    packed = pack(["/bin/grep", "CapAmb", "/proc/self/status"])
    packed.run = both(packed.run, 0b100001)
    answer = wire().good(packed)
    assert answer.began and answer.output.split() == [b"CapAmb:", b"%016x" % 0b100001]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: changed(run, CAPS, a=1),
        lambda run: changed(run, BOUNDING, a=1),
        lambda run: changed(both(run, 1), BOUNDING, a=3),
        lambda run: changed(both(run, 1), CAPS, a=3),
        lambda run: changed(both(run, 1), CAPS, flags=0),
        lambda run: changed(both(run, 1), BOUNDING, drop=True),
        lambda run: both(run, 1 << 21),
        lambda run: both(run, 1 << 22 | 1),
        lambda run: both(run, 1 << 24),
        lambda run: both(run, 1 << 41),
        lambda run: both(run, 1 << 63),
        lambda run: both(run, (1 << 64) - 1),
    ],
)
def test_refused(spoil: Any, pack: Any, wire: Any) -> None:
    packed = pack(["/bin/true"])
    packed.run = spoil(packed.run)
    answer = wire().good(packed)
    assert not answer.began and answer.failed and EBADMSG in answer.errors, answer.errors


def test_the_sets_are_read_back(pack: Any, wire: Any) -> None:
    """Without the step that reduces it the bounding set is full: nothing is executed."""
    packed = pack(["/bin/true"])
    packed.run = changed(packed.run, BOUNDING, drop=True)
    answer = wire().good(packed)
    assert not answer.began and answer.failed and 1 in answer.errors, answer.errors
