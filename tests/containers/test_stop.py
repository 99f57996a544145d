"""``stop``, ``kill`` and ``wait``: signals, graces, several names, the exit status."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.started import Containers, soon

TREE = Path(__file__).resolve().parent.parent.parent
DEAF = "trap '' TERM; echo up; while :; do sleep 0.1; done"
WILLING = "trap 'exit 7' TERM; trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done"


@pytest.fixture
def box(pysandbox: Callable[..., Any], tmp_path: Path) -> Iterator[Containers]:
    with Containers(pysandbox, tmp_path) as made:
        yield made


def up(box: Containers, name: str, script: str, *options: str) -> None:
    box.start(name, "sh", "-c", script, options=options)
    soon(lambda: "up" in box.ok("logs", name))


def test_stop_asks_first_and_then_kills(box: Containers) -> None:
    up(box, "willing", WILLING)
    up(box, "deaf", DEAF)
    began = time.monotonic()
    done = box.words("stop", "--time", "300ms", "willing", "nosuch", "deaf")
    assert done.returncode == 125 and done.stdout == "willing\ndeaf\n"
    assert done.stderr.startswith("pysandbox: nosuch: ") and done.stderr.count("\n") == 1
    assert time.monotonic() - began >= 0.3
    assert box.ok("wait", "willing", "deaf") == "7\n137\n"
    assert box.ok("stop", "willing") == "willing\n"  # it has ended: fine


def test_no_grace(box: Containers) -> None:
    up(box, "willing", WILLING)
    box.ok("stop", "-t", "0", "willing")
    assert box.ok("wait", "willing") == "137\n"


def test_stop_signal_of_the_container(box: Containers) -> None:
    up(box, "one", "trap 'exit 5' USR1; trap '' TERM; echo up; while :; do sleep 0.05; done", "--stop-signal", "USR1")
    box.ok("stop", "one")
    assert box.ok("wait", "one") == "5\n"


def test_kill_sends_what_it_is_told(box: Containers) -> None:
    up(box, "one", WILLING)
    box.ok("kill", "-s", "HUP", "one")
    soon(lambda: "hup" in box.ok("logs", "one"))
    box.ok("kill", "--signal", "15", "one")
    assert box.ok("wait", "one") == "7\n"
    assert box.words("kill", "one").returncode == 125  # it is not there any more to be killed


def test_wait_for_what_ends_meanwhile(
    box: Containers, pysandbox_argv: list[str], pysandbox_env: dict[str, str]
) -> None:  # fmt: skip
    up(box, "one", WILLING)
    up(box, "two", DEAF)
    waiting = subprocess.Popen([*pysandbox_argv, "wait", "one", "two"], stdout=subprocess.PIPE, text=True, cwd=TREE,
                               env={**pysandbox_env, **box.env})  # fmt: skip
    assert waiting.stdout is not None
    with waiting, waiting.stdout:
        time.sleep(0.1)
        assert waiting.poll() is None
        box.ok("kill", "two")
        box.ok("kill", "-s", "TERM", "one")
        assert waiting.communicate(timeout=30)[0] == "7\n137\n"


@pytest.mark.parametrize("words", [
    ["stop"], ["stop", "-t", "x", "a"], ["kill", "-s", "NONE", "a"], ["kill", "-s", "0", "a"], ["wait"],
    ["wait", "nosuch"], ["pause"], ["unpause", "nosuch"],
])  # fmt: skip
def test_refused(box: Containers, words: list[str]) -> None:
    done = box.words(*words)
    assert done.returncode == 125 and done.stderr.count("\n") == 1 and not done.stdout
