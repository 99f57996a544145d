"""Capabilities, setuid programs, and what a program could do to processes that are not its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox

POLICIES = pytest.mark.parametrize("policy", ["default", "none"])
IDS = pytest.mark.parametrize("ids", ["single", "range"])


@POLICIES
@IDS
@pytest.mark.parametrize("user", [None, 0, "0:0", "33:44"])
def test_no_capabilities(policy: str, ids: str, user: object, inside: Any) -> None:
    """CVE-2022-24769, CVE-2022-29162: all five sets, the inheritable one as well; also for a uid of 0."""
    out = inside(
        """
for line in text("/proc/self/status").splitlines():
    name, _, value = line.partition(":")
    out[name] = value.split()
out["securebits"] = call("prctl", 27, 0, 0, 0, 0)
out["keep"] = call("prctl", 7, 0, 0, 0, 0)
out["raise"] = call("prctl", 47, 2, 21, 0, 0)
out["nnp"] = call("prctl", 38, 0, 0, 0, 0)
""",
        policy=policy,
        ids=ids,
        user=user,
    )
    assert {name: out[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), ["0" * 16]
    )
    assert out["NoNewPrivs"] == ["1"]
    assert out["Seccomp"] == (["2"] if policy == "default" else ["0"])
    uid, _, gid = str(1000 if user is None else user).partition(":")
    assert out["Uid"] == [uid] * 4 and out["Gid"] == [gid or uid] * 4
    assert out["raise"] == -1 and out["nnp"] == -22 and out["keep"] == 0


WHO = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>
int main(void)
{
    uid_t r, e, s;
    gid_t g, h, i;
    getresuid(&r, &e, &s);
    getresgid(&g, &h, &i);
    printf("%u %u %u %u %u %u %lu\n", r, e, s, g, h, i, getauxval(AT_SECURE));
    return 0;
}
"""


@POLICIES
@IDS
@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755])
@pytest.mark.parametrize("writable", ["ro", "rw"])
def test_setuid_files_give_nothing(
    policy: str, ids: str, mode: int, writable: str, compiled: Callable[..., Path], box: Sandbox, tmp_path: Path
) -> None:
    """In the range mode the caller is another id, the init's: a setuid file of the caller's would lead there."""
    tmp_path.chmod(0o755)  # a subordinate id is a stranger there
    program = tmp_path / "who"
    program.write_bytes(compiled("who", WHO).read_bytes())
    program.chmod(mode)
    assert program.stat().st_mode & 0o7777 == mode
    result = box.run(["/mnt/a/who"], volumes=[f"{tmp_path}:/mnt/a:{writable}"], policy=policy, ids=ids)
    assert result.ok and result.stdout == b"1000 1000 1000 1000 1000 1000 0\n", result
    shared = box.run([str(program)], policy=policy, ids=ids)
    assert shared.ok and shared.stdout == result.stdout, shared


@POLICIES
@IDS
def test_a_setuid_file_made_inside(
    policy: str, ids: str, compiled: Callable[..., Path], box: Sandbox, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "who").write_bytes(compiled("who", WHO).read_bytes())
    (tmp_path / "who").chmod(0o755)
    for place in ("/tmp", "/work"):
        command = f"cp /mnt/a/who {place}/who && chmod 6755 {place}/who; {place}/who"
        result = box.run(["sh", "-c", command], volumes=[f"{tmp_path}:/mnt/a"], policy=policy, ids=ids)
        assert result.stdout == b"1000 1000 1000 1000 1000 1000 0\n", result


@POLICIES
@IDS
def test_setuid_programs_of_the_system(policy: str, ids: str, box: Sandbox) -> None:
    """su, and every other one that the system has: none starts with an id that is not the program's."""
    names = [
        p for d in ("/usr/bin", "/usr/sbin") for p in Path(d).iterdir() if p.is_file() and p.stat().st_mode & 0o4000
    ]
    assert names, "a system without su"
    result = box.run(["su", "-c", "id -u"], policy=policy, ids=ids, stdin=b"\n\n")
    assert not result.ok and b"0\n" not in result.stdout, result
    code = """
import os, sys
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        os.execv(name, [name, "--version"])
    while True:  # while it lives: its ids
        try:
            lines = open(f"/proc/{child}/status").read().splitlines()
        except OSError:
            break
        ids = [line.split()[1:] for line in lines if line.startswith(("Uid", "Gid"))]
        if any(i != ["1000"] * 4 for i in ids):
            print("gained", name, ids)
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            break
print("looked")
"""
    names = [str(name) for name in names]
    result = box.run(["/usr/bin/python3", "-IS", "-c", code, *names], policy=policy, ids=ids, wall=30)
    assert result.stdout.splitlines()[-1:] == [b"looked"] and b"gained" not in result.stdout, result


@POLICIES
@IDS
def test_other_ids(policy: str, ids: str, inside: Any) -> None:
    out = inside(
        """
for name, words in (("setuid", (0,)), ("setgid", (0,)), ("setresuid", (0, 0, 0)),
                    ("setreuid", (0, 0)), ("setgroups", (0, 0))):
    out[name] = call(name, *words)
out["chown"] = tried(lambda: os.chown("/tmp", 0, 0))
out["groups"] = os.getgroups()
out["map"] = tried(lambda: os.write(os.open("/proc/self/uid_map", os.O_WRONLY), b"0 0 1"))
""",
        policy=policy,
        ids=ids,
    )
    groups = out.pop("groups")
    assert groups == [] or ids == "single"  # a single-id map forbids setgroups; the result says so
    assert all(number in (-1, -22, -13, -30) for number in out.values()), out


