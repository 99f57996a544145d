"""pysandbox trace: every call once, and a policy that lets the same run pass and a changed one not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.runs.world import all_gone, descendants, named, until

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Program = Callable[[str], str]
Traced = Callable[..., SimpleNamespace]

X86_64 = os.uname().machine == "x86_64"


@pytest.fixture
def traced(pysandbox: Command, tmp_path: Path) -> Traced:
    """``traced("--", "true")`` -> the JSON of that trace, with ``code``, ``out`` and ``said``."""

    def through_cli(*args: object) -> SimpleNamespace:
        file = tmp_path / "trace.json"
        done = pysandbox("trace", "--json", file, *args)
        found = json.loads(file.read_bytes())
        file.unlink()
        assert found["result"]["exit_status"] == done.returncode
        return SimpleNamespace(**found["trace"], result=found["result"], code=done.returncode, out=done.stdout,
                               said=done.stderr)  # fmt: skip

    return through_cli


# ---- every call once ----


@pytest.mark.v2
def test_known_numbers_of_calls(program: Program, traced: Traced) -> None:
    """4 threads and 50 children, 100 calls each; and what made and ended them."""
    found = traced("--", program("calls"), "4", "50", "100")
    assert found.code == 0, found.said
    assert found.calls["getppid"] == 54 * 100
    assert found.calls["exit"] == 4 and found.calls["exit_group"] == 51
    # refused, and libc falls back: each time, or (glibc 2.41) once and for all
    assert found.calls["clone"] == 54 and found.calls["clone3"] in (1, 4)
    assert found.threads == 55 and found.calls["execve"] == 1
    assert found.total == sum(found.calls.values())


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize(
    "argv", [["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do (true; exec true) ; done; ls / | wc -l"],
             ["ls", "-l", "/usr/bin"],
             ["python3", "-I", "-c", "import json, subprocess; print(subprocess.run(['id']).returncode)"]],
    ids=["sh", "ls", "python3"],
)  # fmt: skip
def test_the_counts_of_strace(argv: list[str], traced: Traced, pysandbox: Command, tmp_path: Path) -> None:
    """In the same sandbox under the same policy; strace -c does not count what never returns."""
    found = traced("--", *argv)
    out = tmp_path / "out"
    out.mkdir()
    done = pysandbox("run", "-v", f"{out}:/out:rw", "--", "strace", "-f", "-c", "-o", "/out/counts", *argv)
    assert found.code == done.returncode == 0, done.stderr
    rows = [line.split() for line in (out / "counts").read_text().splitlines()]
    theirs = {row[-1]: int(row[3]) for row in rows if row and row[0][0].isdigit() and row[-1] != "total"}
    ours = {call: count for call, count in found.calls.items() if call not in ("exit", "exit_group")}
    # how often a parent is woken by SIGCHLD, or finds its child still running, is a matter of speed
    for call in ("rt_sigreturn", "wait4", "restart_syscall"):
        theirs.pop(call, None)
        ours.pop(call, None)
    assert ours == theirs


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.v2
def test_a_program_that_traces_others(program: Program, traced: Traced) -> None:
    """ptrace(2) is in nobody's way here: strace works, and the calls of what it traces are all seen."""
    strace = ["strace", "-f", "-qq", "-c", "-o", "/tmp/counts"]
    found = traced("-v", f"{program('calls')}:/calls", "--", *strace, "/calls", "2", "5", "20")
    assert found.code == 0, found.said
    assert found.calls["getppid"] == 7 * 20 and found.calls["ptrace"] > 2 * 7 * 20


