"""``pysandbox ps``: which containers are listed, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli.container.rows import age, size, table
from tests.containers.started import Containers


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


def test_ps(box: Containers) -> None:
    assert box.ok("ps").split() == ["ID", "NAME", "IMAGE", "COMMAND", "STATE", "CREATED", "PORTS"]
    one = box.start("one", "sleep", "60")
    two = box.start("two", "sh", "-c", "exit 3", options=("--label", "job=42"))
    assert box.ok("wait", "two") == "3\n"
    assert box.ok("ps", "-q") == f"{one[:12]}\n"
    lines = box.ok("ps", "-a").splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[two[:12], "two"], [one[:12], "one"]]
    assert "exited (3)" in lines[1] and "sh -c 'exit 3'" in lines[1] and "running" in lines[2]
    # what has ended is listed if its state is asked for
    for text, found in (("state=exited", [two]), ("name=on", [one]), (f"id={one[:6]}", [one]), ("image=x", [])):
        assert box.ok("ps", "-q", "--no-trunc", "--filter", text).split() == found, text
    for text, found in (("label=job", [two]), ("label=job=42", [two]), ("label=job=4", []), ("label=x", [])):
        assert box.ok("ps", "-aq", "--no-trunc", "--filter", text).split() == found, text
    rows = json.loads(box.ok("ps", "-a", "--json", "-", "--filter", "name=two"))
    assert [(row["id"], row["state"], row["exit_status"], row["labels"]) for row in rows] == [
        (two, "exited", 3, {"job": "42"})
    ]


@pytest.mark.parametrize("words", [["x"], ["--filter", "x"], ["--filter", "x=y"], ["--filter", "state=dead"], ["--al"]])
def test_ps_refuses(box: Containers, words: list[str]) -> None:
    done = box.words("ps", *words)
    assert done.returncode == 125 and done.stderr.count("\n") == 1 and not done.stdout


def test_what_a_container_is_called_is_not_for_the_terminal() -> None:
    assert table(("A", "B"), [("\x1b[2J", "x")]) == "A         B\n\\x1b[2J   x\n"


def test_ages_and_sizes() -> None:
    day = 86_400_000_000_000
    assert [age(0, ns) for ns in (0, 1_999_999_999, 61_000_000_000, 3 * day, 30 * day, 3000 * day)] == [
        "0 seconds", "1 second", "1 minute", "3 days", "4 weeks", "428 weeks"]  # fmt: skip
    assert age(None) == ""
    assert [size(n) for n in (0, 999, 1000, 1536, 100 << 20, 1023 << 20, 5 << 40)] == [
        "0B", "999B", "1.0K", "1.5K", "100M", "1.0G", "5.0T"]  # fmt: skip
