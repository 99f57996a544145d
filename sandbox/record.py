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
    _known: frozenset[str] | None = None
    _required: frozenset[str] = frozenset()

    def __init_subclass__(cls) -> None:
        cls._fields = (*cls._fields, *cls.__dict__.get("__annotations__", ()))
        cls._known = None  # made at the first use: most classes of a module are not used in a run

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        known = cls._known
        if known is None:
            known = cls._known = frozenset(cls._fields)
            cls._required = frozenset(n for n in known if not hasattr(cls, n))
        if not cls._required <= values.keys() <= known:
            missing, unknown = sorted(cls._required - values.keys()), sorted(values.keys() - known)
            raise TypeError(f"{cls.__name__}: missing {missing}, unknown {unknown}")
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
