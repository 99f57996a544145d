"""Many at once: starts and stops, one name for all, removals under way."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.containers import Container, find, list_containers, start
from sandbox.containers.options import configure
from sandbox.errors import RequestError
from tests.containers.started import Containers
from tests.slowness import SLOW


def test_fifty_starts_and_stops_at_once(data: Path) -> None:
    def whole_life(number: int) -> int:
        container = start(configure(["sleep", "600"], name=f"c{number}", remove=number % 2 == 0))
        status = container.stop(grace=0)
        if number % 2:
            container.remove()
        return status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(whole_life, range(50))) == {137}
    assert list_containers() == []
    assert not any(os.listdir(data / "containers" / name) for name in (".names", ".live", ".gone"))


def test_one_name_for_all(boxes: Containers, data: Path, pysandbox_argv: list[str],
                          pysandbox_env: dict[str, str]) -> None:  # fmt: skip
    command = [*pysandbox_argv, "run", "-d", "--name", "same", "sleep", "600"]
    environ, pipe = {**pysandbox_env, **boxes.env}, subprocess.PIPE
    many = [subprocess.Popen(command, env=environ, stdout=pipe, stderr=pipe, text=True) for _ in range(20)]
    said = [(*one.communicate(timeout=60 * SLOW), one.returncode) for one in many]
    won = [out.strip() for out, _err, status in said if status == 0]
    lost = [err for _out, err, status in said if status == 125]
    assert len(won) == 1 and len(lost) == 19
    assert all("--name: is the name of container" in err for err in lost)
    assert find("same").id == won[0] and len(list_containers()) == 1
    find("same").remove(force=True)


def test_two_remove_the_same(data: Path) -> None:
    for _round in range(5):
        container = start(configure(["sleep", "600"], name="x"))

        def remove(one: Container = container) -> str:
            try:
                one.remove(force=True)
            except RequestError as error:
                return str(error)
            return ""

        with ThreadPoolExecutor(4) as pool:
            errors = list(pool.map(lambda _n: remove(), range(4)))
        assert "" in errors and all(not e or "removed" in e or "no such" in e for e in errors)
        with pytest.raises(RequestError):
            find("x")


def test_listing_while_they_come_and_go(data: Path) -> None:
    code = ("from sandbox.containers import list_containers\n"
            "for _ in range(300):\n    [c.running for c in list_containers()]")  # fmt: skip
    watcher = subprocess.Popen([sys.executable, "-P", "-c", code], env={**os.environ, "PYTHONPATH": os.getcwd()})
    while watcher.poll() is None:
        start(configure(["true"], remove=True))
    assert watcher.returncode == 0
