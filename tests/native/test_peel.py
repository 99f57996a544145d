"""Taking a layer of files off a running sandbox: just the named ones, whatever the program did to the paths.

Files of the host stand in for those of lxcfs: what lies on top is the same kind of mount.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox import Result, SupervisorError
from sandbox import plan as planning
from sandbox.host import probe
from sandbox.native.peel import Peel, PeelWatch, result_of
from sandbox.native.run import launch
from sandbox.native.spawn import Spawner
from sandbox.procview import View
from sandbox.request import Request
from sandbox.seccomp import filter_for
from sandbox.steps import Bind, SwitchRoot
from sandbox.streams import open_streams
from sandbox.supervise import Supervision
from sandbox.validate import validate
from tests.native.conftest import REQUEST
from tests.runs.world import until

NAMES = ("proc/meminfo", "proc/swaps")


class World:
    """A lxcfs that is a process and a directory, and runs that see its files."""

    def __init__(self, directory: Path, spawner: Spawner) -> None:
        self.spawner, self.directory = spawner, directory
        (directory / "proc").mkdir()
        for name in NAMES:
            (directory / name).write_text("lxcfs\n")
        self.lxcfs = subprocess.Popen(["sleep", "1000"])
        self.pidfd = os.pidfd_open(self.lxcfs.pid)

    def close(self) -> None:
        self.lxcfs.kill()
        self.lxcfs.wait()
        os.close(self.pidfd)

    def run(
        self, script: str, when: Callable[[Any], None], *, pidfd: int | None = None,
        extra: tuple[Bind, ...] = (), paths: tuple[str, ...] = tuple(f"/{n}" for n in NAMES), **options: Any,
    ) -> Result:  # fmt: skip
        """``when`` is called each time that something has happened, with the Supervision."""
        request = Request(argv=["sh", "-c", script], wall=60, **options)
        spec = validate(request)
        view = View(kind="lxcfs", files=dict.fromkeys(NAMES, b"ours\n"), served=NAMES, source=str(self.directory))
        setup = list(planning.setup_steps(spec, probe(), view))
        at = next(n for n, step in enumerate(setup) if isinstance(step, SwitchRoot))
        setup[at:at] = extra
        streams = open_streams(request, None)
        program = filter_for(spec.policy).program
        plan = planning.build(spec, probe(), seccomp=program, setup=tuple(setup), view=view)
        run = launch(self.spawner, plan, streams.fds)
        streams.given()
        file = f"{self.directory}/{NAMES[0]}"
        peel = PeelWatch(
            Peel(spawner=self.spawner, pidfd=self.pidfd if pidfd is None else pidfd, paths=paths, file=file)
        )
        watch = Supervision(run, spec, None, streams, 1, True, peel)
        try:
            while not watch.done:
                left = watch.timeout()
                watch.step(0.1 if left is None else min(left, 0.1))
                when(watch)
            return watch.result()
        finally:
            watch.close()
            streams.close()


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    one = Spawner(uid_map=f"0 {os.getuid()} 1", gid_map=f"0 {os.getgid()} 1")
    one.wait_ready()
    yield one
    one.close()


@pytest.fixture
def world(tmp_path: Path, spawner: Spawner) -> Iterator[World]:
    one = World(tmp_path, spawner)
    yield one
    one.close()


BOTH = "cat /proc/meminfo /proc/swaps"
UNTIL_OURS = f"{BOTH}; echo ready; until grep -q ours /proc/swaps; do :; done; {BOTH}"
PEELED = "lxcfs died during the run: /proc has shown our own files since then"


def kill_once(world: World) -> Callable[[Any], None]:
    def when(watch: Any) -> None:
        if watch.began and world.lxcfs.returncode is None:
            until(lambda: False, 0.1)  # let it read
            world.lxcfs.kill()
            world.lxcfs.wait()

    return when


def test_the_layer_below_shows_again(world: World) -> None:
    result = world.run(UNTIL_OURS, kill_once(world))
    assert result.ok and result.stdout == b"lxcfs\nlxcfs\nready\nours\nours\n" and result.notes == (PEELED,)


def test_the_rest_is_as_it_was(world: World) -> None:
    """Mounts before and after differ by those two lines; the program keeps its root, its /proc and its masks."""
    table = "cut -d ' ' -f 5- /proc/self/mountinfo | sort"
    wait = "echo ready; until grep -q ours /proc/swaps; do :; done"
    result = world.run(f"{table} >/tmp/a; {wait}; {table} >/tmp/b; diff /tmp/a /tmp/b", kill_once(world))
    gone = [line for line in result.stdout.decode().splitlines() if line[:1] in "<>"]
    assert len(gone) == 2 and all(line.startswith(("< /proc/meminfo ", "< /proc/swaps ")) for line in gone), gone


def test_in_a_sandbox_with_a_range_of_ids(world: World) -> None:
    """The user namespace is another kind of child of the spawner's; with one id more it would look the same."""
    result = world.run(UNTIL_OURS, kill_once(world), user=0)
    assert result.ok and result.notes == (PEELED,)


def test_without_a_death_nothing_happens(world: World) -> None:
    result = world.run(f"{BOTH}; sleep 0.3; {BOTH}", lambda _watch: None)
    assert result.stdout == b"lxcfs\n" * 4 and not result.notes


def test_the_death_before_the_start(world: World) -> None:
    world.lxcfs.kill()
    world.lxcfs.wait()
    result = world.run("until grep -q ours /proc/swaps; do :; done; cat /proc/meminfo", lambda _watch: None)
    assert result.stdout == b"ours\n" and result.notes == (PEELED,)


