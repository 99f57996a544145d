"""sysinfo(2) tells the limits, to every kind of caller, and fails where and only where it fails elsewhere."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import Result, Sandbox, run

MIB = 1 << 20
SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
YAMA = int(SCOPE.read_text()) if SCOPE.exists() else 0

pytestmark = pytest.mark.skipif(YAMA >= 3, reason="Yama lets nobody write; see unit/test_sysinfo.py")
TREE = Path(__file__).resolve().parents[2]
HOST_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

# struct sysinfo of sysinfo(2) on a 64-bit machine
READ = """
import ctypes, json, os, sys
class Told(ctypes.Structure):
    _fields_ = [("uptime", ctypes.c_long), ("loads", ctypes.c_ulong * 3)] + [(n, ctypes.c_ulong) for n in
        ("totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap")] + [
        ("procs", ctypes.c_ushort), ("pad", ctypes.c_ushort), ("totalhigh", ctypes.c_ulong),
        ("freehigh", ctypes.c_ulong), ("mem_unit", ctypes.c_uint)]
def told():
    t = Told()
    if ctypes.CDLL(None, use_errno=True).sysinfo(ctypes.byref(t)):
        raise OSError(ctypes.get_errno(), "sysinfo")
    return {n: list(v) if n == "loads" else v for n, v in ((n, getattr(t, n)) for n, _ in Told._fields_)}
