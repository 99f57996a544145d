"""Refused system calls for people. For now: number, arguments and action, without names and rules."""

from __future__ import annotations

from struct import Struct

from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .raw import RawDenial

_DATA = Struct("=iIQ6Q")  # struct seccomp_data
_ERRNO = 0x0005


class Denial(Record):
    """One kind of refused call. ``arguments`` are the six registers; ``action`` is "errno:NUMBER" or "kill"."""

    number: int
    arch: int
    arguments: tuple[int, ...]
    action: str
    count: int
    exact: bool


def explain(raw: Sequence[RawDenial], policy: str) -> tuple[Denial, ...]:  # noqa: ARG001 - names the rule, one day
    """One Denial for each."""
    found = []
    for one in raw:
        number, arch, _pointer, *arguments = _DATA.unpack(one.data)
        action = f"errno:{one.action & 0xFFFF}" if one.action >> 16 == _ERRNO else "kill"
        found.append(Denial(number=number, arch=arch, arguments=tuple(arguments), action=action, count=one.count,
                            exact=one.exact))  # fmt: skip
    return tuple(found)
