"""Acceptance line 9: from threads, tasks and forks at once: correct results, and no mix-up of outputs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox import Result, Sandbox, arun, run
from tests.runs.world import named, programs_of, until

PROGRAMS = Path(__file__).parent / "programs"


def echo(number: int, **options: object) -> None:
    text = f"read line; echo $line {number}; echo {number} >&2; exit {number % 200}"
    result = run(["sh", "-c", text], stdin=f"input {number}\n".encode(), **options)
    assert result.stdout == f"input {number} {number}\n".encode()
    assert result.stderr == f"{number}\n".encode()
    assert result.exit_code == number % 200


@pytest.mark.parametrize("options", [{}, {"mem": "64M", "time": 10}], ids=["plain", "limited"])
def test_16_threads(options: dict[str, object]) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: echo(number, **options), range(160)))
    assert not programs_of()


def test_16_threads_with_different_kinds_of_runs(program: Callable[[str], str]) -> None:
    """Neighbours that ask for other limits, views and ends: each gets its own."""

    eater, spin, die = program("eater"), program("spin"), program("die")

    def one(number: int) -> None:
        kind = number % 5
        if kind == 0:
            assert run([eater, "heap", "256"], mem="32M").outcome == "memory"
        elif kind == 1:
            assert run([spin, "one"], wall="200ms").exit_status == 124
        elif kind == 2:
            assert run(["hostname"], hostname=f"box{number}").stdout == f"box{number}\n".encode()
        elif kind == 3:
            assert run([die, "segv"]).signal == 11
        else:
            echo(number, mem="64M")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(80)))


def test_200_tasks() -> None:
    # In a process of its own: warnings and exceptions of the loop are on its stderr then.
    done = subprocess.run([sys.executable, "-X", "dev", PROGRAMS / "many_tasks.py"], capture_output=True, text=True,
                          check=False, timeout=100)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "0\n"), done
    assert done.stderr == ""


@pytest.mark.v2
def test_200_tasks_under_limits() -> None:
    async def one(number: int) -> bytes:
        return (await arun(["echo", str(number)], mem="32M", time=10)).stdout

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*(one(number) for number in range(200)))

    assert asyncio.run(all_of_them()) == [f"{number}\n".encode() for number in range(200)]


def test_the_event_loop_goes_on_meanwhile() -> None:
    async def measure() -> float:
        worst = 0.0
        sleeper = asyncio.ensure_future(arun(["sleep", "0.5"], mem="64M"))
        while not sleeper.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)
        assert sleeper.result().ok
        return worst

    assert asyncio.run(measure()) < 0.4, "the loop stood still while a program ran"


def test_two_loops_in_two_threads() -> None:
    def loop(number: int) -> list[Result]:
        async def several() -> list[Result]:
            return await asyncio.gather(*(arun(["echo", f"{number} {n}"]) for n in range(10)))

        return asyncio.run(several())

    with ThreadPoolExecutor(2) as pool:
        for number, results in enumerate(pool.map(loop, range(2))):
            assert [r.stdout for r in results] == [f"{number} {n}\n".encode() for n in range(10)]


@pytest.mark.parametrize("limits", [{}, {"mem": "64M"}], ids=["plain", "limited"])
def test_cancelling_a_task_kills_the_run(limits: dict[str, object]) -> None:
    async def cancel() -> None:
        task = asyncio.ensure_future(arun(["sh", "-c", "trap '' TERM; sleep 3600 & sleep 3600"], **limits))
        while len(named("sleep")) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not named("sleep"), "the task was gone before its run"

    asyncio.run(cancel())


def test_timeout_around_a_run() -> None:
    async def hurry() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(arun(["sleep", "3600"]), 0.3)

    asyncio.run(hurry())
    assert not named("sleep")


def test_cancelling_one_task_leaves_the_others() -> None:
    async def several() -> list[bytes]:
        tasks = [asyncio.ensure_future(arun(["sh", "-c", f"sleep 0.5; echo {n}"])) for n in range(6)]
        await asyncio.sleep(0.2)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(d, asyncio.CancelledError) for d in done[::2])
        return [d.stdout for d in done[1::2]]  # type: ignore[union-attr]

    assert asyncio.run(several()) == [b"1\n", b"3\n", b"5\n"]


def test_fork_of_the_caller() -> None:
    done = subprocess.run([sys.executable, PROGRAMS / "forked_caller.py"], capture_output=True, text=True, check=False,
                          timeout=60)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "0 0\n"), done


@pytest.mark.parametrize("limits", [{}, {"mem": "64M"}], ids=["plain", "limited"])
def test_keyboard_interrupt_kills_the_run(limits: dict[str, object]) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        if until(lambda: named("sleep")):
            signal.pthread_kill(main, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "3600"], **limits)
    helper.join()
    assert until(lambda: not named("sleep"), 1)
    assert run(["echo", "next"], **limits).stdout == b"next\n"


def test_closing_a_sandbox_ends_its_runs() -> None:
    box = Sandbox()
    running = box.start(["sleep", "3600"])
    assert until(lambda: named("sleep"))
    box.close()
    assert until(lambda: not named("sleep"), 1)
    running.close()
    assert box.run(["echo", "again"]).stdout == b"again\n"
    box.close()


def test_leaving_a_run_unfinished_kills_it() -> None:
    with Sandbox() as box:
        with box.start(["sleep", "3600"], mem="64M"):
            assert until(lambda: named("sleep"))
        assert until(lambda: not named("sleep"), 1)


def test_defaults_of_a_sandbox() -> None:
    with Sandbox(hostname="first", env={"A": "1"}) as box, Sandbox(hostname="second") as other:
        assert box.run(["sh", "-c", "hostname; echo $A"]).stdout == b"first\n1\n"
        assert other.run(["sh", "-c", "hostname; echo $A"]).stdout == b"second\n\n"
        assert box.run(["hostname"], hostname="third").stdout == b"third\n"
    with pytest.raises(TypeError):
        Sandbox(no_such_option=1)


def test_caller_that_changes_directory_and_closes_everything(tmp_path: Path) -> None:
    run(["true"])
    before = os.getcwd()
    try:
        os.chdir(tmp_path)
        assert run(["pwd"]).stdout == b"/work\n"
    finally:
        os.chdir(before)


@pytest.mark.parametrize("options", [{}, {"mem": "64M"}], ids=["plain", "limited"])
def test_caller_that_ignores_sigchld(options: dict[str, object]) -> None:
    """An ignored SIGCHLD is inherited through exec, and children of who ignores it leave no status."""
    handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with Sandbox(wall=5) as box:
            for code in (3, 4):
                result = box.run(["sh", "-c", f"exit {code}"], **options)
                assert (result.outcome, result.exit_code) == ("exited", code)
    finally:
        signal.signal(signal.SIGCHLD, handler)


def test_caller_that_blocks_and_ignores_everything() -> None:
    """Masks and dispositions of the caller are not the program's."""
    text = "grep -E '^Sig(Blk|Ign)' /proc/self/status; kill -TERM $$; echo alive"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    handlers = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE)}
    try:
        with Sandbox(wall=5) as box:
            result = box.run(["sh", "-c", text])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert (result.outcome, result.signal) == ("signaled", 15)
    assert result.stdout.split()[1::2] == [b"0" * 16] * 2