def kill_and_tell(world: World) -> Callable[[Any], None]:
    """As ``kill_once``; /mnt/go is made when the peel has been tried."""
    kill = kill_once(world)

    def when(watch: Any) -> None:
        kill(watch)
        if watch._peel._finished:
            (world.directory / "w" / "go").touch()

    return when


TRIED = f"{BOTH}; until [ -e /mnt/go ]; do sleep 0.05; done; {BOTH}"


def test_no_link_of_the_programs_is_followed(world: World) -> None:
    """A path of the plan that the program can change, made to lead to its /proc."""
    (world.directory / "w" / "d").mkdir(parents=True)
    result = world.run(f"rmdir /mnt/d; ln -s /proc /mnt/d; {TRIED}", kill_and_tell(world),
                       paths=("/mnt/d/meminfo", "/mnt/d/swaps"), volumes=[f"{world.directory}/w:/mnt:rw"])  # fmt: skip
    assert result.stdout == b"lxcfs\nlxcfs\nlxcfs\nlxcfs\n"
    assert "could not be taken away: too many levels of symbolic links" in result.notes[0]


def test_a_path_that_is_no_mount(world: World) -> None:
    (world.directory / "w").mkdir()
    result = world.run(TRIED, kill_and_tell(world), paths=("/proc/meminfo", "/proc/loadavg"),
                       volumes=[f"{world.directory}/w:/mnt"])  # fmt: skip
    assert result.stdout == b"lxcfs\nlxcfs\nours\nlxcfs\n" and "invalid argument" in result.notes[0]


def test_it_asks_where_it_cannot_watch(world: World) -> None:
    """Every second, by a process that may hang; here the file is gone as a dead one is: it cannot be read."""
    asked: list[int] = []

    def when(watch: Any) -> None:
        if watch._peel._question is not None:
            asked.append(watch._peel._question.pidfd)
        if len(asked) > 1 and (world.directory / NAMES[0]).exists():
            (world.directory / NAMES[0]).unlink()

    result = world.run("until grep -q ours /proc/swaps; do sleep 0.05; done", when, pidfd=-1)
    assert result.ok and result.notes == (PEELED,)


def test_a_question_without_an_answer_does_not_hold_up_the_run(world: World) -> None:
    """A fifo that nobody writes stands for a server that hangs."""
    file = world.directory / NAMES[0]
    started = time.monotonic()

    def when(watch: Any) -> None:
        if watch.began and file.is_file():
            file.unlink()
            os.mkfifo(file)

    result = world.run("sleep 3; echo done", when, pidfd=-1)
    assert result.stdout == b"done\n" and not result.notes and time.monotonic() - started < 30


def test_fds_of_a_run_are_closed(world: World) -> None:
    before = set(os.listdir("/proc/self/fd"))
    world.run(UNTIL_OURS, kill_once(world))
    world.run("true", lambda _watch: None)
    world.run("sleep 1.2", lambda _watch: None, pidfd=-1)
    assert set(os.listdir("/proc/self/fd")) == before


# ---- requests ----


@pytest.mark.parametrize(
    ("paths", "fds"),
    [(b"", 2), (b"/proc/meminfo", 2), (b"/proc/meminfo\0", 1), (b"/proc/meminfo\0", 3), (b"/x\0" * 30000, 2)],
    ids=["nothing", "no-end", "one-namespace", "three", "too-long"],
)
def test_bad_requests_are_refused(paths: bytes, fds: int, wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    request = REQUEST.pack(lib.PYSB_MAGIC, lib.PYSB_REQ_PEEL, 0, len(paths), 0, 0, 0)
    answer = one.ask(request, paths, extra_fds=fds - 1)
    assert answer.ended and answer.kinds == [lib.PYSB_FAILED] and answer.errors == [errno.EBADMSG]
    assert one.alive() and lib.PYSB_ENDED in one.good(status_run).kinds


def test_files_that_are_no_namespaces(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    request = REQUEST.pack(lib.PYSB_MAGIC, lib.PYSB_REQ_PEEL, 0, 14, 0, 0, 0)
    answer = one.ask(request, b"/proc/meminfo\0", extra_fds=1)
    assert answer.ended and answer.kinds == [lib.PYSB_PEELED]
    assert one.alive() and lib.PYSB_ENDED in one.good(status_run).kinds


def test_the_hosts_own_namespaces_cannot_be_entered(spawner: Spawner) -> None:
    """What it is given decides where it goes; with the caller's rights alone it goes nowhere above them."""
    user, mount = (os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in ("user", "mnt"))
    before = Path("/proc/self/mountinfo").read_text()
    answer = Peel(spawner=spawner, pidfd=-1, paths=("/proc/meminfo",)).begin(user, mount)
    try:
        assert select.select([answer], [], [], 10)[0]
        assert result_of(answer) == (0, errno.EPERM)
    finally:
        for fd in (user, mount, answer):
            os.close(fd)
    assert Path("/proc/self/mountinfo").read_text() == before


def test_both_dead_is_told_as_the_death_of_the_run(world: World) -> None:
    """A private lxcfs dies with the spawner, and may be noticed first."""

    def when(watch: Any) -> None:
        if watch.began and world.lxcfs.returncode is None:
            os.kill(world.spawner.pid, signal.SIGKILL)
            until(lambda: not world.spawner.alive())
            world.lxcfs.kill()
            world.lxcfs.wait()

    with pytest.raises(SupervisorError, match="init died before the program ended"):
        world.run("sleep 100", when)


def test_a_dead_spawner_is_an_error(spawner: Spawner) -> None:
    os.kill(spawner.pid, signal.SIGKILL)
    assert until(lambda: not spawner.alive())
    with pytest.raises(SupervisorError):
        Peel(spawner=spawner, pidfd=-1, paths=("/proc/meminfo",)).begin(0, 0)
