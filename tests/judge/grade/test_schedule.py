"""Workers: which CPUs, what runs beside what, and the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from judge.facts import Evidence
from judge.grade.schedule import Gate, Schedule, Worker, cores, cpus
from sandbox import Sandbox


def test_cpus_one_of_each_core_first(tmp_path: Path) -> None:
    for cpu, siblings in {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}.items():
        place = tmp_path / f"cpu{cpu}/topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(siblings + "\n")
    assert cpus({0, 1, 2, 3}, str(tmp_path)) == [0, 1, 2, 3]
    assert cpus({2, 0, 1}, str(tmp_path)) == [0, 1, 2]
    assert cores([0, 1], str(tmp_path)) == 2
    assert cores([0, 2], str(tmp_path)) == 1
    assert cpus({5, 4}, str(tmp_path / "nothing")) == [4, 5]


def scheduled(count: int, names: list[str], work: Callable[[Worker, str], Evidence], tmp_path: Path,
              finished: Callable[[str, Evidence], None] | None = None) -> Schedule:  # fmt: skip
    workers = [Worker(number, None, Sandbox(), tmp_path) for number in range(count)]
    return Schedule(workers, work, names, finished or (lambda _name, _evidence: None))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_test_is_run_once_and_told_once(count: int, tmp_path: Path) -> None:
    names, run, told = [str(n) for n in range(50)], [], []

    def work(worker: Worker, name: str) -> Evidence:
        run.append(name)
        time.sleep(0.001 * (int(name) % 3))
        return Evidence(fault=name)

    schedule = scheduled(count, names, work, tmp_path, lambda name, _evidence: told.append(name))
    for name in names:
        assert schedule.get(name).fault == name
        assert schedule.get(name).fault == name
    schedule.close()
    assert sorted(run) == sorted(told) == sorted(names)


def test_dropped_tests_are_not_started(tmp_path: Path) -> None:
    run, go = [], threading.Event()

    def work(worker: Worker, name: str) -> Evidence:
        run.append(name)
        go.wait(10)
        return Evidence()

    schedule = scheduled(2, ["a", "b", "c", "d", "e"], work, tmp_path)
    schedule.drop(["c", "d"])
    go.set()
    schedule.get("e")
    schedule.close()
    assert sorted(run) == ["a", "b", "e"]


def test_a_mistake_of_ours_is_a_fault_and_no_end(tmp_path: Path) -> None:
    def work(worker: Worker, name: str) -> Evidence:
        raise ZeroDivisionError(name)

    for count in (1, 2):
        schedule = scheduled(count, ["a", "b"], work, tmp_path)
        assert [schedule.get(name).fault for name in "ab"] == ["ZeroDivisionError: a", "ZeroDivisionError: b"]
        schedule.close()


def test_the_end_kills_what_runs(tmp_path: Path) -> None:
    began = threading.Event()

    def work(worker: Worker, name: str) -> Evidence:
        if name == "quick":
            began.wait(10)
            return Evidence()
        began.set()
        worker.box.run(["sleep", "60"])
        return Evidence()

    schedule = scheduled(2, ["quick", "long"], work, tmp_path)
    schedule.get("quick")
    time.sleep(0.2)  # sleep(1) is running
    start = time.monotonic()
    schedule.close()
    assert time.monotonic() - start < 30  # of the 60 that it would take


def test_alone_is_alone() -> None:
    gate, running, most, seen = Gate(), 0, [0], []
    lock = threading.Lock()

    def enter(step: int) -> None:
        nonlocal running
        with lock:
            running += step
            most[0] = max(most[0], running)

    def worker(number: int) -> None:
        for turn in range(20):
            with gate.beside():
                enter(1)
                time.sleep(0.0005)
                enter(-1)
            if turn % 5 == number:
                with gate.alone():
                    seen.append(running)
                    time.sleep(0.001)
                    seen.append(running)

    crowd = [threading.Thread(target=worker, args=(number,)) for number in range(3)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(30)
    assert not any(thread.is_alive() for thread in crowd)
    assert seen == [0] * 24
    assert most[0] > 1


def test_others_are_counted() -> None:
    gate = Gate()
    with gate.beside() as one:
        assert one() == 0
        with gate.beside() as two:
            assert (one(), two()) == (1, 1)
        assert one() == 0


def test_interrupt_ends_everything(tmp_path: Path, judged: Any) -> None:
    """Ctrl-C comes as KeyboardInterrupt in the thread that judges: here out of the listener."""
    from judge.events import TestEnded

    from .packages import C_SUM, flat, submission

    class Once(list[Any]):
        def append(self, event: Any) -> None:
            if isinstance(event, TestEnded):
                raise KeyboardInterrupt

    problem, source = flat(tmp_path, 6), submission(tmp_path, C_SUM)
    jobs = min(2, len(cpus()))
    with pytest.raises(KeyboardInterrupt):
        judged(problem, source, Once(), jobs=jobs)
    assert not [t for t in threading.enumerate() if t.name.startswith("judge-")]
    result = judged(problem, source, jobs=jobs)
    assert result.verdict.word == "AC"
    assert "journal" in {test.origin for test in result.tests}