def test_few_file_descriptors() -> None:
    """With a soft limit of 128, 100 tasks and 40 threads wait for each other instead of failing, cancelled ones too."""
    code = """
import asyncio, resource, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from sandbox import HostError, Sandbox, arun, run

async def tasks(**limits):
    results = await asyncio.gather(*(arun(["echo", str(n)], **limits) for n in range(100)))
    print([r.stdout for r in results] == [b"%d\\n" % n for n in range(100)])

async def cancelled():
    waiting = [asyncio.create_task(arun(["sleep", "60"])) for _ in range(50)]
    await asyncio.sleep(0.2)
    for task in waiting:
        task.cancel()
    print({type(r).__name__ for r in await asyncio.gather(*waiting, return_exceptions=True)})
    print((await arun(["echo", "after"])).stdout)

asyncio.run(tasks())
asyncio.run(tasks(mem="32M", time=10))
wrong = []
def one(number):
    if run(["echo", str(number)], mem="32M").stdout != b"%d\\n" % number:
        wrong.append(number)
threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
[t.start() for t in threads]
[t.join() for t in threads]
print(wrong)
asyncio.run(cancelled())
with Sandbox() as box:
    running = []
    try:
        while True:
            running.append(box.start(["sleep", "60"]))
    except HostError as error:
        print(len(running) > 5, "file descriptor" in str(error), "ulimit -n" in str(error))
    for one in running:
        one.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})  # fmt: skip
    seen = done.stdout.splitlines()
    assert seen == ["True", "True", "[]", "{'CancelledError'}", "b'after\\n'", "True True True"], done


def test_closing_one_sandbox_leaves_the_cgroups_of_another_alone() -> None:
    """Its spawner used to remove every empty leaf of the process: one that another run was about to enter."""
    done, wrong = threading.Event(), []

    def opens_and_closes() -> None:
        while not done.is_set():
            with Sandbox(mem="64M", time=2) as other:
                other.run(["true"])

    thread = threading.Thread(target=opens_and_closes)
    thread.start()
    try:
        with Sandbox(mem="64M", time=2) as box:
            for _ in range(100):
                result = box.run(["true"])
                if not result.ok:
                    wrong.append(result)
    finally:
        done.set()
        thread.join()
    assert not wrong
