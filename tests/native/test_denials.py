"""Refused calls, as the init tells of them on the wire: kinds, counts, memory, deaths, a reader who does not read."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox.native._core import lib

from sandbox.listening import Listening
from sandbox.raw import RawDenial, read

EVENT = struct.Struct("=IIIiiIIiQQQQ")
NUMBERS = {"x86_64": {"chroot": 161, "umount2": 166, "gettid": 186}, "aarch64": {"chroot": 51, "umount2": 39,
           "gettid": 178}}[os.uname().machine]  # fmt: skip
LISTENING = Listening(number=1536, denials=True, required=True)
EPERM, ENOSYS = 0x00050001, 0x00050026

WORDS = f"""
import ctypes, os, signal, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
chroot, umount2, gettid = {NUMBERS["chroot"]}, {NUMBERS["umount2"]}, {NUMBERS["gettid"]}
def call(number, *words):
    result = libc.syscall(number, *words)
    return -ctypes.get_errno() if result < 0 else result
"""


@pytest.fixture
def ask(wire: Callable[..., Any], pack: Any) -> Callable[..., Any]:
    """``ask(code)`` -> the answer of a run of that Python, under a listener."""

    def asked(code: str, **options: Any) -> Any:
        packed = pack(["/usr/bin/python3", "-IS", "-c", WORDS + code], listening=LISTENING, **options)
        return wire().good(packed)

    return asked


def told(answer: Any) -> tuple[tuple[RawDenial, ...], int]:
    events = [(EVENT.unpack(raw[: EVENT.size]), raw[EVENT.size :]) for raw in answer.raw]
    first = {event[2]: extra for event, extra in events if event[0] == lib.PYSB_DENIED}
    counts = [extra for event, extra in events if event[0] == lib.PYSB_DENIALS]
    assert len(counts) <= 1
    return read(first, counts[0] if counts else None)


def status(answer: Any) -> int:
    ended = [EVENT.unpack(raw[: EVENT.size]) for raw in answer.raw if raw[:4] == lib.PYSB_ENDED.to_bytes(4, "little")]
    return int(ended[-1][4])


def number(one: RawDenial) -> int:
    return int.from_bytes(one.data[:4], "little", signed=True)


def test_each_kind_is_told_once_and_counted(ask: Callable[..., Any]) -> None:
    answer = ask("print([call(chroot, b'/first', 7, 8, 9), call(chroot, b'/other'), call(umount2, b'/mnt', 3)])")
    assert answer.output == b"[-1, -1, -1]\n" and status(answer) == 0
    denials, more = told(answer)
    found = {number(one): one for one in denials}
    one, two = found[NUMBERS["chroot"]], found[NUMBERS["umount2"]]
    assert (one.count, one.exact, one.action) == (2, True, EPERM) and (two.count, two.action) == (1, EPERM)
    assert one.memory[0].startswith(b"/first\0") and len(one.memory) == 6
    assert one.memory[1:4] == (b"", b"", b"") and two.memory[0].startswith(b"/mnt\0")
    assert struct.unpack_from("=3Q", one.data, 24) == (7, 8, 9) and not more
    # the counts come last but one
    assert answer.kinds[-2:] == [lib.PYSB_DENIALS, lib.PYSB_ENDED]


def test_nothing_refused_is_nothing_told(ask: Callable[..., Any]) -> None:
    answer = ask("print(call(gettid) > 0)")
    assert answer.output == b"True\n" and lib.PYSB_DENIED not in answer.kinds and lib.PYSB_DENIALS not in answer.kinds


def test_32_kinds_and_no_more(ask: Callable[..., Any]) -> None:
    code = "print({call(600 + n) for n in range(50) for _ in range(2)}, call(600), call(649))"
    answer = ask(code)
    assert answer.output == b"{-38} -38 -38\n"
    denials, more = told(answer)
    assert [number(one) for one in denials] == list(range(600, 632)) and len(denials) == lib.PYSB_MAX_DENIALS
    assert [one.count for one in denials] == [3] + [2] * 31 and more == 2 * 18 + 1
    assert {one.action for one in denials} == {ENOSYS}


def test_memory_at_the_edge_of_a_mapping(ask: Callable[..., Any]) -> None:
    """What can be read up to a hole, nothing where nothing is, and numbers that are no address at all."""
    code = """
