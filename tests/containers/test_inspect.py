"""``pysandbox inspect`` and ``port``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cli.container.inspect import stamp
from sandbox.cli.container.port import outside
from tests.containers.started import Containers


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


def test_inspect(box: Containers, tmp_path: Path) -> None:
    one = box.start("one", "sleep", "60", options=("--wall", "2m", "--label", "a=b", "-e", "X=1"))
    done = box.words("inspect", "one", "nosuch")
    assert done.returncode == 125 and done.stderr.startswith("pysandbox: nosuch: ")
    (found,) = json.loads(done.stdout)
    assert (found["id"], found["name"], found["state"]["state"]) == (one, "one", "running")
    assert found["config"]["argv"] == ["sleep", "60"] and found["config"]["labels"] == {"a": "b"}
    assert found["limits"] == {"wall": "2m"} and found["network"]["mode"] == "none"
    assert Path(found["files"]["directory"]).is_dir()
    # its namespaces are those of its processes, and none of ours
    (process,) = json.loads(box.ok("top", "--json", "-", "one"))
    spaces = {kind: space["link"] for kind, space in found["namespaces"].items()}
    assert {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} <= set(spaces)
    for kind, link in spaces.items():
        assert os.readlink(f"/proc/{process['host_pid']}/ns/{kind}") == link
        assert os.readlink(f"/proc/self/ns/{kind}") != link
    box.ok("kill", "one")
    box.ok("wait", "one")
    box.ok("inspect", "--json", "out.json", one[:10])
    (ended,) = json.loads((tmp_path / "out.json").read_text())
    assert (ended["state"]["state"], ended["state"]["exit_status"]) == ("exited", 137)
    assert ended["state"]["created"] <= ended["state"]["started"] <= ended["state"]["ended"]
    assert "namespaces" not in ended


def test_no_ports(box: Containers) -> None:
    box.start("one", "sleep", "60")
    assert box.ok("port", "one") == ""
    done = box.words("port", "one", "80")
    assert done.returncode == 125 and "does not publish it" in done.stderr


@pytest.mark.parametrize("words", [["port"], ["port", "a", "b", "c"], ["port", "nosuch"], ["inspect"]])
def test_refused(box: Containers, words: list[str]) -> None:
    done = box.words(*words)
    assert done.returncode == 125 and done.stderr.count("\n") == 1


def test_words() -> None:
    assert stamp(1_500_000_000_000_999_000) == "2017-07-14T02:40:00.000999Z" and stamp(None) is None
    assert outside({"address": "::1", "host": 80}) == "[::1]:80"
    assert outside({"address": "127.0.0.1", "host": 8080}) == "127.0.0.1:8080"
