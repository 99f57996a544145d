"""Between two runs, and between a program and the processes that made its sandbox."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
LIST_FDS = ["/usr/bin/python3", "-IS", "-c", """
import fcntl
def is_open(fd):
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError:
        return False
print(*filter(is_open, range(4096)))
"""]  # fmt: skip


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox() as one:
        yield one


def at_once(number: int, work: Any) -> None:
    """``work(n)`` in so many threads; the first exception is raised here."""
    errors: list[BaseException] = []

    def guarded(n: int) -> None:
        try:
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_program_sees_three_fds(box: Sandbox) -> None:
    for _ in range(5):
        assert box.run(LIST_FDS).stdout == b"0 1 2\n"


def test_also_when_eight_run_at_once(box: Sandbox) -> None:
    def work(n: int) -> None:
        for round_number in range(4):
            read, write = os.pipe()
            try:
                passed = (read, write) if (n + round_number) % 2 else ()
                expected = " ".join(map(str, [0, 1, 2, *sorted(passed)]))
                found = box.run(LIST_FDS, pass_fds=passed, stdin=b"x" * n)
                assert found.stdout.decode() == expected + "\n", found
            finally:
                os.close(read)
                os.close(write)

    at_once(8, work)


@pytest.mark.parametrize("tty", [False, True])
def test_no_number_of_a_passed_fd_is_in_the_way(tty: bool, tmp_path: Path) -> None:
    """The launch needs fds of its own; none of them may sit where the caller wants one, or be written to."""
    target = tmp_path / "passed"
    with Sandbox() as box:
        box.run(["true"])
        for number in range(3, 48):
            try:
                os.fstat(number)
                continue  # in use here: pytest's, or the sandbox's
            except OSError:
                pass
            source = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if source != number:
                os.dup2(source, number)
                os.close(source)
            try:
                command = ["/usr/bin/python3", "-IS", "-c", f"import os; os.write({number}, b'mine')"]
                assert box.run(command, pass_fds=(number,), tty=tty).ok, number
                assert target.read_bytes() == b"mine", number
            finally:
                os.close(number)


def test_a_pipe_of_one_run_is_not_held_by_another(box: Sandbox) -> None:
    """The end of its output is the end of the program, not of whatever was made beside it."""
    release, hold = os.pipe()
    ready, signal_ready = os.pipe()
    holder = threading.Thread(
        target=lambda: box.run(["sh", "-c", "echo >&3; read x"], stdin=release, pass_fds=(), stdout=signal_ready)
        if signal_ready == 3 else box.run(["sh", "-c", "echo; read x"], stdin=release, stdout=signal_ready)
    )  # fmt: skip
    holder.start()
    try:
        assert os.read(ready, 1) == b"\n"
        for _ in range(5):
            result = box.run(["sh", "-c", "echo here"], wall=20)
            assert result.ok and result.stdout == b"here\n"
    finally:
        os.close(hold)
        holder.join()
        for fd in (release, ready, signal_ready):
            os.close(fd)


def identities(result: Any) -> dict[str, int]:
    return {name: int(inode) for name, inode in json.loads(result.stdout).items()}


LIST_NAMESPACES = ["/usr/bin/python3", "-IS", "-c", f"""
import os, json
found = {{n: os.stat("/proc/self/ns/" + n).st_ino for n in {NAMESPACES!r}}}
found["root"] = os.stat("/").st_dev
found["tmp"] = os.stat("/tmp").st_dev
found["proc"] = os.stat("/proc").st_dev
found["pts"] = os.stat("/dev/pts").st_dev
os.mkdir("/tmp/mark"); os.mkdir("/work/mark"); os.mkdir("/dev/shm/mark")
print(json.dumps(found))
"""]  # fmt: skip


def test_no_sandbox_is_used_twice(box: Sandbox) -> None:
    """Fifty runs of one setup, most of them in a sandbox made ahead: every mark is new, and while two live
    at the same time none of their namespaces is the same (numbers of dead ones come again)."""
    for _ in range(50):
        assert identities(box.run(LIST_NAMESPACES))


def test_namespaces_of_fifty_living_sandboxes_differ() -> None:
    """All are kept alive until the last has started, so that no inode number can come again."""
    seen: dict[str, set[int]] = {}
    running = []
    hold = os.pipe()
    ends = []
    code = LIST_NAMESPACES[-1] + "\nimport sys; sys.stdout.flush(); sys.stdin.read()"
    try:
        with Sandbox(stdin=hold[0]) as box:
            for _ in range(50):
                read, write = os.pipe()
                ends += [read, write]
                run = box.start([*LIST_NAMESPACES[:-1], code], stdout=write)
                running.append(run)
                text = b""
                while not text.endswith(b"\n"):
                    run.supervision.step(0.05)
                    os.set_blocking(read, False)
                    try:
                        text += os.read(read, 4096)
                    except BlockingIOError:
                        pass
                for name, inode in json.loads(text).items():
                    assert inode not in seen.setdefault(name, set()), (name, len(seen[name]))
                    seen[name].add(inode)
            assert {len(inodes) for inodes in seen.values()} == {50}
            own = {name: os.stat(f"/proc/self/ns/{name}").st_ino for name in NAMESPACES}
            assert not any(own[name] in seen[name] for name in NAMESPACES)
    finally:
        for run in running:
            run.close()
        for fd in (*hold, *ends):
            os.close(fd)


LOOK_AT_INIT = ["/usr/bin/python3", "-IS", "-c", """
import os, json, ctypes
libc = ctypes.CDLL(None, use_errno=True)
def tried(what):
    try:
        return repr(what())
    except OSError as error:
        return error.errno
