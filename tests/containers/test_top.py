"""``pysandbox top``: the processes of a container, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli.container.top import clock
from sandbox.containers.processes import processes
from tests.containers.started import Containers, soon


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


def test_top(box: Containers) -> None:
    box.start("one", "sh", "-c", "(sleep 61 &); (setsid sleep 62 &); echo up; exec sleep 60")
    box.start("other", "sleep", "63")
    soon(lambda: "up" in box.ok("logs", "one"))
    soon(lambda: sum("sleep 6" in line for line in box.ok("top", "one").splitlines()) == 3)
    head, *lines = box.ok("top", "one").splitlines()
    assert head.split() == ["PID", "PPID", "USER", "STATE", "%CPU", "RSS", "TIME", "COMMAND"]
    # numbers and the user as they are inside; orphans are the init's, which is none of them
    assert lines[0].split()[:4] == ["2", "1", "1000", "S"] and lines[0].endswith("sleep 60")
    assert sorted(line.split()[-1] for line in lines) == ["60", "61", "62"]
    found = json.loads(box.ok("top", "--json", "-", "one"))
    assert [row["pid"] for row in found] == [int(line.split()[0]) for line in lines]
    assert all(Path(f"/proc/{row['host_pid']}").exists() and row["rss_bytes"] > 0 for row in found)
    box.ok("kill", "one")
    box.ok("wait", "one")
    done = box.words("top", "one")
    assert done.returncode == 125 and "is not running" in done.stderr


def made_up(proc: Path, pid: int, parent: int, inside: str, name: str = "x", words: bytes = b"") -> None:
    """A process in a /proc of our own."""
    (proc / str(pid)).mkdir()
    numbers = f"{parent} 0 0 0 0 0 0 0 0 0 250 150 0 0 20 0 3 0 100 0 7"
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) S {numbers}\n")
    (proc / str(pid) / "status").write_text(f"Name:\t{name}\nUid:\t5\t100005\t5\t5\nNSpid:\t{pid}\t{inside}\n")
    (proc / str(pid) / "cmdline").write_bytes(words)
    (proc / str(pid) / "uid_map").write_text("         0     100000      65536\n")


def test_names_and_words_are_the_containers_own(tmp_path: Path) -> None:
    """A name with ") S 1" in it does not change what is read of it."""
    made_up(tmp_path, 10, 1, "1", "init")
    made_up(tmp_path, 11, 10, "2", ") R 1 1 (", b"a\0b c\0")
    made_up(tmp_path, 12, 11, "3")
    made_up(tmp_path, 13, 1, "")
    (tmp_path / "14").mkdir()  # ended while it was looked at
    found = processes(10, proc=str(tmp_path))
    assert [(p.pid, p.parent, p.host_pid, p.command, p.state) for p in found] == [
        (2, 1, 11, "a b c", "S"), (3, 2, 12, "[x]", "S")]  # fmt: skip
    assert {(p.uid, p.cpu_ns, p.threads) for p in found} == {(5, 4_000_000_000, 3)}
    assert processes(99, proc=str(tmp_path)) == []


def test_clock() -> None:
    assert [clock(ns) for ns in (0, 19_999_999, 62_500_000_000, 3_600_000_000_000)] == [
        "0:00.00", "0:00.01", "1:02.50", "60:00.00"]  # fmt: skip
