"""The frozen value class that stands in for dataclasses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from sandbox.record import Record


class Base(Record):
    a: int
    b: str = "x"


class Derived(Base):
    c: tuple[int, ...] = ()
    b: str = "y"


class Other(Record):
    a: int
    b: str = "x"


def test_fields_and_defaults() -> None:
    assert Base(a=1).asdict() == {"a": 1, "b": "x"}
    assert Derived(a=1).asdict() == {"a": 1, "b": "y", "c": ()}
    assert list(Derived(a=1, c=(2,)).asdict())[:2] == ["a", "b"]
    assert repr(Base(a=1)) == "Base(a=1, b='x')"


@pytest.mark.parametrize("values", [{}, {"b": "x"}, {"a": 1, "z": 2}])
def test_missing_and_unknown_fields(values: dict[str, Any]) -> None:
    for _ in range(2):  # the first instance of a class prepares it
        with pytest.raises(TypeError, match="missing|unknown"):
            Base(**values)


def test_frozen() -> None:
    one = Base(a=1)
    for name in ("a", "b", "new"):
        with pytest.raises(AttributeError, match="frozen"):
            setattr(one, name, 2)
    with pytest.raises(AttributeError, match="frozen"):
        del one.a
    with pytest.raises(TypeError):
        Base(1)  # type: ignore[call-arg,misc]


def test_equality_and_hash() -> None:
    assert Base(a=1) == Base(a=1, b="x") and hash(Base(a=1)) == hash(Base(a=1, b="x"))
    assert Base(a=1) != Base(a=2) and Base(a=1) != Other(a=1) and Base(a=1) != 1
    assert len({Base(a=1), Base(a=1, b="x"), Other(a=1)}) == 2


def test_replace_copy_and_pickle() -> None:
    one = Derived(a=1, c=(1, 2))
    assert one.replace(a=5) == Derived(a=5, c=(1, 2)) and one.a == 1
    with pytest.raises(TypeError):
        one.replace(z=1)
    for again in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert again == one and again is not one and type(again) is Derived


def test_a_class_may_be_used_before_its_subclass() -> None:
    class Later(Base):
        d: int = 3

    assert Base(a=1).asdict() == {"a": 1, "b": "x"}
    assert Later(a=1, d=4).asdict() == {"a": 1, "b": "x", "d": 4}
    with pytest.raises(TypeError):
        Base(a=1, d=4)  # type: ignore[call-arg]