"""


def told(code: str = "print(json.dumps(told()))", **options: Any) -> Any:
    result = run(["/usr/bin/python3", "-IS", "-c", READ + code], **options)
    assert result.ok, (result, result.stderr)
    return json.loads(result.stdout)


# ---- the figures ----


def test_all_of_them() -> None:
    found = told(mem="96M")
    assert found["totalram"] == 96 * MIB and found["mem_unit"] == 1
    assert 40 * MIB < found["freeram"] < 96 * MIB
    assert found["loads"] == [0, 0, 0] and found["procs"] == 2  # the init and this one
    assert 1 <= found["uptime"] <= 60
    assert not any(found[n] for n in ("totalswap", "freeswap", "sharedram", "bufferram", "totalhigh", "freehigh"))


def test_free_memory_is_what_is_left() -> None:
    code = "a = told()['freeram']; held = b'x' * (64 << 20); print(json.dumps([a, told()['freeram']]))"
    before, after = told(code, mem="160M")
    assert 60 * MIB < before - after < 80 * MIB


def test_no_more_than_the_machine_has() -> None:
    assert told(mem=HOST_BYTES * 4)["totalram"] == HOST_BYTES


def test_swap_is_the_limit_where_the_host_has_it() -> None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    swap = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("SwapTotal:"))
    found = told(mem="64M", swap="16M")
    assert found["totalswap"] == min(swap, 16 * MIB) and found["freeswap"] <= found["totalswap"]


@pytest.mark.parametrize("options", [{"mem": "256M"}, {"sysinfo": "on"}], ids=["cgroup", "no-cgroup"])
def test_processes_are_counted(options: dict[str, Any]) -> None:
    code = "r, w = os.pipe()\nfor _ in range(5):\n if not os.fork(): os.close(w); os.read(r, 1); os._exit(0)\n"
    assert told(code + "print(json.dumps(told()))", **options)["procs"] == 7


def test_without_a_time_namespace_uptime_is_the_host_s() -> None:
    found = told(mem="64M", without=["time"])["uptime"]
    assert abs(found - time.clock_gettime(time.CLOCK_BOOTTIME)) < 30


def test_uptime_agrees_with_proc() -> None:
    code = "u = float(open('/proc/uptime').read().split()[0]); print(json.dumps([u, told()['uptime']]))"
    for options in ({}, {"without": ["time"]}):
        proc, found = told(code, mem="64M", **options)
        assert proc <= found <= proc + 3


def test_without_a_limit_memory_is_the_host_s() -> None:
    found = told(sysinfo="on")
    assert found["totalram"] == HOST_BYTES and found["uptime"] <= 60 and found["loads"] == [0, 0, 0]


# ---- when ----


@pytest.mark.parametrize(
    ("options", "answered"),
    [
        ({}, False),
        ({"mem": "64M"}, True),
        ({"mem": "64M", "sysinfo": "off"}, False),
        ({"sysinfo": "on"}, True),
        ({"time": 5}, False),
        ({"mem": "64M", "cgroup": "none", "best_effort": True}, False),
        ({"mem": "64M", "without": ["mount"]}, False),
    ],
    ids=str,
)
def test_auto_and_by_name(options: dict[str, Any], answered: bool) -> None:
    result = run(["getconf", "_PHYS_PAGES"], **options)
    assert result.ok and result.sysinfo is answered and result.to_json()["sysinfo"] is answered
    limited = answered and "mem" in options
    assert int(result.stdout) * os.sysconf("SC_PAGE_SIZE") == (64 * MIB if limited else HOST_BYTES)


def test_on_the_command_line(judged: Callable[..., SimpleNamespace]) -> None:
    found = judged("--mem", "64M", "--", "getconf", "_PHYS_PAGES")
    assert found.sysinfo and int(found.out) * os.sysconf("SC_PAGE_SIZE") == 64 * MIB
    assert not judged("--mem", "64M", "--sysinfo", "off", "--", "true").sysinfo


WITHOUT = ["user", "pid", "mount", "net", "ipc", "uts", "cgroup"]


@pytest.mark.parametrize(
    "options",
    [
        {"ids": "range"},
        {"ids": "range", "user": "4711:4712"},
        {"ids": "range", "user": "0:0"},
        {"policy": "none"},
        {"tty": True},
        {"without": ["pid"]},
        {"without": ["pid"], "ids": "range"},
        {"without": ["pid", "mount"]},
        pytest.param({"without": WITHOUT}, marks=pytest.mark.skipif(YAMA >= 2, reason="no capability for Yama")),
    ],
    ids=str,
)
def test_in_every_kind_of_sandbox(options: dict[str, Any]) -> None:
    test = f"test $(getconf _PHYS_PAGES) = {64 * MIB // os.sysconf('SC_PAGE_SIZE')}"
    result = run(["sh", "-c", test], mem="64M", sysinfo="on", stdin=b"", **options)
    assert result.ok and result.sysinfo, (result, result.stderr)
    assert not any("sysinfo" in note for note in result.notes)


def test_under_the_strict_policy() -> None:
    result = run(["getconf", "_PHYS_PAGES"], mem="64M", policy="strict")
    assert result.sysinfo and int(result.stdout) * os.sysconf("SC_PAGE_SIZE") == 64 * MIB


@pytest.mark.parametrize("mode", ["ro", "scratch"])
def test_in_a_root_of_its_own(mode: str, tmp_path: Path) -> None:
    for name in ("proc", "dev", "tmp", "work", "etc"):
        (tmp_path / name).mkdir()
    command = ["gcc", "-static", "-pthread", "-o", tmp_path / "prog", TREE / "tests/runs/programs/sysinfo.c"]
    subprocess.run(command, check=True)
    result = run(["/prog", "total"], mem="64M", rootfs=f"{tmp_path}:{mode}")
    assert result.ok and result.sysinfo, (result, result.stderr)
    assert result.stdout.split() == [b"0", b"%d" % (64 * MIB)]


def test_a_new_pid_namespace_needs_a_proc_of_its_own(pysandbox: Callable[..., Any]) -> None:
    done = pysandbox("run", "--sysinfo", "on", "--without", "mount", "--", "true")
    assert done.returncode == 125 and "--sysinfo" in done.stderr and "pid" in done.stderr


# ---- programs that people run ----


def first_number(result: Result) -> int:
    assert result.ok and result.sysinfo, (result, result.stderr)
    return int(result.stdout.split()[0])


def test_python() -> None:
    code = "import os; print(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))"
    assert first_number(run(["/usr/bin/python3", "-c", code], mem="80M")) == 80 * MIB


def test_busybox() -> None:
    found = run(["busybox", "free", "-b"], mem="80M")
    assert found.ok, found
    line = found.stdout.split(b"\n")[1]
    assert line.removeprefix(b"Mem:").lstrip().startswith(b"%d" % (80 * MIB))  # others mix in /proc/meminfo


def test_java_takes_a_quarter_of_it() -> None:
    body = "public static void main(String[] a) { System.out.println(Runtime.getRuntime().maxMemory()); }"
    source = f"class Heap {{ {body} }}"
    for mem in (512 * MIB, 1024 * MIB):
        options: dict[str, Any] = {"mem": mem, "wall": 60, "disk": "512M"}
        command = f"cd /tmp && echo '{source}' > Heap.java && java -XX:+UseSerialGC Heap.java"
        heap = first_number(run(["sh", "-c", command], **options))
        assert 0.85 * mem / 4 < heap <= mem / 4  # MaxRAMPercentage is 25; one survivor space is not counted


# ---- callers ----


def test_every_kind_of_caller(program: Callable[[str], str]) -> None:
    result = run([program("sysinfo"), "ways"], mem="64M")
    assert result.ok, result
    # fork(2): the child's copy is written, and not what it was copied from
    assert result.stdout.decode().splitlines() == ["thread 0 1", "vfork 0 1", "fork 0 0", "stack 0"]


@pytest.mark.parametrize("options", [{}, {"ids": "range"}, {"policy": "none"}], ids=str)
def test_bad_pointers_fail_as_they_do_outside(options: dict[str, Any], program: Callable[[str], str]) -> None:
    outside = subprocess.run([program("sysinfo"), "pointers"], capture_output=True, check=True).stdout
    assert outside.count(f" {errno.EFAULT}".encode()) == 10, outside
    for kind in ("off", "on"):
        result = run([program("sysinfo"), "pointers"], mem="64M", sysinfo=kind, **options)
        assert result.ok and result.sysinfo is (kind == "on")
        assert result.stdout == outside, kind


def test_handlers_of_signals_do_not_disturb(program: Callable[[str], str]) -> None:
    result = run([program("sysinfo"), "signals"], mem="64M", wall=60)
    assert result.ok and result.stdout == b"failed 0\n", result


def test_no_answer_comes_after_a_handler_has_left_the_call(program: Callable[[str], str]) -> None:
    """SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: without it the buffer is written while it has another use."""
    result = run([program("sysinfo"), "left", "4000"], mem="64M", wall=60)
    assert result.ok and result.stdout == b"spoilt 0\n", result


def test_fifty_processes_at_once(program: Callable[[str], str]) -> None:
    result = run([program("sysinfo"), "flood", "50", "1000"], mem="128M", wall=100)
    assert result.ok and result.stdout == b"failed 0\n", result


def test_killed_in_the_middle(program: Callable[[str], str]) -> None:
    result = run([program("sysinfo"), "killed", "300"], mem="64M", wall=60)
    assert result.ok and result.stdout == b"after 0\n", result


@pytest.mark.parametrize("options", [{"mem": "128M"}, {"cgroup": "none", "sysinfo": "on"}], ids=["cgroup", "no-cgroup"])
def test_a_flood_does_not_keep_the_init_from_its_duties(options: dict[str, Any], program: Callable[[str], str]) -> None:
    """A deadline, and a signal that only the init can pass on."""
    argv = [program("sysinfo"), "flood", "50", "0"]
    start = time.monotonic()
    result = run(argv, wall=0.5, **options)
    assert result.outcome in ("wall_time", "idle") and result.sysinfo
    assert time.monotonic() - start < 20
    with Sandbox() as box, box.start(argv, grace=20, **options) as running:
        watch = running.supervision
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            watch.step(0.05)
        watch.interrupt(15)
        assert running.wait().signal == 15
    assert time.monotonic() - start < 30


def test_a_program_that_cannot_be_written_to_hears_of_the_host(program: Callable[[str], str]) -> None:
    result = run([program("sysinfo"), "undumpable"], mem="64M")
    assert result.ok and result.stdout.split() == [b"0", str(HOST_BYTES).encode()]
    assert result.sysinfo and any("not dumpable" in note for note in result.notes)


# ---- listeners ----

LISTENER = """
import ctypes, os, sys
def listener():  # for acct(2), which nobody here calls
    libc = ctypes.CDLL(None, use_errno=True)
    acct = 163 if os.uname().machine == "x86_64" else 89
    rows = b"\\x20\\0\\0\\0\\0\\0\\0\\0" + b"\\x15\\0\\0\\1" + acct.to_bytes(4, "little")
    rows += b"\\x06\\0\\0\\0\\0\\0\\xc0\\x7f" + b"\\x06\\0\\0\\0\\0\\0\\xff\\x7f"
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
    libc.prctl(38, 1, 0, 0, 0)
    number = 317 if os.uname().machine == "x86_64" else 277
    fd = libc.syscall(number, 1, 8, ctypes.byref(Program(4, rows)))
    return fd if fd >= 0 else -ctypes.get_errno()
