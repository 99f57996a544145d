"""notify=: a callable answers system calls that a policy asks about; it sees the caller's memory and nobody else's."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import (
    Allow,
    Kill,
    Notification,
    PolicyError,
    Refuse,
    RequestError,
    Result,
    Return,
    Sandbox,
    arun,
    run,
)
from tests.runs.world import all_gone, descendants, named, open_fds, until

pytestmark = pytest.mark.v2

Policy = Callable[..., str]
Reply = Allow | Refuse | Return | Kill


@pytest.fixture
def asks(tmp_path: Path) -> Policy:
    """``asks("connect")`` -> a policy as the default one, that asks about these calls."""

    def written(*calls: str) -> str:
        file = tmp_path / f"asks-{'-'.join(calls)}.toml"
        names = ", ".join(f'"{call}"' for call in calls)
        text = f'version = 1\nextends = "default"\n\n[groups.asked]\naction = "notify"\ncalls = [{names}]\n'
        file.write_text(text)
        return str(file)

    return written


def python(text: str, policy: str, notify: Callable[[Notification], Reply], **options: object) -> Result:
    return run(["python3", "-I", "-S", "-c", textwrap.dedent(text)], policy=policy, notify=notify, **options)


CONNECT = """
    import socket, sys
    for port in (80, 443):
        try:
            socket.socket().connect(("127.0.0.1", port))
        except OSError as error:
            print(port, error.errno)
"""


def test_the_address_of_connect(asks: Policy) -> None:
    """The handler reads the address from memory. Allowed, the kernel answers (nobody listens); refused, we do."""
    seen = []

    def decide(call: Notification) -> Reply:
        assert call.name == "connect" and call.abi == os.uname().machine and not call.start
        family, port = struct.unpack("=H", call.read(call.args[1], 2))[0], call.read(call.args[1] + 2, 2)
        seen.append((family, int.from_bytes(port, "big"), call.args[2]))
        return Allow() if port == b"\0\x50" else Refuse(errno.EACCES)

    result = python(CONNECT, asks("connect"), decide)
    assert result.ok, result
    assert result.stdout.split(b"\n")[:2] == [b"80 %d" % errno.ECONNREFUSED, b"443 %d" % errno.EACCES]
    assert seen == [(2, 80, 16), (2, 443, 16)]


def test_the_path_of_openat(asks: Policy) -> None:
    paths = []

    def decide(call: Notification) -> Reply:
        paths.append(call.string(call.args[1]))
        return Refuse(errno.EMFILE) if paths[-1] == b"/etc/passwd" else Allow()

    result = python("print(len(open('/etc/hostname').read()) > 0)\nopen('/etc/passwd')", asks("openat"), decide)
    assert result.exit_code == 1 and result.stdout == b"True\n" and b"Errno 24" in result.stderr
    assert {b"/etc/hostname", b"/etc/passwd"} <= set(paths)


def test_a_value_in_place_of_the_call(asks: Policy) -> None:
    result = python("import os; print(os.getppid(), os.getppid())", asks("getppid"), lambda _: Return(4242))
    assert result.stdout == b"4242 4242\n"


def test_the_start_is_told_from_later_executions(asks: Policy) -> None:
    """Ours, for each directory of PATH; what the program executes itself is not marked, and its path can be read."""
    seen = []

    def decide(call: Notification) -> Reply:
        if call.start:
            with pytest.raises(PermissionError):
                call.string(call.args[0])
            seen.append(b"")
        else:
            seen.append(call.string(call.args[0]))
        return Allow()

    result = run(["sh", "-c", "(exec sh -c 'exec true'); exec true"], policy=asks("execve"), notify=decide)
    assert result.ok
    own = [path for path in seen if path]
    assert seen[: len(seen) - len(own)] == [b""] * (len(seen) - len(own)) != []
    assert [os.path.basename(path) for path in own if path.startswith(b"/usr/bin")] == [b"sh", b"true", b"true"]


def test_a_forked_child_is_no_start(tmp_path: Path) -> None:
    """The first call that is asked about is an execve by a child that has executed nothing: it does not pass for ours,
    not even as an orphan, whose parent is that of the program."""
    policy = tmp_path / "asks.toml"
    policy.write_text("""version = 1
extends = "default"

