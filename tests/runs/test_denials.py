"""Refused system calls in the result: when they are looked for, what is seen, and that looking changes nothing."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import (
    Allow,
    HostError,
    Notification,
    PolicyError,
    Refuse,
    RequestError,
    Result,
    Sandbox,
    SetupError,
    run,
)
from sandbox.syscalls import number

TREE = Path(__file__).resolve().parents[2]
MACHINE = os.uname().machine
CALLS = {name: number(MACHINE, name) for name in ("chroot", "umount2", "getppid", "gettid")}

WORDS = f"""
import ctypes, os, signal, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
globals().update({CALLS!r})
def call(number, *words):
    result = libc.syscall(number, *words)
    return -ctypes.get_errno() if result < 0 else result
"""


def python(code: str, **options: Any) -> Result:
    return run(["/usr/bin/python3", "-IS", "-c", WORDS + code], **options)


def found(result: Result) -> dict[str, int]:
    return {d.call or str(d.number): d.count for d in result.denials}


def policy(tmp_path: Path, text: str) -> str:
    file = tmp_path / "policy.toml"
    file.write_text(f'version = 1\ndescription = "a test"\n{text}')
    return str(file)


# ---- when ----


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, True),
        ({"denials": "on"}, True),
        ({"denials": "off"}, False),
        ({"mem": "64M"}, True),
        ({"mem": "64M", "denials": "off"}, False),
        ({"sysinfo": "off"}, True),
        ({"policy": "none"}, True),  # refuses nothing, so nothing was missed
        ({"policy": "none", "denials": "off"}, False),
        ({"without": ["mount"]}, False),
        ({"without": ["mount", "pid"]}, True),
        ({"nofile": 16}, True),
        ({"nofile": 5000}, True),
        ({"tty": True}, True),
        ({"ids": "range"}, True),
    ],
    ids=str,
)
def test_auto_and_by_name(options: dict[str, Any], known: bool) -> None:
    result = python("print(call(chroot, b'/x'))", **options)
    said = b"" if "tty" in options else b"-2" if options.get("policy") == "none" else b"-1"
    assert result.ok and result.stdout.strip() == said, result
    assert result.denials_known is known and result.to_json()["denials_known"] is known
    assert found(result) == ({"chroot": 1} if known and options.get("policy") != "none" else {})
    assert result.sysinfo is ("mem" in options)


def test_on_the_command_line(judged: Callable[..., SimpleNamespace]) -> None:
    words = ["--", "/usr/bin/python3", "-IS", "-c", WORDS + "call(chroot, b'/x', 0, 0, 0, 0)"]
    seen = judged("--denials", "on", *words)
    assert seen.denials_known and [d["text"] for d in seen.denials] == ['chroot("/x")']
    seen = judged("--denials", "off", *words)
    assert not seen.denials_known and seen.denials == []


def test_what_needs_the_proc_of_a_pid_namespace() -> None:
    with pytest.raises(RequestError, match="pid namespace"):
        run(["true"], denials="on", without=["mount"])


# ---- what ----


@pytest.mark.v2
def test_every_thread_and_every_child(tmp_path: Path) -> None:
    code = """
