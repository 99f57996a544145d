"""``stats`` and ``update``: what containers use, and other limits for them while they run."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.containers.limits_now import changed
from sandbox.containers.stats import use
from sandbox.containers.verbs_cgroup import carried
from sandbox.errors import RequestError
from sandbox.spec import Limits
from tests.containers.started import Containers, soon


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


@pytest.mark.v2
def test_stats(box: Containers) -> None:
    """One that works and one that sleeps."""
    box.start("busy", "sh", "-c", "while :; do :; done", options=("--mem", "64M", "--cpus", "0.5"))
    box.start("idle", "sleep", "60", options=("--mem", "32M", "--pids", "7"))
    busy, idle = map(json.loads, box.ok("stats", "--no-stream", "--json", "-", "busy", "idle").splitlines())
    assert (busy["name"], idle["name"]) == ("busy", "idle")
    assert busy["cpu"] > 0.05 > idle["cpu"]
    assert 0 < idle["memory_bytes"] < idle["memory_limit_bytes"] == 32 << 20
    assert (idle["pids"], idle["pids_limit"]) == (1, 7)
    assert idle["memory_share"] == idle["memory_bytes"] / (32 << 20)
    head, *lines = box.ok("stats", "--no-stream").splitlines()
    assert head.split()[:3] == ["ID", "NAME", "CPU"]
    assert {line.split()[1] for line in lines} == {"busy", "idle"}
    usage = json.loads(box.ok("inspect", "idle"))[0]["usage"]
    assert usage["limits"]["mem_bytes"] == 32 << 20 and usage["cpu_ns"] > 0
    done = box.words("stats", "--no-stream", "nosuch", "idle")
    assert done.returncode == 125 and "idle" in done.stdout


def test_a_table_that_is_drawn_again(box: Containers, pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    """On a terminal, until what was named has ended."""
    box.start("one", "sleep", "60")
    master, slave = pty.openpty()
    live = subprocess.Popen([*pysandbox_argv, "stats", "--interval", "50ms", "one"], stdout=slave, stderr=slave,
                            env={**pysandbox_env, **box.env})  # fmt: skip
    os.close(slave)
    seen = b""
    with live:
        while seen.count(b"\x1b[H") < 4:
            assert select.select([master], [], [], 20)[0], seen
            seen += os.read(master, 65536)
        box.ok("kill", "one")
        assert live.wait(20) == 0
    os.close(master)
    assert seen.startswith(b"\x1b[2J") and b"one" in seen


@pytest.mark.v2
def test_update(box: Containers) -> None:
    box.start("one", "sh", "-c", "echo up; read a; head -c 60m /dev/zero | tail -c 60m | wc -c",
              options=("-i", "--mem", "32M", "--pids", "9"))  # fmt: skip
    soon(lambda: "up" in box.ok("logs", "one"))
    box.ok("update", "--mem", "200M", "--pids", "20", "--cpus", "1.5", "one")
    (found,) = json.loads(box.ok("inspect", "one"))
    assert found["limits"] == {"mem": "200M", "pids": "20", "cpus": "1.5"}
    now = found["usage"]["limits"]
    assert (now["mem_bytes"], now["pids"], now["cpu_milli"]) == (200 << 20, 20, 1500)
    # tail holds 60 MiB, which were too much before
    box.words("attach", "one", input="go\n")
    assert box.ok("wait", "one") == "0\n"
    assert box.ok("logs", "one") == "up\n62914560\n"


def test_less_memory_ends_what_needs_more(box: Containers) -> None:
    script = "echo up; read a; x=$(head -c 60m /dev/zero | tail -c 60m | wc -c); echo $x; exit 3"
    box.start("one", "sh", "-c", script, options=("-i", "--mem", "200M"))
    soon(lambda: "up" in box.ok("logs", "one"))
    box.ok("update", "--mem", "16M", "one")
    box.words("attach", "one", input="go\n")
    assert box.ok("wait", "one") == "137\n"
    assert box.state("one")["outcome"] == "memory"


@pytest.mark.parametrize("words", [
    ["one"], ["--mem", "x", "one"], ["--mem", "0", "one"], ["--cpus", "0", "one"], ["--mem"], ["--mem", "1G"],
    ["--mem", "1G", "nosuch"],
])  # fmt: skip
def test_update_refuses(box: Containers, words: list[str]) -> None:
    done = box.words("update", *words)
    assert done.returncode == 125 and done.stderr.count("\n") == 1


def test_rates() -> None:
    before = {"cpu_ns": 100, "time_ns": 1000}
    assert use({"cpu_ns": 600, "time_ns": 2000}, before).cpu == 0.5
    assert use({"cpu_ns": 50, "time_ns": 2000}, before).cpu == 0.0
    assert use({"cpu_ns": 600, "time_ns": 1000}, before).cpu is None
    assert use({"cpu_ns": 600, "time_ns": 2000}, None).cpu is None
    assert use({"memory_bytes": 5, "limits": {}}, None).memory_share is None


def test_limits_on_top_of_others() -> None:
    now = changed(Limits(mem_bytes=1 << 20, asked=frozenset({"mem"})), {"swap": "1M", "io_read": "1M"})
    assert (now.mem_bytes, now.swap_bytes, now.asked) == (1 << 20, 1 << 20, {"mem", "swap", "io_read"})
    for values in ({}, {"swap": "1M"}, {"wall": "1s"}, {"pids": "0"}):
        with pytest.raises(RequestError):
            changed(Limits(), values)


def test_traffic() -> None:
    head = "Inter-|   Receive  |  Transmit\n face |bytes packets\n"
    row = " {}: {} 1 0 0 0 0 0 0 {} 1 0 0 0 0 0 0\n"
    text = head + row.format("lo", 5, 5) + row.format("eth0", 7, 9) + row.format("eth1", 1, 1)
    assert carried(text) == {"received_bytes": 8, "sent_bytes": 10}