[[rules]]
call = "execve"
action = "notify"
args = [{ index = 1, op = "==", value = 0 }]
""")
    starts = []

    def decide(call: Notification) -> Reply:
        starts.append((call.start, call.string(call.args[0])))
        return Refuse(errno.EACCES)

    program = """
        import ctypes, os, time
        if os.fork() == 0:
            if os.fork() == 0:
                while os.getppid() != 1:
                    time.sleep(0.01)
                ctypes.CDLL(None).execve(b"/bin/true", None, None)
                os.write(1, b"done")
            os._exit(0)
        os.wait()
        time.sleep(1)
    """
    result = python(program, str(policy), decide)
    assert result.ok and result.stdout == b"done"
    assert starts == [(False, b"/bin/true")]


def test_death_ends_the_run(asks: Policy) -> None:
    """All of it: a child asks, and its parent is gone too."""
    result = run(["sh", "-c", "echo one; (exec python3 -c 'import os; os.getppid()'); echo two"],
                 policy=asks("getppid"), notify=lambda call: Kill() if call.name == "getppid" else Allow())  # fmt: skip
    assert result.outcome == "syscall" and b"two" not in result.stdout
    assert "getppid" in result.causes[0].detail


class Refused(Exception):
    """What a handler raises here."""


def test_what_the_handler_raises_comes_out_of_run(asks: Policy) -> None:
    def decide(_call: Notification) -> Reply:
        raise Refused("no opinion")

    before, fds = descendants(), open_fds()
    with Sandbox() as box, pytest.raises(Refused, match="no opinion"):
        box.run(["python3", "-c", "import os; os.getppid()"], policy=asks("getppid"), notify=decide)
    assert until(lambda: descendants() == before)
    assert open_fds() == fds


@pytest.mark.parametrize("answer", [None, 0, True, Allow, errno.EPERM])
def test_an_answer_that_is_none(answer: object, asks: Policy) -> None:
    with pytest.raises(TypeError, match=r"it must return Allow\(\)"):
        python("import os; os.getppid()", asks("getppid"), lambda _call: answer)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("number", [0, -1, 4096])
def test_no_such_errno(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 4095"):
        Refuse(number)


def test_memory_that_is_not_there(asks: Policy) -> None:
    """Less comes back where less is mapped, nothing where nothing is; and nothing raises."""
    read = []

    def decide(call: Notification) -> Reply:
        if call.args[0] != 99:
            return Allow()
        address = call.args[1]
        read.extend([call.read(address, 8), call.read(address, 8192), call.read(0, 8), call.read((1 << 64) - 8, 8),
                     call.read(1 << 47, 8), call.read(address, 0), call.read(address + 8, -1)])  # fmt: skip
        return Return(0)

    program = """
        import ctypes, mmap
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        start = libc.mmap(None, ctypes.c_size_t(8192), 3, 0x22, -1, ctypes.c_long(0))
        libc.munmap(ctypes.c_void_p(start + 4096), ctypes.c_size_t(4096))
        ctypes.memmove(start + 4088, b"justhere", 8)
        libc.flock(99, 0)
        libc.syscall(73, ctypes.c_long(99), ctypes.c_long(start + 4088))
    """
    if os.uname().machine != "x86_64":
        pytest.skip("the number of flock is x86_64's")
    assert python(program, asks("flock"), decide).ok
    assert read[-7:] == [b"justhere", b"justhere", b"", b"", b"", b"", b""]


EVERYTHING = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup"]


@pytest.mark.parametrize("options", [{"ids": "range"}, {"without": ["pid"]}, {"without": EVERYTHING}],
                         ids=["range", "pid", "user"])  # fmt: skip
def test_memory_of_other_ids_and_numbers(options: dict[str, object], asks: Policy) -> None:
    """As another user, without a pid namespace, or in the caller's user namespace: the path is read all the same."""
    paths = []

    def decide(call: Notification) -> Reply:
        paths.append(call.string(call.args[1]))
        return Allow()

    result = python("open('/etc/hostname')", asks("openat"), decide, **options)
    assert result.ok, result.stderr
    assert b"/etc/hostname" in paths


def test_memory_of_a_process_that_is_not_dumpable(asks: Policy) -> None:
    paths = []

    def decide(call: Notification) -> Reply:
        paths.append(call.string(call.args[1]))
        return Allow()

    program = """
        import ctypes
        assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE
        open('/etc/hostname')
    """
    result = python(program, asks("openat"), decide)
    assert result.ok, result.stderr
    assert b"/etc/hostname" in paths


def test_the_notification_ends_with_the_answer(asks: Policy) -> None:
    kept = []

    def decide(call: Notification) -> Reply:
        assert call.waits
        kept.append(call)
        return Allow()

    assert python("import os; os.getppid()", asks("getppid"), decide).ok
    with pytest.raises(ProcessLookupError, match="answered"):
        kept[0].read(kept[0].args[0], 8)


