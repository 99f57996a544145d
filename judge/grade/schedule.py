"""Several tests at once, each worker on a CPU of its own; and reruns for which everything else of ours waits.

Workers are threads: while a program runs its worker waits in poll(2), and launching takes about a millisecond of
Python. Measured on 2 CPUs, 200 runs of a tiny program under all limits: 2 threads 3.4 ms a run, 2 processes 3.5 ms, 1
worker 4.3 ms; processes would have to be forked and fed for nothing.

Tests are started in the package's order and may end in any; who asks for results does that in the package's order, so
the outcome is the same for any number of workers.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import Sandbox, SandboxError

from ..errors import JudgeError
from ..facts import Evidence

_CPUS = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class Worker:
    """cpuset: the CPU to which its runs are pinned, None for none. box, scratch: its own. helper: a second box, for the
    package's programs: a spawner makes one sandbox ahead, and kinds that take turns would never find theirs."""

    number: int
    cpuset: str | None
    box: Sandbox
    scratch: Path
    helper: Sandbox | None = None


Work = Callable[[Worker, str], Evidence]


def cpus(available: Iterable[int] | None = None, root: str = _CPUS) -> list[int]:
    """The CPUs we may use, in the order in which workers take them: first one hardware thread of each core."""
    free = sorted(os.sched_getaffinity(0) if available is None else available)
    cores: dict[str, int] = {}
    rank: dict[int, int] = {}
    for cpu in free:
        core = _siblings(cpu, root)
        rank[cpu] = cores[core] = cores.get(core, -1) + 1
    return sorted(free, key=lambda cpu: (rank[cpu], cpu))


def cores(chosen: Sequence[int], root: str = _CPUS) -> int:
    """On how many cores these CPUs are."""
    return len({_siblings(cpu, root) for cpu in chosen})


def choose(jobs: int) -> list[int]:
    """A CPU for each of ``jobs`` workers. Raises JudgeError if there are fewer."""
    free = cpus()
    if jobs < 1:
        raise JudgeError(f"jobs {jobs}: at least one is needed")
    if jobs > len(free):
        raise JudgeError(f"jobs {jobs}: this process may use {len(free)} CPUs, and two runs on one would take time "
                         f"from each other; use -j {len(free)}")  # fmt: skip
    return free[:jobs]


def _siblings(cpu: int, root: str) -> str:
    try:
        return Path(root, f"cpu{cpu}", "topology", "thread_siblings_list").read_text().strip()
    except OSError:  # not told: each is taken for a core
        return str(cpu)


class Gate:
    """Runs side by side, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._waiting = 0
        self._alone = False

    @contextmanager
    def beside(self) -> Iterator[Callable[[], int]]:
        """A run that others may accompany; what it gives says how many do now."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._running += 1
        try:
            yield lambda: self._running - 1
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until nothing runs, and lets nothing start. Not inside of ``beside``."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._alone and not self._running)
                self._alone = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


class Schedule:
    """``work(worker, name)`` for the names in ``order``; ``finished(name, evidence)`` is called for each in the thread
    that asks. With one worker everything is done in that thread, when it is asked for."""

    def __init__(self, workers: Sequence[Worker], work: Work, order: Sequence[str],
                 finished: Callable[[str, Evidence], None]) -> None:  # fmt: skip
        self._workers, self._work, self._finished = workers, work, finished
        self._order = deque(order)
        self._ended: dict[str, Evidence] = {}
        self._dropped: set[str] = set()
        self._lock = threading.Lock()
        self._done: queue.SimpleQueue[tuple[str, Evidence]] = queue.SimpleQueue()
        self._closing = False
        self._busy: set[int] = set()
        self._threads = [threading.Thread(target=self._serve, args=(w,), name=f"judge-{w.number}", daemon=True)
                         for w in workers] if len(workers) > 1 else []  # fmt: skip
        for thread in self._threads:
            thread.start()

    def get(self, name: str) -> Evidence:
        """What came of this test; waits for it."""
        if not self._threads:
            evidence = self._ended.get(name)
            if evidence is None:
                evidence = self._ended[name] = _guarded(self._work, self._workers[0], name)
                self._finished(name, evidence)
            return evidence
        while name not in self._ended:
            done, evidence = self._done.get()
            self._ended[done] = evidence
            self._finished(done, evidence)
        return self._ended[name]

    def drop(self, names: Iterable[str]) -> None:
        """Nobody will ask for these: do not start them."""
        with self._lock:
            self._dropped.update(names)

    def close(self) -> None:
        """Ends what still runs, and waits for the workers."""
        with self._lock:
            self._closing = True
            busy = set(self._busy)
        for worker in self._workers:
            if worker.number in busy:
                for box in (worker.box, worker.helper):
                    with suppress(SandboxError, OSError):
                        if box is not None:
                            box.close()  # kills its runs
        for thread in self._threads:
            thread.join()

    def _serve(self, worker: Worker) -> None:
        while (name := self._next(worker)) is not None:
            evidence = _guarded(self._work, worker, name)
            with self._lock:
                self._busy.discard(worker.number)
                if self._closing:  # it may have been killed: that is nobody's result
                    return
            self._done.put((name, evidence))

    def _next(self, worker: Worker) -> str | None:
        with self._lock:
            while self._order and not self._closing:
                name = self._order.popleft()
                if name not in self._dropped:
                    self._busy.add(worker.number)
                    return name
        return None


def _guarded(work: Work, worker: Worker, name: str) -> Evidence:
    """A mistake in our own code is a fault of ours as well, and ends in JE rather than in a worker that is gone."""
    try:
        return work(worker, name)
    except Exception as error:
        return Evidence(fault=f"{type(error).__name__}: {error}")
