"""Record: a frozen, keyword-only value class.

The standard ``dataclasses`` module costs 8 ms of imports (inspect, re, ast, …) at every start of
the command line, more than the whole sandbox; this does what the launch path needs of it.
Annotations name the fields, class attributes are the defaults. Type checkers see a dataclass.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        return lambda cls: cls


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """Base of every value that travels along the path; equal by content, hashable if its fields are."""

    _fields: tuple[str, ...] = ()
    _required: frozenset[str] = frozenset()

    def __init_subclass__(cls) -> None:
        own = [n for n in cls.__dict__.get("__annotations__", {}) if not n.startswith("_")]
        cls._fields = tuple(dict.fromkeys((*cls._fields, *own)))
        cls._required = frozenset(n for n in cls._fields if not hasattr(cls, n))

    def __init__(self, **values: Any) -> None:
        if not (self._required <= values.keys() and values.keys() <= set(self._fields)):
            missing = sorted(self._required - values.keys())
            unknown = sorted(values.keys() - set(self._fields))
            raise TypeError(f"{type(self).__name__}: missing {missing}, unknown {unknown}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(other) is not type(self):
            return False
        return self.__dict__ == other.__dict__ or self.asdict() == other.asdict()

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, n) for n in self._fields)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self._fields)})"

    def asdict(self) -> dict[str, Any]:
        """Field names to values, in order, one level deep."""
        return {n: getattr(self, n) for n in self._fields}

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{**self.asdict(), **changes})

    # Pickle must not call __setattr__; __reduce__ would hide unknown fields of a newer version.
    def __getstate__(self) -> dict[str, Any]:
        return self.asdict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