"""


def test_a_program_gets_no_second_listener() -> None:
    code = LISTENER + "print(listener())"
    assert int(run(["/usr/bin/python3", "-c", code], sysinfo="on").stdout) == -errno.EBUSY
    assert int(run(["/usr/bin/python3", "-c", code]).stdout) == -errno.EBUSY  # refused calls are asked about
    assert int(run(["/usr/bin/python3", "-c", code], denials="off").stdout) > 2


def test_where_somebody_listens_already() -> None:
    code = f"""
{LISTENER}
assert listener() > 2
from sandbox import run, SetupError
found = run(["getconf", "_PHYS_PAGES"], mem="64M")
print(found.ok, found.sysinfo, int(found.stdout) == os.sysconf("SC_PHYS_PAGES"))
try:
    run(["true"], sysinfo="on")
except SetupError as error:
    print(error.step, error.errno, "--sysinfo and --denials off" in error.hint)
"""
    env = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stdout.splitlines() == ["True False True", f"Seccomp {errno.EBUSY} True"], done.stderr


@pytest.mark.parametrize("count", [0, 1, 40])
def test_the_listener_does_not_reach_the_program(count: int, tmp_path: Path) -> None:
    """Nor do its fds take a number that the program was promised."""
    look = "print(f, os.readlink(f'/proc/self/fd/{f}'))"
    file = tmp_path / "file"
    file.write_text("x")
    given = []
    try:
        for _ in range(count):
            given.append(os.open(file, os.O_RDONLY))
        code = f"import os\nfor f in range(2000):\n try: {look}\n except OSError: pass"
        result = run(["/usr/bin/python3", "-IS", "-c", code], mem="64M", pass_fds=given)
    finally:
        for fd in given:
            os.close(fd)
    assert result.ok and result.sysinfo, result
    seen = dict(line.split(" ", 1) for line in result.stdout.decode().splitlines())
    assert set(seen) == {"0", "1", "2", *map(str, given)}
    assert not any("seccomp" in text for text in seen.values())