def test_a_caller_that_is_gone(asks: Policy) -> None:
    """Killed while the handler thinks: its memory is not read, the answer goes nowhere, the run goes on."""
    errors = []

    def decide(call: Notification) -> Reply:
        os.kill(call.pid, signal.SIGKILL)
        until(lambda: not call.waits)
        try:
            call.read(call.args[0], 8)
        except ProcessLookupError as error:
            errors.append(error)
        return Allow()

    result = run(["sh", "-c", "python3 -c 'import os; os.getppid()'; echo $?"], policy=asks("getppid"),
                 notify=lambda call: decide(call) if not errors and named("python3") else Allow())  # fmt: skip
    assert result.ok and result.stdout == b"137\n", result
    assert errors


def test_limits_hold(asks: Policy) -> None:
    """A program that floods the handler with calls, and one whose handler is slow, meet their deadlines."""
    for handler in (lambda _call: Allow(), lambda _call: time.sleep(0.02) or Allow()):
        began = time.monotonic()
        result = python("import os\nwhile True: os.getppid()", asks("getppid"), handler, wall=0.5)  # type: ignore[arg-type]
        assert result.outcome in ("wall_time", "idle") and time.monotonic() - began < 10


def test_from_a_thread_and_from_asyncio(asks: Policy) -> None:
    """In whichever thread drives the run; under asyncio in the loop, which goes on meanwhile."""
    policy, where = asks("getppid"), []

    def decide(_call: Notification) -> Reply:
        where.append((threading.get_ident(), asyncio._get_running_loop() is not None))
        return Return(7)

    argv = ["python3", "-I", "-S", "-c", "import os; print(os.getppid())"]

    async def both() -> list[Result]:
        return await asyncio.gather(arun(argv, policy=policy, notify=decide), arun(argv, policy=policy, notify=decide))

    assert [result.stdout for result in asyncio.run(both())] == [b"7\n", b"7\n"]
    assert where == [(threading.get_ident(), True)] * 2


def test_what_the_handler_raises_comes_out_of_arun(asks: Policy) -> None:
    def decide(_call: Notification) -> Reply:
        raise Refused

    async def one() -> None:
        await arun(["python3", "-c", "import os; os.getppid()"], policy=asks("getppid"), notify=decide)

    with pytest.raises(Refused):
        asyncio.run(one())
    assert until(lambda: not named("python3"))


CALLER = """
import sys, time
from sandbox import run
def wait_for_ever(call):
    print("asked", flush=True)
    time.sleep(600)
run(["python3", "-c", "import os; os.getppid()"], policy=sys.argv[1], notify=wait_for_ever)
"""


def test_kill_9_of_the_caller_while_a_call_waits(asks: Policy) -> None:
    process = subprocess.Popen([sys.executable, "-c", CALLER, asks("getppid")], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"asked\n"
    tree = descendants(process.pid)
    assert "python3" in tree.values()
    process.kill()
    process.communicate()
    assert not all_gone(tree, 5)


def test_what_cannot_be_asked_for(asks: Policy) -> None:
    policy = asks("getppid")
    with pytest.raises(PolicyError, match="nobody listens"):
        run(["true"], policy=policy)
    with pytest.raises(RequestError, match="expected a callable"):
        run(["true"], policy=policy, notify="yes")
    with pytest.raises(RequestError, match="needs notify"):
        run(["true"], notify_all=True)
    for field in ("sysinfo", "denials"):
        with pytest.raises(RequestError, match=f"{field}=on"):
            run(["true"], policy=policy, notify=lambda _call: Allow(), **{field: "on"})


def test_the_rest_of_the_policy_holds(asks: Policy) -> None:
    """What it refuses never comes to the handler."""
    asked = []

    def decide(call: Notification) -> Reply:
        asked.append(call.name)
        return Allow()

    result = python("import ctypes, os\nos.getppid()\nprint(ctypes.CDLL(None).unshare(0x10000000))",
                    asks("getppid"), decide)  # fmt: skip
    assert result.stdout == b"-1\n" and asked == ["getppid"]


def test_every_call_if_asked_for() -> None:
    """notify_all: the policy's answers are the handler's to give."""
    asked: dict[str, int] = {}

    def decide(call: Notification) -> Reply:
        asked[call.name] = asked.get(call.name, 0) + 1
        return Allow()

    result = run(["true"], notify=decide, notify_all=True)
    assert result.ok
    assert {"execve", "openat", "mmap", "exit_group"} <= set(asked)
