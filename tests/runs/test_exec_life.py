"""Many programs that join one sandbox: nothing adds up, and nothing outlives the caller or the spawner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.request import Request
from tests.runs.test_leaks import leaves, spawner_fds
from tests.runs.world import open_fds, until, zombies
from tests.slowness import IN_LAB

TREE = Path(__file__).resolve().parent.parent.parent
MANY = 10 if IN_LAB else 60

CALLER = """
import sys, time
from sandbox import Sandbox
from sandbox.request import Request
with Sandbox(mem="64M") as box, box.start(["sleep", MARK], joinable=True, leaf=True) as running:
    with running.exec(Request(argv=["sh", "-c", f"sleep {MARK} & setsid sleep {MARK} & sleep {MARK}"])) as more:
        more.ready()
        print(more.pid, box._warm._spawners.popitem()[1].pid, flush=True)
        sys.stdin.readline()
        if FROZEN:
            running.leaf.freeze()
        print("now", flush=True)
        time.sleep(1000)
"""


def sleeping(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", mark.encode()]:
            found.append(path.parent.name)
    return found


def test_many_in_a_row() -> None:
    with Sandbox(mem="64M") as box, box.start(["sleep", "1000"], joinable=True) as running:
        for _ in range(5):
            with running.exec(Request(argv=["true"])) as more:
                more.wait()
        before = len(open_fds()), spawner_fds(), zombies(), leaves()
        for _ in range(MANY):
            with running.exec(Request(argv=["true"])) as more:
                assert more.wait().outcome == "ok"
            os.close(running.open_tree("/tmp"))
        assert until(lambda: (len(open_fds()), spawner_fds(), zombies(), leaves()) == before)


def test_many_at_once() -> None:
    with Sandbox() as box, box.start(["sleep", "1000"], joinable=True) as running:
        several = [running.exec(Request(argv=["sh", "-c", f"echo {n}"])) for n in range(12)]
        assert [more.wait().stdout for more in several] == [b"%d\n" % n for n in range(12)]
        for more in several:
            more.close()


@pytest.mark.parametrize(("victim", "frozen"), [
    ("caller", False), pytest.param("caller", True, marks=pytest.mark.v2), ("spawner", False), ("spawner", True),
    pytest.param("joiner and caller", False, marks=pytest.mark.v2), ("joiner and caller", True),
])  # fmt: skip
def test_nothing_outlives_a_kill_9(victim: str, frozen: bool) -> None:
    mark = f"98{os.getpid()}"
    script = CALLER.replace("FROZEN", str(frozen)).replace("MARK", repr(mark))
    command, env = [sys.executable, "-c", script], {**os.environ, "PYTHONPATH": str(TREE)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=TREE, env=env) as caller:
        try:
            assert caller.stdout and caller.stdin
            joiner, spawner = map(int, caller.stdout.readline().split())
            assert until(lambda: len(sleeping(mark)) == 4)
            caller.stdin.write(b"go\n")
            caller.stdin.flush()
            assert caller.stdout.readline() == b"now\n"
            if victim != "caller":
                os.kill(spawner if victim == "spawner" else joiner, signal.SIGKILL)
            if victim != "spawner":
                caller.kill()
            if not (victim == "spawner" and frozen):  # what is frozen on v1 waits for who thaws it
                assert until(lambda: not sleeping(mark), within_s=20)
        finally:
            caller.kill()
    with Sandbox(mem="64M") as box:  # both are gone: the next command cleans up
        box.run(["true"])
    assert until(lambda: not sleeping(mark))
