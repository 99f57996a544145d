"""Variables, quotes and pairs as a Dockerfile has them, and .dockerignore."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.build.ignore import reader
from sandbox.build.variables import expand, pairs, words
from sandbox.errors import RequestError

VALUES = {"a": "A", "empty": "", "path": "/x y"}


@pytest.mark.parametrize(("text", "expected"), [
    ("$a", "A"), ("${a}b", "Ab"), ("$ab", ""), ("$a$a", "AA"), ("${none:-x}", "x"), ("${empty:-x}", "x"),
    ("${empty-x}", ""), ("${none-x}", "x"), ("${a:+x}", "x"), ("${none:+x}", ""), ("${empty+x}", "x"),
    ("${empty:+x}", ""), ("${none:-${a}}", "A"), (r"\$a", "$a"), (r"\\$a", r"\\A"), ("'$a'", "'$a'"), ('"$a"', '"A"'),
    ("$", "$"), ("$1", "$1"), ("it's $a", "it's A"), ("a\\", "a\\"),
])  # fmt: skip
def test_expand(text: str, expected: str) -> None:
    assert expand(text, VALUES) == expected


@pytest.mark.parametrize("text", ["${", "${}", "${a", "${a:?x}", "${a%x}", "${a:", "${1}"])
def test_other_forms_are_errors(text: str) -> None:
    with pytest.raises(RequestError):
        expand(text, VALUES)


def test_words() -> None:
    assert words(r"""a "b c" 'd "e' f\ g "h\"i" "" x"y"z""") == ("a", "b c", 'd "e', "f g", 'h"i', "", "xyz")
    with pytest.raises(RequestError, match="not closed"):
        words("'a")


def test_pairs() -> None:
    assert pairs('A=$a B="x y" C=', VALUES) == (("A", "A"), ("B", "x y"), ("C", ""))
    assert pairs("A some $a words", VALUES) == (("A", "some A words"),)
    for wrong in ("A=1 B", "A", "=x"):
        with pytest.raises(RequestError):
            pairs(wrong, VALUES)


@settings(max_examples=300, database=None, deadline=None)
@given(st.text(alphabet="ab${}:+-'\"\\ =", min_size=1))
def test_nothing_else_is_raised(text: str) -> None:
    split = bool(text.split())
    for call in (lambda: expand(text, VALUES), lambda: words(text), lambda: split and pairs(text, VALUES)):
        try:
            call()
        except RequestError:
            pass


@pytest.mark.parametrize(("text", "out", "kept"), [
    ("*.o", ["a.o"], ["d/a.o", "a.c"]), ("**/*.o", ["a.o", "d/e/a.o"], ["a.c"]), ("/d/", ["d", "d/x/y"], ["e/d"]),
    ("d\n!d/keep", ["d/x"], ["d/keep"]), ("# x\n\n", [], ["x"]), ("a?c", ["abc"], ["a/c", "ac"]),
    ("[a-c]x", ["bx"], ["dx"]), ("*\n!a", ["b"], ["a"]), ("./x", ["x"], []), ("x**y", ["x/a/y"], ["xa"]),
])  # fmt: skip
def test_dockerignore(text: str, out: list[str], kept: list[str]) -> None:
    ignored = reader(text)
    assert all(ignored(path) for path in out) and not any(ignored(path) for path in kept)