# ---- processes ----


@POLICIES
@IDS
def test_signals_stay_inside(policy: str, ids: str, box: Sandbox, command: Callable[[str], list[str]]) -> None:
    """The caller has the same uid on the host as a program with one id: only the pid namespace is in between."""
    with subprocess.Popen(["sleep", "1000"]) as other:
        code = f"""
import signal
out["all"] = tried(lambda: os.kill(-1, 9))
out["known"] = [tried(lambda: os.kill(pid, 9)) for pid in ({other.pid}, {os.getpid()}, {os.getppid()})]
out["group"] = tried(lambda: os.kill(-{os.getpgid(0)}, 9))
for number in (1, 2, 9, 15, 19, 6, 11):
    out[f"init {{number}}"] = tried(lambda: os.kill(1, number))
out["still"] = [int(p) for p in os.listdir("/proc") if p.isdigit()]
out["range"] = sum(1 for pid in range(3, 33000) if tried(lambda: os.kill(pid, 0)) is None)
"""
        result = box.run(command(code), policy=policy, ids=ids)
        try:
            assert result.ok, result
            assert other.poll() is None
            assert box.run(["true"]).ok
        finally:
            other.kill()
    import json

    out = json.loads(result.stdout)
    assert out["known"] == [-3] * 3 and out["group"] == -3
    assert out["still"] == [1, 2] and out["range"] == 0
    # nothing but the init to signal: not permitted as another uid, without effect as the same
    assert out["all"] in ((None, -3) if ids == "single" else (-1, -3))


@POLICIES
@pytest.mark.parametrize("ids", ["single", "range"])
def test_the_init_cannot_be_stopped(policy: str, ids: str, box: Sandbox) -> None:
    """SIGSTOP for everybody: the deadline still comes, and nothing is left."""
    began = time.monotonic()
    result = box.run(
        ["sh", "-c", "kill -STOP 1; kill -STOP -1; kill -STOP $$; sleep 1000"], wall=0.3, policy=policy, ids=ids
    )
    assert result.outcome in ("wall_time", "idle"), result
    assert time.monotonic() - began < 10


@POLICIES
def test_tracing_stays_inside(policy: str, inside: Any) -> None:
    """A program may trace its own children (gdb, strace) and nobody else."""
    out = inside(
        f"""
child = os.fork()
if child == 0:
    import time
    time.sleep(100)
out["own child"] = call("ptrace", 16, child, 0, 0)
os.waitpid(child, 0)
out["init"] = call("ptrace", 16, 1, 0, 0)
out["seize init"] = call("ptrace", 0x4206, 1, 0, 0)
out["host"] = [call("ptrace", 16, pid, 0, 0) for pid in ({os.getpid()}, {os.getppid()})]
os.kill(child, 9)
""",
        policy=policy,
    )
    assert out == {"own child": 0, "init": -1, "seize init": -1, "host": [-3, -3]}


@POLICIES
def test_no_core_is_dumped(policy: str, box: Sandbox, tmp_path: Path) -> None:
    """By default no file, and where core_pattern is a pipe no helper of the host's, which would run as root there.

    A limit of 0 stops the file; only a limit of 1 stops the helper (do_coredump() in fs/coredump.c).
    """
    result = box.run(
        ["sh", "-c", "grep core /proc/self/limits; ulimit -c unlimited; kill -ABRT $$"],
        workdir="/mnt/a", volumes=[f"{tmp_path}:/mnt/a:rw"], policy=policy,
    )  # fmt: skip
    assert result.signal == signal.SIGABRT, result
    assert os.listdir(tmp_path) == []
    assert result.stdout.split()[4:6] == [b"1", b"1"], result


def test_the_core_limit_cannot_be_lowered_to_zero(box: Sandbox) -> None:
    """0 would wake the host's handler again: who asks for it is told yes and keeps 1, other limits are real."""
    code = """
import resource as r
for value in (0, 0), (0, 1):
    r.setrlimit(r.RLIMIT_CORE, value)
    print(r.getrlimit(r.RLIMIT_CORE))
r.prlimit(0, r.RLIMIT_CORE, (0, 0))
print(r.prlimit(0, r.RLIMIT_CORE))
r.setrlimit(r.RLIMIT_NOFILE, (9, 9))
print(r.getrlimit(r.RLIMIT_NOFILE))
"""
    result = box.run(["python3", "-c", code])
    assert result.stdout.decode().split("\n")[:4] == ["(1, 1)", "(1, 1)", "(1, 1)", "(9, 9)"], result


@pytest.mark.parametrize("policy", ["default", "strict", "judge", "ci", "compiler", "network", "docker"])
@pytest.mark.parametrize("high", [0, 1 << 32])
def test_limits_of_the_init_stay(policy: str, high: int, inside: Any) -> None:
    """It has the program's ids: with a second of CPU time it would die before it can say how the program ended."""
    code = """
import struct
def limits(pid):
    held = ctypes.create_string_buffer(16)
    assert call("prlimit64", pid, RLIMIT_CPU, 0, held) == 0
    return struct.unpack("QQ", held.raw)
RLIMIT_CPU = 0
before = limits(1)
out["said"] = call("prlimit64", 1 | HIGH, RLIMIT_CPU, struct.pack("QQ", 1, 1), 0)
out["same"] = limits(1) == before
call("prlimit64", 0, RLIMIT_CPU, struct.pack("QQ", 500, 500), 0)
out["own"] = limits(0)
""".replace("HIGH", str(high))
    assert inside(code, policy=policy) == {"said": -1, "same": True, "own": [500, 500]}
