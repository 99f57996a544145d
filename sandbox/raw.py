"""A refused system call as the init tells of it: numbers and bytes. ``denials`` makes words of it."""

from __future__ import annotations

from struct import Struct

from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DENIED = Struct("=64sI8B")  # struct pysb_denied of native/plan.h, before its memory
_BYTES = 128  # PYSB_DENIED_BYTES
_ERRNO = 0x0005  # SECCOMP_RET_ERRNO >> 16


class RawDenial(Record):
    """The first refused call of its kind, and how many there were.

    data: struct seccomp_data (seccomp(2)). action: the SECCOMP_RET_ value of the policy. memory: what lay at the
    addresses that the six arguments are, up to 128 bytes each, empty where nothing could be read. count: calls of
    this kind (same call table, number and action). exact: False where the run was ended before the init could tell
    the counts; there were at least ``count``.
    """

    data: bytes
    action: int
    memory: tuple[bytes, ...] = (b"",) * 6
    count: int = 1
    exact: bool = False


def read(told: Mapping[int, bytes], counts: bytes | None) -> tuple[tuple[RawDenial, ...], int]:
    """What the init told (index -> struct pysb_denied; the counts of all, None if it did not come to that), and
    the number of calls that it told nothing of."""
    found = []
    numbers = memoryview(counts).cast("Q").tolist() if counts is not None else []
    more = sum(number for index, number in enumerate(numbers) if index not in told)
    for index, raw in sorted(told.items()):
        data, action, *lengths = _DENIED.unpack_from(raw)
        parts = [raw[_DENIED.size + i * _BYTES :][:length] for i, length in enumerate(lengths[:6])]
        count = numbers[index] if numbers else 1
        found.append(RawDenial(data=data, action=action, memory=tuple(parts), count=count, exact=bool(numbers)))
    return tuple(found), more


def deadly(denials: Iterable[RawDenial]) -> list[str]:
    """Those calls among them that are answered with death, as "name (number)"."""
    from .syscalls import abi_of, name

    found = []
    for one in denials:
        number = int.from_bytes(one.data[:4], "little", signed=True)
        abi = abi_of(int.from_bytes(one.data[4:8], "little"), number)
        if one.action >> 16 != _ERRNO:
            found.append(f"{(name(abi, number) if abi else None) or 'unknown'} ({number})")
    return found
