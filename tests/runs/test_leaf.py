"""A cgroup of a run's own while it runs: stand still, other limits, figures."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import HostError, Sandbox
from sandbox.cgroup import delegation
from sandbox.request import Request
from sandbox.running import Running
from tests.runs.world import until

pytestmark = [pytest.mark.v2, pytest.mark.skipif(delegation.find("auto").name == "none", reason="no cgroups here")]

@pytest.fixture(scope="module", name="box")
def _box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


def started(box: Sandbox, script: str, **options: Any) -> Running:
    running = box.start(["sh", "-c", script], leaf=True, joinable=True, **options)
    running.ready()
    return running


def cpu(running: Running) -> int:
    return running.leaf.stats()["cpu_ns"] or 0


def test_it_stands_still_and_goes_on(box: Sandbox) -> None:
    with started(box, "while :; do :; done") as running:
        leaf = running.leaf
        assert until(lambda: cpu(running) > 0) and not leaf.frozen()
        leaf.freeze()
        assert leaf.frozen()
        used = cpu(running)
        time.sleep(0.1)
        assert cpu(running) - used < 5_000_000
        leaf.thaw()
        assert until(lambda: cpu(running) > used + 10_000_000) and not leaf.frozen()


def test_what_stands_still_can_be_killed(box: Sandbox) -> None:
    with started(box, "while :; do :; done", wall=0.3) as running:
        running.leaf.freeze()
        assert running.wait().outcome in ("wall_time", "idle")
    with started(box, "while :; do :; done") as running:
        running.leaf.freeze()
        pid = running.pid
        assert os.path.exists(f"/proc/{pid}")
    assert until(lambda: not os.path.exists(f"/proc/{pid}"))  # closing it has ended it


def test_a_spawner_that_ends_takes_what_stands_still_with_it() -> None:
    """SIGKILL of the kernel's (PR_SET_PDEATHSIG) waits in a frozen cgroup of v1 for ever."""
    box = Sandbox()
    running = started(box, "while :; do :; done")
    pid = running.pid
    running.leaf.freeze()
    box.close()
    assert until(lambda: not os.path.exists(f"/proc/{pid}"))
    running.close()


def test_limits_that_change(box: Sandbox) -> None:
    script = "while [ ! -e /work/go ]; do sleep 0.02; done; python3 -c 'print(len(bytearray(1) * 80_000_000))'"
    with started(box, script, mem="64M") as running:
        limits = running.spec.limits
        with pytest.raises(HostError, match="uses"):
            running.leaf.update(limits.replace(mem_bytes=4096))
        running.leaf.update(limits.replace(mem_bytes=256 << 20, cpu_milli=900, pids=50))
        with running.exec(Request(argv=["touch", "/work/go"])) as more:
            more.wait()
        assert running.wait().stdout == b"80000000\n"


def test_a_limit_on_processes_that_changes(box: Sandbox) -> None:
    with started(box, "sleep 1000") as running:
        def forks() -> bool:
            with running.exec(Request(argv=["sh", "-c", "for i in 1 2 3 4; do sleep 0.1 & done; wait"])) as more:
                return b"fork" not in more.wait().stderr

        assert forks()
        running.leaf.update(running.spec.limits.replace(pids=4))
        assert not forks()


def test_figures(box: Sandbox) -> None:
    script = "python3 -c 'x = bytearray(1) * 30_000_000; import time; time.sleep(1000)'"
    with started(box, script, mem="128M") as running:
        assert until(lambda: (running.leaf.stats()["memory_bytes"] or 0) > 30_000_000)
        found = running.leaf.stats()
        assert found["oom_kills"] == 0 and (found["pids"] or 0) >= 1 and (found["cpu_ns"] or 0) > 0
        assert (found["memory_peak_bytes"] or found["memory_bytes"] or 0) >= 30_000_000
        assert running.pid in running.leaf.pids()


def test_without_one() -> None:
    with Sandbox(cgroup="auto") as box, box.start(["sleep", "1000"]) as running:
        with pytest.raises(HostError, match="no cgroup of its own"):
            running.leaf.freeze()


def test_a_leaf_is_asked_for_and_no_limit(box: Sandbox) -> None:
    with box.start(["true"], leaf=True) as running:
        assert running.wait().backend != "none"


def test_an_exec_in_a_frozen_sandbox_ends_by_its_wall_time(box: Sandbox) -> None:
    with started(box, "sleep 1000") as running:
        running.leaf.freeze()
        with running.exec(Request(argv=["true"], wall=5)) as more:
            more.supervision.step(0.2)
            assert not more.supervision.done
        running.leaf.thaw()
        with running.exec(Request(argv=["true"])) as more:
            assert more.wait().outcome == "ok"
        os.kill(running.pid, signal.SIGKILL)
