"""YAML of strangers: lines, limits, and nothing that escapes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.problem.faults import Faults
from judge.problem.yamlfile import LIMIT_BYTES, Node, load, parse


def wrong(text: str) -> str:
    """The one fault of a text."""
    faults = Faults()
    assert parse(text, "x.yaml", faults) is None
    (fault,) = faults.all
    return str(fault)


def right(text: str) -> Node:
    faults = Faults()
    node = parse(text, "x.yaml", faults)
    assert node is not None and not faults.all
    return node


def plain(node: Node) -> object:
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def test_keys_and_values_have_lines() -> None:
    node = right("# c\na: 1\nb:\n  c:\n    [x,\n     y]\n")
    assert plain(node) == {"a": 1, "b": {"c": ["x", "y"]}}
    assert node.keys == {"a": 2, "b": 3}
    inner = node.get("b")
    assert inner is not None and inner.keys == {"c": 4}
    items = inner.get("c")
    assert items is not None and isinstance(items.value, list) and [i.line for i in items.value] == [5, 6]


def test_keys_are_texts_as_written() -> None:
    assert plain(right("no: Norsk\n1: one\n1.0: point\n")) == {"no": "Norsk", "1": "one", "1.0": "point"}


@pytest.mark.parametrize("text", ["", "\n", "# only this\n", "---\n...\n", "~\n"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert right(text).value == {}


def test_scalars() -> None:
    text = "a: 0x10\nb: 1.5\nc: yes\nd: ~\ne: '1'\nf: 2024-01-02\ng: 1e-6\nh: .inf\n"
    assert plain(right(text)) == {
        "a": 16, "b": 1.5, "c": True, "d": None, "e": "1", "f": "2024-01-02", "g": "1e-6", "h": float("inf"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: error: the key 'a' is there twice (first in line 1)"),
        ("a: [1, 2\nb: 3\n", "x.yaml:2: error: not YAML: while parsing a flow sequence expected ',' or ']', but got"),
        ("a: 1\n---\nb: 1\n", "x.yaml:2: error: a second document in one file"),
        ("a: !!python/object/apply:os.system [id]\n", "x.yaml:1: error: the tag tag:yaml.org,2002:python/object/apply"),
        ("\na: !!int x\n", "x.yaml:2: error: 'x' is not a value of the type int"),
        ("a: *b\n", "x.yaml:1: error: the alias *b has no anchor before it"),
        ("a: &x [*x]\n", "x.yaml:1: error: the alias *x has no anchor before it"),
        ("a: 1\n[x]: 2\n", "x.yaml:2: error: a key must be a text"),
        ("a:\n  - \x01\n", "x.yaml:2: error: not YAML: the character 1 is not allowed"),
        ("a: " + "[" * 40, "x.yaml:1: error: nested more than 32 deep"),
        ("a: " + "9" * 5000, "x.yaml:1: error: '" + "9" * 57 + "...' is not a value of the type int"),
    ],
)  # fmt: skip
def test_one_fault_with_its_line(text: str, fault: str) -> None:
    assert wrong(text).startswith(fault)


def test_billion_laughs_is_refused_at_once() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    before = time.monotonic()
    assert "more than 20000 values by aliases" in wrong("\n".join(rows))
    assert time.monotonic() - before < 5


def test_a_shared_value_is_allowed() -> None:
    assert plain(right("a: &x [1]\nb: *x\n")) == {"a": [1], "b": [1]}


def read(path: Path) -> str:
    faults = Faults()
    assert load(path, path.parent, faults) is None
    return str(faults.all[0])


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    assert read(path) == "x.yaml:2: error: not UTF-8: byte 0xff"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(path).startswith("x.yaml:1: error: starts with a byte-order mark")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    os.mkfifo(path)
    assert read(path) == "x.yaml: error: not a regular file"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert read(path).startswith("x.yaml: error: cannot be read: ")
    path.unlink()
    path.mkdir()
    assert read(path).startswith("x.yaml: error: ")
    path.rmdir()
    assert read(path) == "x.yaml: error: cannot be read: No such file or directory"


def test_size_is_capped(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"#" * (LIMIT_BYTES + 1))
    assert read(path) == "x.yaml: error: larger than 256 KiB"


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"\\#%@`, \n\t0123~.\u2028\x85U"), max_size=60))
def test_any_text_gives_a_node_or_faults(text: str) -> None:
    faults = Faults()
    node = parse(text, "x.yaml", faults)
    assert (node is None) == bool(faults.all)
    for fault in faults.all:
        assert 0 <= fault.line <= len(text) + 1 and "\n" not in str(fault)