@pytest.mark.v2
def test_files_and_sockets(traced: Traced) -> None:
    text = """
import os, socket
open("/etc/hostname").read()
os.chdir("/tmp")
open("new", "w").close()
os.rename("new", "newer")
directory = os.open("/tmp", os.O_RDONLY)
os.unlink("newer", dir_fd=directory)
os.symlink("/nowhere", "dangling")
os.symlink("/etc/hostname", "absolute")
open("absolute").read()
os.lstat("dangling")
for look in (lambda: open("/nowhere/x"), lambda: os.stat("/nowhere/x"), lambda: open("dangling")):
    try:
        look()
    except FileNotFoundError:
        pass
try:
    socket.socket().connect(("127.0.0.1", 1))
except OSError:
    pass
"""
    found = traced("--", "python3", "-I", "-S", "-c", text)
    assert found.code == 0
    files = {entry["path"]: entry["how"] for entry in found.files}
    assert files["/etc/hostname"]["read"] == 1
    assert files["/tmp/new"] == {"write": 1, "create": 1, "change": 1}
    assert files["/tmp/newer"] == {"change": 2}
    assert files["/tmp"]["look"] >= 1
    assert any(path.endswith("/python3") or "/python3." in path for path, how in files.items() if "exec" in how)
    assert files["/nowhere/x"] == {"missing": 2} and files["/tmp/dangling"] == {"change": 1, "missing": 1, "look": 1}
    assert "missing" not in files["/tmp/absolute"] and "missing" not in files["/tmp/new"]
    assert found.sockets == {"connect {AF_INET 127.0.0.1:1}": 1}
    assert {"AF_INET SOCK_STREAM 0"} == {kind["values"] for kind in found.kinds if kind["call"] == "socket"}
    assert found.unread == 0


@pytest.mark.v2
@pytest.mark.parametrize("options", [("--ids", "range"), ("--without", "pid"), ("--mem", "256M", "--time", "20s")],
                         ids=["range", "pid", "mem"])  # fmt: skip
def test_under_other_options(options: tuple[str, ...], traced: Traced) -> None:
    found = traced(*options, "--", "sh", "-c", "cat /etc/hostname; ls /tmp")
    assert found.code == 0, found.said
    files = {entry["path"]: entry["how"] for entry in found.files}
    assert "read" in files["/etc/hostname"] and found.unread == 0
    assert found.calls["execve"] == 3 - (found.calls.get("vfork", 0) + found.calls.get("clone", 0) < 2)


def test_refusals_of_the_policy_are_kept_and_told(traced: Traced) -> None:
    """A traced program is as confined as any: what the policy refuses is refused, and seen."""
    text = "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))"
    found = traced("--", "python3", "-I", "-S", "-c", text)
    assert found.out == "-1\n"
    (kind,) = (kind for kind in found.kinds if kind["call"] == "unshare")
    assert kind["action"] == "errno:EPERM" and kind["values"] == "CLONE_NEWUSER"
    assert "unshare CLONE_NEWUSER (errno:EPERM) 1" in found.said


@pytest.mark.skipif(not X86_64, reason="i386 calls are x86_64's")
def test_a_foreign_abi_is_death_and_is_told(program: Program, traced: Traced, tmp_path: Path) -> None:
    source, binary = tmp_path / "foreign.c", tmp_path / "foreign"
    source.write_text('int main(void) { int n; __asm__ volatile("int $0x80" : "=a"(n) : "a"(20)); return n != 0; }\n')
    subprocess.run(["gcc", "-o", binary, source], check=True)
    for policy in ("default", "none"):
        found = traced("--policy", policy, "--", binary)
        assert found.result["outcome"] == "syscall" and found.calls["[i386] getpid"] == 1
        assert "[i386] getpid (kill) 1" in found.said


# ---- the policy ----

SOURCE = "#include <stdio.h>\nint main(void) { puts(\"made\"); return 0; }\n"
GIT = "cd /tmp && git init -q r && cd r && git config user.email a@b && git config user.name c && " \
      "echo x > f && git add f && git commit -qm m && git log --oneline | wc -l"  # fmt: skip