def many(): [call(chroot, b'/x') for _ in range(50)]
threads = [threading.Thread(target=many) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
for _ in range(3):
    if not os.fork(): many(); os._exit(0)
for _ in range(3): os.wait()
os.execv('/usr/bin/python3', ['python3', '-IS', '-c', sys.argv[1]])
"""
    again = WORDS + "call(chroot, b'/y'); call(umount2, b'/z')"
    result = run(["/usr/bin/python3", "-IS", "-c", WORDS + code, again])
    assert result.ok and found(result) == {"chroot": 351, "umount2": 1} | (
        {"clone3": found(result)["clone3"]} if "clone3" in found(result) else {}
    )


@pytest.mark.v2
def test_memory_of_the_first_call() -> None:
    (one,) = python("call(chroot, b'/etc/shadow\\x1b[31m', 0, 0, 0, 0); call(chroot, b'/other')").denials
    assert one.text == 'chroot("/etc/shadow\\x1b[31m")' or "/etc/shadow" in one.text
    assert one.count == 2 and "\x1b" not in one.text


@pytest.mark.parametrize("name", ["default", "strict"])
def test_looking_changes_no_answer(name: str) -> None:
    """Every number that a policy refuses whatever the arguments: the same errno with and without a listener."""
    from sandbox.policy import load
    from sandbox.policy.answer import answer_number

    loaded = load(name)
    # 335 and 336 of x86_64, uretprobe and uprobe, pass by every filter since Linux 6.14
    numbers = [n for n in range(1100) if n not in (335, 336)]
    refused = [n for n in numbers if answer_number(loaded, MACHINE, n, (0,) * 6).action.startswith("errno:")]
    assert len(refused) > 600
    code = f"print([call(n, 0, 0, 0, 0, 0, 0) for n in {refused!r}])"
    quiet, loud = (python(code, policy=name, denials=how) for how in ("off", "on"))
    assert quiet.ok and loud.ok and quiet.stdout == loud.stdout
    assert loud.denials and any("more refused" in note for note in loud.notes)
    assert len(loud.denials) == 32


def test_a_flood_does_not_keep_the_init_from_its_duties() -> None:
    start = time.monotonic()
    result = python("while True: call(chroot, b'/x')", wall=0.5)
    assert result.outcome in ("wall_time", "idle") and time.monotonic() - start < 20
    assert "chroot" in found(result)


def test_100000_refused_calls_are_counted_and_end() -> None:
    result = python("for _ in range(100000): libc.syscall(chroot, 0)", wall=100)
    assert result.ok and found(result) == {"chroot": 100000}, result


def test_what_is_cut_short_says_so() -> None:
    result = python("call(chroot, b'/x')\ntime.sleep(100)", mem="64M", wall=1)
    assert result.outcome in ("wall_time", "idle") and found(result) == {"chroot": 1} and result.denials_known
    assert [denial.exact for denial in result.denials] == [False]


@pytest.mark.v2
def test_a_death_is_named(tmp_path: Path) -> None:
    deadly = policy(tmp_path, 'default = "allow"\n[groups.no]\naction = "kill"\ncalls = ["chroot"]\n')
    result = python("call(chroot, b'/x')", policy=deadly)
    assert (result.outcome, result.signal) == ("syscall", 31) and found(result) == {"chroot": 1}
    assert f"chroot ({CALLS['chroot']})" in result.causes[0].detail
    quiet = python("call(chroot, b'/x')", policy=deadly, denials="off")
    assert (quiet.outcome, quiet.signal, quiet.denials) == ("syscall", 31, ())


def test_the_program_s_own_filter_comes_first() -> None:
    """A filter of its own that is stricter is obeyed, and what it answers is not ours to report."""
    code = f"""
rows = b"\\x20\\0\\0\\0\\0\\0\\0\\0" + b"\\x15\\0\\0\\1" + ({CALLS["chroot"]}).to_bytes(4, "little")
rows += b"\\x06\\0\\0\\0" + (0x50000 | 77).to_bytes(4, "little") + b"\\x06\\0\\0\\0\\0\\0\\xff\\x7f"
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc.prctl(38, 1, 0, 0, 0)
print(libc.prctl(22, 2, ctypes.byref(Program(4, rows)), 0, 0), call(chroot, b"/x"), call(umount2, b"/y"))
"""
    result = python(code)
    assert result.stdout == b"0 -77 -1\n" and found(result) == {"umount2": 1}


# ---- where it cannot be ----


def in_python(code: str, **limits: int) -> list[str]:
    """Lines of a caller of its own."""
    def limit() -> None:
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

    env = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=env, check=False,
                          preexec_fn=limit)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_where_somebody_listens_already() -> None:
    from .test_sysinfo import LISTENER

    code = f"""
{LISTENER}
assert listener() > 2
from sandbox import run, SetupError
found = run(["true"])
print(found.ok, found.denials_known, any("somebody listens" in note for note in found.notes))
print(run(["true"], denials="off").notes)
try:
    run(["true"], denials="on")
except SetupError as error:
    print(error.step, error.errno, "--denials off" in error.hint)
"""
    assert in_python(code) == ["True False True", "()", f"Seccomp {errno.EBUSY} True"]


def test_a_sandbox_in_a_sandbox_listens_for_itself() -> None:
    """It cannot: the program hears EBUSY where it asks for a listener (docs/security.md)."""
    from .test_sysinfo import LISTENER

    assert int(run(["/usr/bin/python3", "-c", LISTENER + "print(listener())"]).stdout) == -errno.EBUSY


@pytest.mark.parametrize(("hard", "nofile", "known"), [(1024, None, False), (1025, None, True), (1024, 512, True),
                                                       (1024, 1023, True), (512, None, False)])  # fmt: skip
def test_a_caller_with_few_open_files(hard: int, nofile: int | None, known: bool) -> None:
    """No number is left that we could have and the program could not: auto goes without, and says so."""
    code = f"""
from sandbox import run, HostError
found = run(["sh", "-c", "ulimit -Hn"], nofile={nofile})
print(found.stdout.decode().strip(), found.denials_known, any("no fd number" in note for note in found.notes))
try:
    print(run(["true"], nofile={nofile}, denials="on").denials_known)
except HostError as error:
    print("ulimit -Hn" in error.fix, "--nofile" in error.fix)
"""
    expected = nofile or min(hard, 1024)
    said = in_python(code, NOFILE=hard)
    assert said == [f"{expected} {known} {not known}", "True" if known else "True True"]


def test_a_kernel_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 5.19: auto goes without, by name is an error. The kernel of this machine is not asked."""
    with Sandbox() as box:
        monkeypatch.setattr(box._warm, "_host", box._warm.facts().replace(listener_errno=errno.EINVAL))
        result = box.run(["true"])
        assert result.ok and not result.denials_known and not result.notes
        with pytest.raises(HostError, match="WAIT_KILLABLE_RECV"):
            box.run(["true"], denials="on")


# ---- handed out ----

ASKING = 'default = "allow"\n[groups.ask]\naction = "notify"\ncalls = ["chroot"]\n[groups.no]\n' \
         'action = "errno:EXDEV"\ncalls = ["umount2"]\n'  # fmt: skip


def test_a_handler_answers(tmp_path: Path) -> None:
    """What the policy asks about, and nothing else; refusals stay the filter's."""
    asked: list[str] = []

    def handler(call: Notification) -> Allow | Refuse:
        asked.append(call.name)
        return Refuse(77) if len(asked) < 3 else Allow()

    code = "print(call(chroot, b'/x'), call(umount2, b'/x'), call(chroot, b'/x'), call(chroot, b'/nowhere'))"
    result = python(code, policy=policy(tmp_path, ASKING), notify=handler)
    assert result.ok and result.stdout == b"-77 -18 -77 -2\n", result
    assert asked == ["chroot"] * 3
    assert not result.denials_known and not result.sysinfo


def test_a_handler_has_the_listener_to_itself(tmp_path: Path) -> None:
    asking = policy(tmp_path, ASKING)

    def handler(_call: Notification) -> Allow:
        return Allow()

    for field in ("sysinfo", "denials"):
        with pytest.raises(RequestError, match=field):
            run(["true"], policy=asking, notify=handler, **{field: "on"})
    with pytest.raises(RequestError, match="callable"):
        run(["true"], notify="x")
    with pytest.raises(PolicyError, match="notify"):
        run(["true"], policy=asking)
    result = run(["true"], policy=asking, notify=handler, mem="64M")
    assert result.ok and not result.sysinfo
    # not told to all processes: one process has the listener, and it is closed with the run
    assert not [fd for fd in os.listdir("/proc/self/fd") if "seccomp" in _link(fd)]


def _link(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def test_a_handler_where_somebody_listens_already(tmp_path: Path) -> None:
    from .test_sysinfo import LISTENER

    code = f"""
{LISTENER}
assert listener() > 2
from sandbox import Allow, run, SetupError
try:
    run(["true"], policy={policy(tmp_path, ASKING)!r}, notify=lambda _call: Allow())
except SetupError as error:
    print(error.step, error.errno)
"""
    assert in_python(code) == [f"Seccomp {errno.EBUSY}"]


def test_results_travel() -> None:
    import pickle

    result = python("call(chroot, b'/x')")
    assert pickle.loads(pickle.dumps(result)) == result
    assert json.loads(json.dumps(result.to_json()))["denials"][0]["call"] == "chroot"


def test_setup_errors_are_not_denials() -> None:
    with pytest.raises(SetupError):
        run(["true"], workdir="/usr/no/such/place")


# ---- a crowd, and few fds ----


@pytest.mark.parametrize("passed", [0, 2])
@pytest.mark.parametrize("nofile", range(3, 14))
def test_the_smallest_limits_of_open_files(nofile: int, passed: int, tmp_path: Path) -> None:
    """The listener has a number below the program's limit for a moment, whatever of ours lies there."""
    (tmp_path / "file").touch()
    given = [os.open(tmp_path / "file", os.O_RDONLY) for _ in range(passed)]
    used = 3 + sum(fd < nofile for fd in given)
    try:
        result = run(["/bin/sh", "-c", "ulimit -n"], nofile=nofile, pass_fds=given)
    finally:
        for fd in given:
            os.close(fd)
    if result.exit_code == 127:  # the loader finds no number for libc
        assert nofile <= used
    else:
        assert result.ok and int(result.stdout) == nofile, result
    assert result.denials_known is (nofile > used)
    assert any("--nofile" in note for note in result.notes) is (nofile <= used)



UNDER_WAY = """
import array, os, socket, threading, time
from sandbox import run, SupervisorError
one, two = socket.socketpair()
file = os.open("/dev/null", os.O_RDONLY)
one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file] * 100))])
"""


def test_fds_under_way_are_waited_for() -> None:
    """unix(7): ETOOMANYREFS while more fds of this user are under way than the program's limit of open files."""
    code = UNDER_WAY + (
        "threading.Timer(0.5, lambda: (one.close(), two.close())).start()\nstart = time.monotonic()\n"
        "result = run(['true'], nofile=16, denials='on')\n"
        "print(result.ok, result.denials_known, time.monotonic() - start > 0.4)"
    )
    assert in_python(code) == ["True True True"]


def test_a_listener_that_cannot_be_passed_on_is_our_fault() -> None:
    code = UNDER_WAY + (
        "try:\n    print(run(['true'], nofile=16, denials='on'))\nexcept SupervisorError as error:\n    print(error)"
    )
    (said,) = in_python(code)
    assert "listener" in said and "outcome" not in said