import mmap
at = libc.mmap
at.restype, at.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
page = at(None, 8192, 3, 0x22, -1, 0)
libc.munmap(ctypes.c_void_p(page + 4096), 4096)
ctypes.memset(page, 0x61, 4096)
V = ctypes.c_uint64
print(call(chroot, V(page + 4096 - 5), V(page), V(2**64 - 1), V(2**63), V(2**63 - 1), V(page + 4096)))
"""
    answer = ask(code)
    assert answer.output == b"-1\n"
    (one,), _more = told(answer)
    assert one.memory == (b"aaaaa", b"a" * 128, b"", b"", b"", b"")


def test_memory_that_is_closed_is_no_error(ask: Callable[..., Any]) -> None:
    code = "libc.prctl(4, 0, 0, 0, 0)\nprint(call(chroot, b'/first'))"  # PR_SET_DUMPABLE
    answer = ask(code)
    assert answer.output == b"-1\n"
    (one,), _more = told(answer)
    assert one.memory == (b"",) * 6 and number(one) == NUMBERS["chroot"]


# ---- death ----

DEADLY = """
version = 1
description = "chroot is death"
default = "allow"
[groups.deadly]
action = "kill"
calls = ["chroot"]
[groups.quiet]
action = "errno:0"
calls = ["umount2"]
"""


@pytest.fixture
def deadly(tmp_path: Path) -> str:
    file = tmp_path / "deadly.toml"
    file.write_text(DEADLY)
    return str(file)


@pytest.mark.parametrize("before", [
    "",
    "signal.signal(signal.SIGSYS, lambda *_: os._exit(3))",
    "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    "signal.signal(signal.SIGSYS, signal.SIG_IGN)",
    "libc.prctl(4, 0, 0, 0, 0)",
])  # fmt: skip
@pytest.mark.parametrize("where", ["call(chroot, b'/x')", "t = threading.Thread(target=call, args=(chroot, b'/x'))\n"
                                   "t.start(); t.join()"])  # fmt: skip
def test_the_program_dies_as_by_sigsys(before: str, where: str, ask: Callable[..., Any], deadly: str) -> None:
    """Whatever it did to SIGSYS, and from any of its threads."""
    answer = ask(f"{before}\nprint('before', flush=True)\n{where}\nprint('after', flush=True)", policy=deadly)
    assert answer.output == b"before\n" and status(answer) == signal.SIGSYS
    (one,), _more = told(answer)
    assert one.action == 0x80000000 and one.count == 1 and number(one) == NUMBERS["chroot"]


def test_a_child_dies_alone(ask: Callable[..., Any], deadly: str) -> None:
    """Its parent sees SIGKILL: a SIGSYS from outside could be caught."""
    code = "pid = os.fork()\nif not pid: call(chroot, b'/x'); os._exit(0)\nprint(os.waitpid(pid, 0)[1])"
    answer = ask(code, policy=deadly)
    assert answer.output == b"9\n" and status(answer) == 0
    assert [number(one) for one in told(answer)[0]] == [NUMBERS["chroot"]]


def test_errno_0_is_success(ask: Callable[..., Any], deadly: str) -> None:
    answer = ask("print(call(umount2, b'/nothing'))", policy=deadly)
    assert answer.output == b"0\n"
    assert [one.action for one in told(answer)[0]] == [0x00050000]


@pytest.mark.parametrize("options", [{"ids": "range"}, {"without": ["pid"]}, {"without": ["pid", "mount"]}], ids=str)
def test_in_other_kinds_of_sandboxes(options: dict[str, Any], deadly: str) -> None:
    from sandbox import run

    code = WORDS + "call(umount2, b'/a', 0)\n"
    code += "t = threading.Thread(target=call, args=(chroot, b'/x'))\nt.start(); t.join()"
    result = run(["/usr/bin/python3", "-IS", "-c", code], policy=deadly, denials="on", **options)
    assert result.signal == 31 and result.outcome == "syscall" and result.denials_known, result
    assert [(d.call, d.text) for d in result.denials] == [("umount2", 'umount2("/a", 0)'), ("chroot", 'chroot("/x")')]


# ---- nobody reads ----


def test_a_reader_who_does_not_read_stalls_nothing(wire: Callable[..., Any], pack: Any) -> None:
    """The program goes on, and what found no room is counted. Its end is told when somebody reads."""
    code = WORDS + "print({call(600 + n) for n in range(40) for _ in range(100)}, flush=True)"
    packed = pack(["/usr/bin/python3", "-IS", "-c", code], listening=LISTENING)
    one = wire()
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is, some 4 KiB
    memfd, output = os.memfd_create("plan"), os.memfd_create("output")
    try:
        os.write(memfd, packed.setup + packed.run)
        with mine:
            with theirs:
                one.send(packed.request(), [theirs.fileno(), memfd, output])
            end = time.monotonic() + 20
            while not os.fstat(output).st_size and time.monotonic() < end:
                time.sleep(0.02)
            assert os.pread(output, 100, 0) == b"{-38}\n"
            kinds, first, counts = [], {}, None
            mine.settimeout(10)
            while data := mine.recv(4096):
                event = EVENT.unpack(data[: EVENT.size])
                kinds.append(event[0])
                if event[0] == lib.PYSB_DENIED:
                    first[event[2]] = data[EVENT.size :]
                elif event[0] == lib.PYSB_DENIALS:
                    counts = data[EVENT.size :]
            assert kinds[-1] == lib.PYSB_ENDED
            assert len(first) < 32, "the socket has taken everything: this tests nothing"
            denials, more = read(first, counts)
            assert sum(d.count for d in denials) + more == 4000 and more >= 800 + 100 * (32 - len(first))
    finally:
        os.close(memfd)
        os.close(output)


def test_the_init_obeys_between_refusals(wire: Callable[..., Any], pack: Any) -> None:
    """A signal that only it can pass on reaches a program that does nothing but call."""
    code = WORDS + "print('x', flush=True)\nwhile True: call(chroot, b'/x')"
    packed = pack(["/usr/bin/python3", "-IS", "-c", code], listening=LISTENING)
    one = wire()
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memfd, output = os.memfd_create("plan"), os.memfd_create("output")
    try:
        os.write(memfd, packed.setup + packed.run)
        with mine:
            with theirs:
                one.send(packed.request(), [theirs.fileno(), memfd, output])
            mine.settimeout(10)
            kind = -1
            while kind != lib.PYSB_DENIED:
                kind = int.from_bytes(mine.recv(4096)[:4], "little")
            time.sleep(0.1)
            start = time.monotonic()
            mine.send(struct.pack("=Ii", lib.PYSB_SIGNAL, signal.SIGTERM))
            counts = b""
            while data := mine.recv(4096):
                event = EVENT.unpack(data[: EVENT.size])
                if event[0] == lib.PYSB_DENIALS:
                    counts = data[EVENT.size :]
                elif event[0] == lib.PYSB_ENDED:
                    assert event[4] == signal.SIGTERM
            assert time.monotonic() - start < 5
            assert int.from_bytes(counts[:8], "little") > 100
            assert not select.select([mine], [], [], 0)[0] or mine.recv(1) == b""
    finally:
        os.close(memfd)
        os.close(output)