ROUND_TRIPS = {
    "sh": ["sh", "-c", "ls / | sort | wc -l > n; cat n; rm n; test -d /tmp"],
    "python3": ["python3", "-c", "import json, random, subprocess; print(subprocess.run(['id', '-u']).returncode)"],
    "gcc": ["sh", "-c", f"printf '%s' '{SOURCE}' > a.c && gcc -O2 -o /tmp/a a.c && /tmp/a"],
    "git": ["sh", "-c", GIT],
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
@pytest.mark.parametrize("default", ["errno:ENOSYS", "kill"])
def test_what_was_learned_suffices(name: str, default: str, pysandbox: Command, tmp_path: Path) -> None:
    policy = tmp_path / "learned.toml"
    argv = ROUND_TRIPS[name]
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    learned = pysandbox("trace", "-q", "--default", default, "--write", policy, "--", *argv)
    assert learned.returncode == 0, learned.stderr
    for _ in range(3):
        done = pysandbox("run", "--policy", policy, "--", *argv)
        assert done.returncode == 0 and done.stdout == learned.stdout, done.stderr
        assert done.stderr.replace("hint", "") == learned.stderr.replace(f"pysandbox: wrote {policy}\n", "")


def test_threads(program: Program, pysandbox: Command, tmp_path: Path) -> None:
    """A program with threads passes as such; the same with processes does not."""
    policy, calls = tmp_path / "threads.toml", program("calls")
    assert pysandbox("trace", "-q", "--write", policy, "--", calls, "4", "0", "10").returncode == 0
    assert pysandbox("run", "--policy", policy, "--", calls, "8", "0", "100").returncode == 0
    assert pysandbox("run", "--policy", policy, "--", calls, "4", "1", "10").returncode == 4  # its fork(2) has failed


CHANGED = {
    "socket": ("import socket; socket.socket()", "PermissionError|OSError"),
    "unlink": ("import os; os.unlink('f')", "OSError|PermissionError"),
    "write": ("open('f', 'w')", "PermissionError"),
    "fork": ("import os; os.fork()", "PermissionError|OSError"),
    "execute": ("import mmap; mmap.mmap(-1, 4096, prot=7)", "PermissionError"),
    "unix": ("import socket; socket.socketpair()", "PermissionError|OSError"),
}


@pytest.mark.parametrize("default", ["errno:ENOSYS", "kill"])
def test_what_was_not_seen_is_stopped(default: str, pysandbox: Command, tmp_path: Path) -> None:
    """The same interpreter, which has read and written text, with something else to do."""
    policy = tmp_path / "learned.toml"
    base = "import os, mmap, socket\ntry: open('f')\nexcept OSError: pass\n"
    argv = ["python3", "-I", "-S", "-c"]
    assert pysandbox("trace", "-q", "--default", default, "--write", policy, "--", *argv, base).returncode == 0
    assert pysandbox("run", "--policy", policy, "--", *argv, base).returncode == 0
    for what, (text, error) in CHANGED.items():
        done = pysandbox("run", "--policy", policy, "--", *argv, base + text)
        if default == "kill":
            assert done.returncode == 128 + signal.SIGSYS and "syscall" in done.stderr, (what, done.stderr)
        else:
            assert done.returncode == 1, (what, done.stderr)
            assert any(word in done.stderr for word in error.split("|")), (what, done.stderr)


def test_two_branches_are_merged(pysandbox: Command, tmp_path: Path) -> None:
    """Each run adds what it needs; the text that was there stays as it was, comments too."""
    policy = tmp_path / "both.toml"
    one, two = ["sh", "-c", "echo a > f; cat f"], ["sh", "-c", "mkdir d; rmdir d; sleep 0.01"]
    assert pysandbox("trace", "-q", "--merge", policy, "--", *one).returncode == 0
    policy.write_text("# mine\n" + policy.read_text().replace("[groups.file_read]", "[groups.file_read] # reads"))
    before = policy.read_text()
    assert pysandbox("run", "--policy", policy, "--", *two).returncode != 0
    added = pysandbox("trace", "--merge", policy, "--", *two)
    assert added.returncode == 0 and "mkdir" in added.stderr.partition("added to")[2], added.stderr
    for argv in (one, two):
        assert pysandbox("run", "--policy", policy, "--", *argv).returncode == 0
    after = policy.read_text()
    assert after.startswith("# mine\n") and "[groups.file_read] # reads" in after
    assert set(re.findall(r"[\w.]+", before)) < set(re.findall(r"[\w.]+", after))
    again = pysandbox("trace", "--merge", policy, "--", *two)
    assert "allows all of it as it is" in again.stderr
    assert policy.read_text().count("mkdir") == 1


def test_a_refusal_of_the_file_is_not_overruled(pysandbox: Command, tmp_path: Path) -> None:
    policy = tmp_path / "careful.toml"
    assert pysandbox("trace", "-q", "--write", policy, "--", "true").returncode == 0
    with policy.open("a") as file:
        file.write('\n[groups.never]\naction = "errno:EPERM"\ncalls = ["mkdir"]\n')
    line = len(policy.read_text().splitlines()) - 2
    done = pysandbox("trace", "-q", "--merge", policy, "--", "mkdir", "d")
    assert f"not added, mkdir is refused by {policy}:{line}" in done.stderr
    assert pysandbox("run", "--policy", policy, "--", "mkdir", "d").returncode == 1


def test_core_dumps_stay_off(pysandbox: Command, tmp_path: Path) -> None:
    """A learned policy lets nobody raise RLIMIT_CORE, also where the run was under no policy."""
    policy = tmp_path / "learned.toml"
    text = "import resource as r; r.getrlimit(r.RLIMIT_CORE)"
    change = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); print(r.getrlimit(r.RLIMIT_CORE))"
    argv = ["python3", "-I", "-S", "-c"]
    assert pysandbox("trace", "-q", "--policy", "none", "--write", policy, "--", *argv, text).returncode == 0
    assert pysandbox("run", "--policy", policy, "--", *argv, change).stdout == "(1, 1)\n"


