"""Sets of arguments of a call as unions of cubes: what conditions have in common, and what they leave over.

A cube is ``(mask, value)``: all arguments with ``arguments & mask == value``, where the six arguments are one number
of 384 bits, argument 0 the lowest 64. Every condition of a policy is a union of disjoint cubes: a masked ``!=`` has
one for each bit of its mask, an order one for each bit of its number. Unlike conditions, cubes can be subtracted.
"""

from __future__ import annotations

from .constants import ALL_BITS
from .model import Arg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Cube = tuple[int, int]

WORD_BITS = 64
EVERYTHING: Cube = (0, 0)


def of_arg(arg: Arg) -> list[Cube]:
    """The arguments that meet one condition, as disjoint cubes; empty if none can."""
    shift = arg.index * WORD_BITS
    return [(mask << shift, value << shift) for mask, value in _of_word(arg.op, arg.value, arg.mask)]


def of_args(args: Iterable[Arg]) -> list[Cube]:
    """The arguments that meet all of the conditions."""
    cubes = [EVERYTHING]
    for arg in args:
        cubes = common(cubes, of_arg(arg))
    return cubes


def of_values(args: Sequence[int]) -> Cube:
    """Exactly these arguments; those that are missing may be anything."""
    return of_args([Arg(index=i, op="==", value=a & ALL_BITS) for i, a in enumerate(args[:6])])[0]


def common(some: Iterable[Cube], others: Sequence[Cube]) -> list[Cube]:
    """What is in both."""
    return [(a | b, v | w) for a, v in some for b, w in others if not (v ^ w) & a & b]


def without(some: Iterable[Cube], others: Iterable[Cube]) -> list[Cube]:
    """What is in ``some`` but not in ``others``."""
    left = list(some)
    for other in others:
        left = [rest for cube in left for rest in _sharp(cube, other)]
    return left


def outside(some: Sequence[Cube], args: Iterable[Arg]) -> list[Cube]:
    """What of ``some`` does not meet all of the conditions: fewer cubes than ``without``, one condition after another.

    An ``==`` goes first: 32 cubes beside it, and one in which the next condition matters.
    """
    left, met = [], list(some)
    for arg in sorted(args, key=lambda a: a.op != "=="):
        meant = of_arg(arg)
        left += common(met, without([EVERYTHING], meant))
        met = common(met, meant)
    return left


def same(some: Sequence[Cube], others: Sequence[Cube]) -> bool:
    """Do both hold the same arguments, however they are cut?"""
    return not without(some, others) and not without(others, some)


def args_of(cube: Cube) -> tuple[Arg, ...]:
    """A cube as conditions: one ``==`` for each argument that matters."""
    mask, value = cube
    parts = [(i, mask >> i * WORD_BITS & ALL_BITS, value >> i * WORD_BITS & ALL_BITS) for i in range(6)]
    return tuple(Arg(index=i, op="==", value=v, mask=m) for i, m, v in parts if m)


def sample(cube: Cube) -> tuple[int, ...]:
    """Arguments that are in a cube: the smallest."""
    return tuple(cube[1] >> i * WORD_BITS & ALL_BITS for i in range(6))


def _sharp(one: Cube, other: Cube) -> list[Cube]:
    """``one`` without ``other``, in disjoint pieces: the first bit that differs, from the highest."""
    mask, value = one
    if (value ^ other[1]) & mask & other[0]:
        return [one]
    pieces = []
    free = other[0] & ~mask
    while free:
        bit = 1 << free.bit_length() - 1
        pieces.append((mask | bit, value | ~other[1] & bit))
        mask, value, free = mask | bit, value | other[1] & bit, free & ~bit
    return pieces


def _of_word(op: str, number: int, mask: int) -> list[Cube]:
    if op == "==":
        return [(mask, number)] if not number & ~mask else []
    if op == "!=":
        return _sharp(EVERYTHING, (mask, number)) if not number & ~mask else [EVERYTHING]
    if op == "<":
        return below(number)
    if op == "<=":
        return below(number + 1)
    return without([EVERYTHING], below(number if op == ">=" else number + 1))


def below(number: int, bits: int = WORD_BITS) -> list[Cube]:
    """The words of so many bits that are smaller than a number: a prefix for each bit that is set in it."""
    word = (1 << bits) - 1
    if number > word:
        return [EVERYTHING]
    places = [bit for bit in range(bits) if number >> bit & 1]
    return [(word >> bit << bit, (number >> bit << bit) ^ 1 << bit) for bit in places]
