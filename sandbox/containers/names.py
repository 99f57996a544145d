"""Names of containers and volumes: what may be one, and one made up for who has not chosen."""

from __future__ import annotations

import os

from ..errors import RequestError

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_ALLOWED = _FIRST | frozenset("_.-")
MAX_LENGTH = 63  # a host name in other members' /etc/hosts (RFC 1035, section 2.3.4)

_HOW = ("able ample apt avid blithe bold brave brisk calm candid clear clever cosy crisp deft eager even fair fast "
        "fleet fond frank fresh gentle glad grand hale handy happy hardy keen kind light lively lucid mellow merry "
        "nimble noble placid plain polite proud prompt quick quiet ready rosy fine sage sharp snug sober solid spry "
        "steady sunny swift tidy vivid warm wise witty").split()  # fmt: skip
_WHO = ("adder auk badger bat bear beaver bee bison boar carp cat cod coot crab crane crow deer dove duck eagle eel "
        "falcon finch fox frog gnu goat goose gull hare hawk heron horse ibex jay kite lark lemur lion lynx mole moose "
        "moth mouse newt orca otter owl ox perch pike puma quail raven robin seal shrew snail stork swan tern toad "
        "trout viper wolf wren yak").split()  # fmt: skip


def check(field: str, name: str) -> str:
    """The name, if it may be one. Raises RequestError."""
    if not name or name[0] not in _FIRST or not _ALLOWED.issuperset(name) or len(name) > MAX_LENGTH:
        why = f"expected a letter or digit, and then letters, digits, '_', '.' or '-', {MAX_LENGTH} at the most"
        raise RequestError(field, name, why)
    return name


def made_up(attempt: int = 0) -> str:
    """Two words, and a number where they were taken."""
    high, low = os.urandom(2)
    name = f"{_HOW[high % len(_HOW)]}_{_WHO[low % len(_WHO)]}"
    return f"{name}{int.from_bytes(os.urandom(2), 'little')}" if attempt else name


def new_id() -> str:
    """64 digits that no other container has."""
    return os.urandom(32).hex()