# ---- faces ----


def test_streams_are_the_programs_own(pysandbox: Command) -> None:
    done = pysandbox("trace", "--", "sh", "-c", "cat; echo error >&2; exit 3", input="given")
    assert done.returncode == 3 and done.stdout == "given"
    assert done.stderr.startswith("error\n") and "pysandbox:   file_read" in done.stderr
    quiet = pysandbox("trace", "-q", "--", "sh", "-c", "echo error >&2")
    assert quiet.stderr == "error\n"
    data = json.loads(pysandbox("trace", "-q", "--json", "-", "--", "echo", "in the JSON").stdout)
    assert data["result"]["stdout"] == "in the JSON\n" and data["trace"]["calls"]["write"] == 1


WRONG = {
    "there": ("--write {there} -- true", "is there already"),
    "both": ("--write a.toml --merge b.toml -- true", "cannot be had together"),
    "name": ("--write default -- true", "needs a slash or .toml: ./default.toml"),
    "closed": ("--write /nowhere/x.toml -- true", "no such directory"),
    "default": ("--default kill -- true", "goes with --write or --merge"),
    "allow": ("--write a.toml --default allow -- true", "refuses what it has not seen"),
    "action": ("--write a.toml --default errno:ENOSUCH -- true", "unknown errno"),
    "kept": ("--merge {there} --default kill -- true", "has one already"),
    "nothing": ("", "no program was named"),
    "option": ("--wirte x.toml -- true", "did you mean --write"),
    "taken": ("--sysinfo on -- true", "no such option"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked_for(name: str, pysandbox: Command, tmp_path: Path) -> None:
    words, said = WRONG[name]
    there = tmp_path / "there.toml"
    there.write_text('version = 1\ndefault = "errno:ENOSYS"\n')
    done = pysandbox("trace", *words.format(there=there).split())
    assert done.returncode == 125 and said in done.stderr, done.stderr
    assert there.read_text().count("\n") == 2 and not (tmp_path / "a.toml").exists()


def test_policies_that_ask_or_trap(pysandbox: Command, tmp_path: Path) -> None:
    policy = tmp_path / "asks.toml"
    for action in ("notify", "trap"):
        policy.write_text(f'version = 1\ndefault = "allow"\n[groups.a]\naction = "{action}"\ncalls = ["mkdir"]\n')
        done = pysandbox("trace", "--policy", policy, "--", "true")
        assert done.returncode == 125 and "which trace cannot answer" in done.stderr


# ---- ends ----


def test_a_missing_program(pysandbox: Command, tmp_path: Path) -> None:
    """No policy is made of it."""
    policy = tmp_path / "none.toml"
    done = pysandbox("trace", "--write", policy, "--", "no-such-program")
    assert done.returncode == 127 and "no such file" in done.stderr.lower()
    assert "calls of" not in done.stderr and not policy.exists()


def test_limits_hold(program: Program, traced: Traced) -> None:
    """Calls without end; time that is spent waiting for us is no CPU time of the program but is on the clock."""
    found = traced("--wall", "1s", "--", program("calls"), "4", "0", "1000000000")
    assert found.result["outcome"] in ("wall_time", "idle") and found.code == 124
    assert found.calls["getppid"] > 1000
    found = traced("--mem", "64M", "--", "python3", "-c", "b'x' * (200 << 20)")
    assert found.result["outcome"] == "memory" and found.code == 137


@pytest.mark.parametrize("seed", range(3))
def test_nonsense(seed: int, program: Program, traced: Traced) -> None:
    """Any number with any arguments: what they point to is no reason for us to fail."""
    found = traced("--wall", "4s", "--", program("nonsense"), str(seed))  # it may have stopped itself
    assert found.code != 125, found.said
    assert found.total > 300 and len(found.calls) > 60
    assert max(map(len, found.said.splitlines())) < 160


def test_a_fork_bomb(program: Program, traced: Traced) -> None:
    found = traced("--wall", "1s", "--pids", "32", "--", program("bomb"))
    assert found.code == 124, found.said
    assert found.threads >= 32


@pytest.mark.parametrize("times", range(3))
def test_a_program_that_kills_itself_while_its_threads_wait(times: int, program: Program, traced: Traced) -> None:
    found = traced("--wall", "30s", "--", program("midcall"))
    assert found.code == 128 + signal.SIGKILL, found.said
    assert found.calls["kill"] == 1 and found.calls["getppid"] > 100


@pytest.fixture
def start(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def begin(*args: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([*pysandbox_argv, "trace", *args], env=pysandbox_env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL)  # fmt: skip
        processes.append(process)
        assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


LOOP = "import os\nprint('ready', flush=True)\nwhile True: os.getppid()"


@pytest.mark.v2
@pytest.mark.parametrize("argv", [("sleep", "60"), ("python3", "-I", "-S", "-c", LOOP.replace("print", "#"))],
                         ids=["asleep", "calling"])  # fmt: skip
def test_kill_9_of_the_tracer(argv: tuple[str, ...], start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("--", "sh", "-c", 'echo ready; "$@" & "$@"', "sh", *argv)
    assert until(lambda: len(named(argv[0], process.pid)) == 2)
    tree = descendants(process.pid)
    process.kill()
    process.wait()
    assert not all_gone(tree, 2)


def test_ctrl_c(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Passed on to the program; what was seen until then is told, and written."""
    policy = tmp_path / "part.toml"
    process = start("--write", str(policy), "--", "python3", "-I", "-S", "-c", LOOP)
    tree = descendants(process.pid)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT, err
    assert "getppid" in err and f"wrote {policy}" in err and "getppid" in policy.read_text()
    assert not all_gone(tree, 2)


def test_a_full_pipe_in_front_of_us(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    """A program that waits for its reader keeps nobody from serving the calls of another."""
    text = "(yes | head -c 1000000) & ls / > /dev/null; echo done >&2; wait"
    command = [*pysandbox_argv, "trace", "-q", "--", "sh", "-c", text]
    with subprocess.Popen(
        command, env=pysandbox_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout and process.stderr
        assert process.stderr.readline() == b"done\n"
        out = process.stdout.read()
        assert len(out) == 1000000 and process.wait(20) == 0
