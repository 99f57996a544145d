"""``pause`` and ``unpause``: the freezer of the container's cgroup."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.started import Containers, soon

COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


def counted(box: Containers) -> int:
    return len(box.ok("logs", "one").split())


@pytest.mark.v2
def test_nothing_runs_until_it_is_unpaused(box: Containers) -> None:
    box.start("one", "sh", "-c", COUNT, options=("--mem", "64M"))
    soon(lambda: counted(box) > 2)
    assert box.ok("pause", "one") == "one\n"
    assert box.state("one")["state"] == "paused" and "paused" in box.ok("ps")
    time.sleep(0.1)
    before = counted(box)
    time.sleep(0.3)
    assert counted(box) == before
    done = box.words("pause", "one")
    assert done.returncode == 125 and "is paused" in done.stderr
    assert box.ok("unpause", "one") == "one\n"
    assert box.state("one")["state"] == "running"
    soon(lambda: counted(box) > before)
    done = box.words("unpause", "one")
    assert done.returncode == 125 and "not paused" in done.stderr


@pytest.mark.v2
def test_stop_of_what_is_paused(box: Containers) -> None:
    box.start("one", "sh", "-c", f"trap 'echo bye; exit 4' TERM; {COUNT}")
    box.start("two", "sleep", "60")
    soon(lambda: counted(box) > 2)
    box.ok("pause", "one", "two")
    box.ok("stop", "one")
    assert box.ok("wait", "one") == "4\n"
    assert box.ok("logs", "one").endswith("bye\n")
    box.ok("kill", "two")
    assert box.ok("wait", "two") == "137\n"


def test_files_of_what_is_paused(box: Containers, tmp_path: Path) -> None:
    box.start("one", "sh", "-c", "echo a >/tmp/a; echo up; sleep 60")
    soon(lambda: "up" in box.ok("logs", "one"))
    box.ok("pause", "one")
    box.ok("cp", "one:/tmp/a", "a")
    assert (tmp_path / "a").read_text() == "a\n"


def test_without_a_cgroup(box: Containers) -> None:
    box.start("one", "sleep", "60", options=("--cgroup", "none"))
    for command in ("pause", "stats --no-stream", "update --mem 64M"):
        done = box.words(*command.split(), "one")
        assert done.returncode == 125 and "cgroup" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert box.state("one")["state"] == "running"