def call(*words):
    ctypes.set_errno(0)
    if libc.syscall(*(ctypes.c_long(w) for w in words)) < 0:
        raise OSError(ctypes.get_errno(), "")
found = {n: tried(lambda: open("/proc/1/" + n, "rb").read(64)) for n in ("mem", "environ", "maps", "auxv", "stack")}
found |= {n: tried(lambda: os.readlink("/proc/1/" + n)) for n in ("exe", "root", "cwd", "fd/0", "ns/pid", "ns/mnt")}
found |= {"open " + n: tried(lambda: os.open("/proc/1/" + n, os.O_RDONLY)) for n in ("exe", "root", "cwd", "ns/user")}
found["fd"] = tried(lambda: os.listdir("/proc/1/fd"))
found["map_files"] = tried(lambda: os.listdir("/proc/1/map_files"))
found["write mem"] = tried(lambda: os.open("/proc/1/mem", os.O_RDWR))
found["attach"] = tried(lambda: libc.ptrace(16, 1, 0, 0) and call(PTRACE, 16, 1, 0, 0))
found["seize"] = tried(lambda: call(PTRACE, 0x4206, 1, 0, 0))
buffer = ctypes.create_string_buffer(8)
iov = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
found["vm_readv"] = tried(lambda: call(READV, 1, ctypes.addressof(iov), 1, ctypes.addressof(iov), 1, 0))
pidfd = os.pidfd_open(1)
found["pidfd_getfd"] = tried(lambda: call(438, pidfd, 0, 0))
found["cmdline"] = open("/proc/1/cmdline", "rb").read().strip(b"\\0").decode()
print(json.dumps(found))
""".replace("PTRACE", "117" if os.uname().machine == "aarch64" else "101")
   .replace("READV", "270" if os.uname().machine == "aarch64" else "310")]  # fmt: skip


@pytest.mark.parametrize("options", [
    {}, {"policy": "none"}, {"ids": "range"}, {"policy": "none", "ids": "range"}, {"sysinfo": "on"},
    {"sysinfo": "on", "policy": "none", "ids": "range"},
])  # fmt: skip
def test_the_init_is_closed_to_the_program(options: dict[str, Any], box: Sandbox) -> None:
    """CVE-2019-5736 and CVE-2016-9962: not dumpable, so neither /proc nor ptrace opens it; with no filter too."""
    for _ in range(3):  # the third is made ahead
        result = box.run(LOOK_AT_INIT, **options)
        found = json.loads(result.stdout or b"{}")
        assert found, result.stderr
        assert found.pop("cmdline") == "pysandbox-spawner"
        assert {name: number for name, number in found.items() if number not in (1, 13)} == {}
