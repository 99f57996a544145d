"""Filters: against the meaning of the policy (by an interpreter of classic BPF), and on the kernel."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import cache, policy, seccomp, syscalls
from sandbox.errors import HostError, PolicyError
from sandbox.seccomp import compile as compiler

ARCH_TOKENS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386, ARM = 0x40000003, 0x40000028
MACHINE = os.uname().machine
x86_only = pytest.mark.skipif(MACHINE != "x86_64", reason="numbers of x86_64")
NR = {"read": 0, "write": 1, "ioctl": 16, "getpid": 39, "socket": 41, "socketpair": 53, "clone": 56, "personality": 135,
      "mount": 165, "userfaultfd": 323, "bpf": 321, "keyctl": 250, "add_key": 248, "perf_event_open": 298,
      "unshare": 272, "setns": 308, "clone3": 435, "io_uring_setup": 425, "cachestat": 451, "fsopen": 430,
      "chroot": 161, "open_by_handle_at": 304, "ptrace": 101, "move_pages": 279, "openat": 257}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xdg").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(seccomp, "_memory", {})


def run_bpf(program: bytes, arch: int, nr: int, args: tuple[int, ...]) -> int:
    """What the kernel would answer (net/core/filter.c, the part that seccomp admits)."""
    data = struct.pack("<iIQ6Q", nr if nr < 1 << 31 else nr - (1 << 32), arch, 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
    code = [struct.unpack_from("<HBBI", program, i) for i in range(0, len(program), 8)]
    a, pc = 0, 0
    while True:
        op, jt, jf, k = code[pc]
        pc += 1
        if op == 0x20:
            a = struct.unpack_from("<I", data, k)[0]
        elif op == 0x54:
            a &= k
        elif op == 0x05:
            pc += k
        elif op in (0x15, 0x25, 0x35, 0x45):
            pc += jt if {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x45: bool(a & k)}[op] else jf
        elif op == 0x06:
            return int(k)
        else:
            raise AssertionError(f"instruction {op:#x} at {pc - 1}")


def meaning(p: policy.Policy, call: str, args: tuple[int, ...]) -> int:
    """What docs/policies.md says that the policy does, written without a look at the compiler."""
    if call == "prlimit64" and args[0] & 0xFFFFFFFF == 1 and args[2]:
        return value("errno:EPERM")  # the limits of the init
    ops: dict[str, Callable[[int, int], bool]] = {
        "==": int.__eq__, "!=": int.__ne__, "<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__,
    }  # fmt: skip
    met = [r for r in p.rules if r.call == call and all(ops[a.op](args[a.index] & a.mask, a.value) for a in r.args)]
    for rule in sorted(met, key=lambda r: r.action == "allow"):
        return value(rule.action)
    for group in p.groups:
        if call in group.calls:
            return value(group.action)
    return value(p.default) if p.parent is None else meaning(p.parent.replace(default=p.default), call, args)


def value(action: str) -> int:
    """SECCOMP_RET_* of linux/seccomp.h"""
    plain = {"allow": 0x7FFF0000, "log": 0x7FFC0000, "trap": 0x00030000, "kill": 0x80000000, "notify": 0x7FC00000}
    return plain[action] if action in plain else 0x00050000 | policy.parse_action(action)[1]


def numbers(arch: str) -> dict[int, str]:
    lib = compiler.binding()
    token = {"x86_64": lib.Arch.X86_64, "aarch64": lib.Arch.AARCH64}[arch]
    found = {syscalls.number(arch, c): c for c in syscalls.names(arch)}
    for n in range(512):
        try:
            name = lib.resolve_syscall(token, n)
        except ValueError:
            continue
        found[n] = name.decode() if isinstance(name, bytes) else name
    return found


SHIPPED = [name for name in policy.names() if policy.load(name).filters]
CUSTOM = """
version = 1
default = "errno:EPERM"
[groups.a]
action = "allow"
calls = ["read", "cachestat", "ioctl", "exit_group", "mseal"]
[groups.b]
action = "kill"
calls = ["dup", "lseek"]
[groups.c]
action = "log"
calls = ["fsync"]
[[rules]]
call = "ioctl"
action = "trap"
args = [{index = 1, mask = 0xff, op = "!=", value = 0x12}, {index = 2, op = ">=", value = 0x100000000}]
[[rules]]
call = "lseek"
action = "allow"
args = [{index = 1, op = "!=", value = 0x10000000f}]
[[rules]]
call = "lseek"
action = "errno:EINVAL"
args = [{index = 1, op = "<", value = 16}]
[[rules]]
call = "write"
action = "allow"
args = [{index = 2, op = "<=", value = 0xffffffff}, {index = 0, mask = 0xfffffffe, value = 2}]
[[rules]]
call = "dup3"
action = "log"
args = [{index = 2, op = ">", value = 5}]
"""


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", [*SHIPPED, "custom"])
def test_program_means_the_policy(name: str, arch: str) -> None:
    p = policy.parse("custom", "/c", CUSTOM.encode()) if name == "custom" else policy.load(name)
    program, known, chance = compiler.compile_policy(p, arch).program, numbers(arch), random.Random(1)
    token = ARCH_TOKENS[arch]
    values = [0, 1, 2, 3, 5, 8, 0xF, 0x10, 0x11, 0x12, 0x64, 0xFF, 0x112, 0x20000, 0x20008, 0x40000, 0x5412, 0x541C,
              0x5423, 0x5401, 0x5451, 1030, 0xFFFFFFFF, 0x100000000, 0x10000000F, 0x7E020000, 0x3D0F00, 0x1200011,
              38, 40, 16, 17, 10, *(1 << b for b in range(64))]  # fmt: skip
    high = [0, 0, 1 << 32, 0xDEADBEEF << 32, 0xFFFFFFFF << 32]
    for nr in range(1500):
        call = known.get(nr, "")
        for _ in range(400 if any(r.call == call for r in p.rules) else 3):
            args = tuple(chance.choice(values) | chance.choice(high) for _ in range(6))
            assert run_bpf(program, token, nr, args) == meaning(p, call, args), (call or nr, [hex(a) for a in args])


@pytest.mark.parametrize("name", SHIPPED)
def test_foreign_abis_are_killed(name: str) -> None:
    for arch, token in ARCH_TOKENS.items():
        program = compiler.compile_policy(policy.load(name), arch).program
        foreign = {I386, ARM, 0, *ARCH_TOKENS.values()} - {token}
        assert {run_bpf(program, t, nr, (0,)) for t in foreign for nr in range(1024)} == {0x80000000}
        # The number -1 is what a tracer leaves behind to skip a call.
        assert run_bpf(program, token, 0xFFFFFFFF, ()) == value(policy.load(name).default)
    program = compiler.compile_policy(policy.load(name), "x86_64").program
    x32 = range(0x40000000, 0x40000000 + 1024)
    assert {run_bpf(program, ARCH_TOKENS["x86_64"], nr, (0,)) for nr in x32} == {0x80000000}


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_hot_calls_are_decided_by_their_number(arch: str) -> None:
    """Only then does the kernel's bitmap of constant answers apply (Linux 5.11)."""
    program, known = compiler.compile_policy(policy.load("default"), arch).program, numbers(arch)
    code = [struct.unpack_from("<HBBI", program, i) for i in range(0, len(program), 8)]
    for nr in (n for n, c in known.items() if c in ("read", "write", "futex", "openat", "mmap", "cachestat", "mseal")):
        pc, a, steps = 0, 0, 0
        while code[pc][0] != 0x06:
            op, jt, jf, k = code[pc]
            pc, steps = pc + 1, steps + 1
            if op == 0x20:
                assert k in (0, 4), known[nr]
                a = nr if k == 0 else ARCH_TOKENS[arch]
            elif op == 0x05:
                pc += k
            else:
                pc += jt if {0x15: a == k, 0x25: a > k, 0x35: a >= k}[op] else jf
        assert code[pc][3] == 0x7FFF0000
        assert steps < 80, known[nr]


def test_unknown_call_is_refused_with_a_hint(tmp_path: Path) -> None:
    text = 'version = 1\ndefault = "kill"\n[groups.a]\naction = "allow"\ncalls = [\n  "read",\n  "opneat",\n]\n'
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(PolicyError, match="did you mean openat") as caught:
        seccomp.filter_for(f"{tmp_path}/p.toml")
    assert caught.value.line == 7
    (tmp_path / "p.toml").write_text(text.replace("opneat", "mseel"))
    with pytest.raises(PolicyError, match="did you mean mseal"):
        seccomp.filter_for(f"{tmp_path}/p.toml")


def test_too_long_a_filter_is_refused() -> None:
    rules = "".join(f'[[rules]]\ncall = "ioctl"\naction = "kill"\nargs = [{{index=1,mask="INT",value={i * 7}}}]\n'
                    for i in range(5000))  # fmt: skip
    with pytest.raises(PolicyError, match="kernel takes 4080"):
        too_long = policy.parse("t", "/t", f'version=1\ndefault="errno:EPERM"\n{rules}'.encode())
        compiler.compile_policy(too_long, MACHINE)


def test_none_other_arch_and_describe() -> None:
    assert not seccomp.filter_for("none").program
    assert not seccomp.filter_for(f"{policy.FOLDER}/none.toml").program
    assert seccomp.filter_for("default", "amd64") == seccomp.filter_for("default", "x86_64")
    assert seccomp.filter_for("default", "arm64") != seccomp.filter_for("default", "x86_64")
    with pytest.raises(HostError, match="mips"):
        seccomp.filter_for("default", "mips")
    assert "instructions, other calls errno:ENOSYS" in seccomp.describe("default")
    assert seccomp.describe(policy.load("none")) == "seccomp policy none: no filter"


# --- the cache ------------------------------------------------------------------------------------


def cache_file(tmp_path: Path) -> Path:
    seccomp._memory.clear()
    assert seccomp.filter_for("default").program
    (file,) = (tmp_path / "xdg/pysandbox/seccomp").iterdir()
    return file


def hit(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Is the filter had without compiling? Always checks that it is the right one."""
    right = compiler.compile_policy(policy.load("default"), MACHINE)
    compiled = []
    real = compiler.compile_policy

    def count(p: policy.Policy, arch: str) -> bytes:
        compiled.append(arch)
        return real(p, arch)

    monkeypatch.setattr(compiler, "compile_policy", count)
    seccomp._memory.clear()
    assert seccomp.filter_for("default") == right
    monkeypatch.setattr(compiler, "compile_policy", real)
    return not compiled


def test_cache_hit_and_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cache_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert hit(monkeypatch)


def test_every_damaged_cache_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cache_file(tmp_path)
    good = file.read_bytes()
    half = (len(good) - good.index(b"\n", 30) - len(policy.load("default").text)) // 2
    for bad in (b"", good[:-1], good[:-8], good + b"\0" * 8, good[:-half] + bytes(half),
                good[:-2 * half] + bytes(2 * half), bytes([good[0] ^ 1]) + good[1:],
                good[:-9] + bytes([good[-9] ^ 1]) + good[-8:], good[:-2 * half],
                good.replace(b"default list", b"dEfault list").replace(b"TIOCSTI", b"TIOCSTJ"),
                b"x" * (2 << 20)):  # fmt: skip
        file.write_bytes(bad)
        assert not hit(monkeypatch), bad[:40]
        assert file.read_bytes() == good
        assert hit(monkeypatch)


def test_unsafe_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cache_file(tmp_path)
    file.chmod(0o666)
    assert not hit(monkeypatch)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert not hit(monkeypatch)
    assert not file.is_symlink()
    file.unlink()
    os.mkfifo(file, 0o600)
    assert not hit(monkeypatch)
    file.parent.chmod(0o755)
    assert not hit(monkeypatch)
    file.parent.chmod(0o700)
    assert hit(monkeypatch)
    real = tmp_path / "real"
    file.parent.rename(real)
    file.parent.symlink_to(real)
    assert not hit(monkeypatch)
    for value in ("/proc/nothing", "/dev/null", "relative", "/a"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        monkeypatch.setenv("HOME", "/proc/nothing")
        assert not hit(monkeypatch)


def test_cache_of_somebody_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not where anybody may make directories: /tmp is writable, and root's."""
    for variable, base in (("XDG_CACHE_HOME", "/tmp"), ("HOME", "/tmp"), ("HOME", "/")):
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.setenv(variable, base)
        before = set(os.listdir(base))
        assert cache.open_directory("seccomp") == -1
        assert not hit(monkeypatch)
        assert not {".cache", "pysandbox"} & (set(os.listdir(base)) - before)


def test_home_without_a_cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not hit(monkeypatch)
    assert hit(monkeypatch)
    assert stat.S_IMODE((tmp_path / ".cache").stat().st_mode) == 0o700


def test_no_filter_is_never_cached(tmp_path: Path) -> None:
    (tmp_path / "open.toml").write_text('version = 1\ndefault = "allow"\nforeign_abi = "allow"\n')
    assert not seccomp.filter_for(f"{tmp_path}/open.toml").program
    assert not list((tmp_path / "xdg/pysandbox/seccomp").iterdir())


def test_stale_temporary_file_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cache_file(tmp_path)
    temporary = Path(f"{file}.tmp")
    file.unlink()
    temporary.write_bytes(b"")
    assert not hit(monkeypatch)
    assert not hit(monkeypatch)  # a writer may be at work
    os.utime(temporary, (1, 1))
    assert not hit(monkeypatch)
    assert hit(monkeypatch)
    assert not temporary.exists()


def test_changed_policy_is_compiled_again(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('version = 1\ndefault = "errno:EPERM"\n[groups.a]\naction = "allow"\ncalls = ["read"]\n')
    one = seccomp.filter_for(str(file))
    file.write_text('version = 1\ndefault = "errno:EPERM"\n[groups.a]\naction = "allow"\ncalls = ["dup2"]\n')
    os.utime(file, ns=(5, 5))
    assert seccomp.filter_for(str(file)) != one


@pytest.mark.parametrize("remembered", [True, False])
def test_changed_parent_is_compiled_again(remembered: bool, tmp_path: Path) -> None:
    parent, child = tmp_path / "parent.toml", tmp_path / "child.toml"
    text = 'version = 1\ndefault = "errno:EPERM"\n[groups.a]\naction = "allow"\ncalls = ["read"]\n'
    parent.write_text(text)
    child.write_text('version = 1\nextends = "./parent.toml"\n')
    one = seccomp.filter_for(str(child))
    assert seccomp.filter_for(str(child)) is one
    parent.write_text(text.replace("read", "dup2"))
    os.utime(parent, ns=(5, 5))
    if not remembered:
        seccomp._memory.clear()
    assert seccomp.filter_for(str(child)) != one


def test_warm_start_imports_nothing() -> None:
    code = ("import sys\nsys.path.insert(0, sys.argv[1])\nbefore = set(sys.modules)\nfrom sandbox import seccomp\n"
            "assert seccomp.filter_for('default').program\nprint(*sorted(set(sys.modules) - before))")  # fmt: skip
    seccomp.filter_for("default")
    command = [sys.executable, "-I", "-c", code, os.path.dirname(policy.FOLDER)]
    new = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {m for m in new if not m.startswith("sandbox")} <= {"__future__", "struct", "_struct"}
    assert "sandbox.policy" not in new


# --- the kernel -----------------------------------------------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)


def load(program: bytes) -> None:
    class Fprog(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    fprog = Fprog(len(program) // 8, program)
    if _libc.prctl(38, 1, 0, 0, 0) or _libc.prctl(22, 2, ctypes.byref(fprog), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refused the filter")


def in_child(body: Callable[[], int], name: str = "default") -> int:
    """The exit code of ``body`` run under a filter in a forked child, negative for a signal."""
    program = seccomp.filter_for(name).program
    assert program
    pid = os.fork()
    if pid == 0:
        try:
            load(program)
            os._exit(body())
        except BaseException:
            os._exit(250)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def call(nr: int, *args: int) -> int:
    """errno of a raw system call, 0 if it worked."""
    _libc.syscall.restype = ctypes.c_long
    padded = (*args, 0, 0, 0, 0, 0, 0)[:6]
    result = _libc.syscall(ctypes.c_long(nr), *(ctypes.c_ulong(a) for a in padded))
    return ctypes.get_errno() if result == -1 else 0


HIGH = 0xDEADBEEF << 32
DENIED = [
    ("clone3", (0, 0), errno.ENOSYS),
    (9999, (), errno.ENOSYS),
    (1000, (), errno.ENOSYS),
    ("unshare", (0x10000000,), errno.EPERM),
    ("unshare", (0,), errno.EPERM),
    ("setns", (0, 0), errno.EPERM),
    *(("clone", (bit | signal.SIGCHLD | high,), errno.EPERM)
      for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x7E020000)
      for high in (0, HIGH)),
    *(("ioctl", (0, request | high, 0), errno.EPERM) for request in (0x5412, 0x541C, 0x5423) for high in (0, HIGH)),
    *(("socket", (family | high, 2, 0), errno.EAFNOSUPPORT)
      for family in (0, 15, 17, 38, 40, 44, 9, 45) for high in (0, HIGH)),
    *(("socket", (16 | high, 3, protocol), errno.EAFNOSUPPORT) for protocol in (4, 9, 12, 15) for high in (0, HIGH)),
    ("socket", (2, 10, 0), errno.EAFNOSUPPORT),
    ("socket", (2 | HIGH, 10 | 0x80000 | HIGH, 0), errno.EAFNOSUPPORT),
    ("socketpair", (2, 1, 0, 0), errno.EAFNOSUPPORT),
    ("personality", (0x400000,), errno.EPERM),
    ("personality", (0x400000 | HIGH,), errno.EPERM),
    *((n, (), errno.EPERM) for n in ("keyctl", "add_key", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
                                     "mount", "fsopen", "chroot", "open_by_handle_at", "move_pages")),
]  # fmt: skip
ALLOWED = [
    ("getpid", ()),
    ("socket", (1, 1, 0)),
    ("socket", (2, 2, 0)),
    ("socket", (1 | HIGH, 1 | HIGH, 0)),
    ("socket", (16, 3 | 0x80000, 0)),
    ("personality", (0xFFFFFFFF,)),
    ("personality", (0,)),
    ("personality", (8,)),
    ("personality", (0x20008,)),
    ("personality", (0,)),
]


@x86_only
@pytest.mark.parametrize(("name", "args", "expected"), DENIED)
def test_denied(name: str | int, args: tuple[int, ...], expected: int) -> None:
    nr = NR[name] if isinstance(name, str) else name
    assert in_child(lambda: call(nr, *args)) == expected


@x86_only
@pytest.mark.parametrize(("name", "args"), ALLOWED)
def test_allowed(name: str, args: tuple[int, ...]) -> None:
    assert in_child(lambda: call(NR[name], *args)) == 0


@x86_only
def test_newer_calls_reach_the_kernel() -> None:
    without = call(NR["cachestat"], 9999, 0, 0, 0)  # EBADF, EFAULT or, on an old kernel, ENOSYS
    assert in_child(lambda: call(NR["cachestat"], 9999, 0, 0, 0)) == without


ASM = r"""
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argv;
    long r;
    if (argc == 1) __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory");
    else __asm__ volatile("syscall" : "=a"(r) : "a"(0x40000000L + 39) : "rcx", "r11", "memory");
    return r == -38 ? 38 : 0;
}
"""


@x86_only
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_int80_and_x32_are_killed(tmp_path: Path) -> None:
    (tmp_path / "abi.c").write_text(ASM)
    subprocess.run(["gcc", "-o", tmp_path / "abi", tmp_path / "abi.c"], check=True)
    abi = str(tmp_path / "abi")
    # Without a filter: i386 works or (no CONFIG_IA32_EMULATION) faults, x32 is ENOSYS or works.
    int80 = subprocess.run([abi], check=False).returncode
    assert int80 in (0, -signal.SIGSEGV)
    expected = -signal.SIGSYS if int80 == 0 else int80
    assert in_child(lambda: os.execv(abi, [abi])) == expected
    assert in_child(lambda: os.execv(abi, [abi, "x32"])) == -signal.SIGSYS


PROGRAMS = {
    "sh": ["sh", "-c", "ls / | sort | head -2 >/dev/null; (exit 3); test $? = 3"],
    "bash": ["bash", "-c", "diff <(echo a) <(echo a); x=$(echo hi | tr a-z A-Z); test $x = HI"],
    "python3": [sys.executable, "-c",
                "import threading, subprocess, socket, multiprocessing as m, asyncio, tempfile, ctypes\n"
                "t = threading.Thread(target=print); t.start(); t.join()\n"
                "assert subprocess.run(['true']).returncode == 0\n"
                "a, b = socket.socketpair(); q = m.Pool(2); assert q.map(abs, [-1]) == [1]; q.terminate()\n"
                "asyncio.run(asyncio.sleep(0)); tempfile.TemporaryFile().write(b'x'); socket.if_nameindex()"],
    "gcc": ["sh", "-c", "echo 'int main(void){return 0;}' >a.c && gcc -O2 -pthread a.c -o a && ./a"],
    "make": ["sh", "-c", "printf 'all: x y\\nx y:\\n\\techo $@ >$@\\n' >Makefile && make -j2 && test -s y"],
    "git": ["sh", "-c", "git init -q r && cd r && echo a >a && git add a && "
            "git -c user.name=a -c user.email=a@b commit -qm m && git log --oneline | grep -q m && git gc -q"],
    "node": ["node", "-e", "const {execSync}=require('child_process');execSync('true');"
             "require('fs').promises.readFile('/etc/hostname').catch(()=>0);"
             "new (require('worker_threads').Worker)('1',{eval:true}).on('exit',c=>process.exit(c))"],
    "java": ["sh", "-c", "echo 'public class A{public static void main(String[] a)throws Exception{"
             "Thread t=new Thread(()->System.out.println(Runtime.getRuntime().availableProcessors()));"
             "t.start();t.join();new ProcessBuilder(\"true\").start().waitFor();}}' >A.java && java A.java"],
    "go": ["sh", "-c", "mkdir g && cd g && printf 'package main\\nimport (\"os/exec\";\"net\")\\nfunc main(){"
           "c:=make(chan int);go func(){c<-1}();<-c;if exec.Command(\"true\").Run()!=nil{panic(1)};"
           "l,e:=net.Listen(\"tcp\",\"127.0.0.1:0\");if e!=nil{panic(e)};l.Close();net.Interfaces()}\\n' >m.go"
           " && go run m.go"],
    "rustc": ["sh", "-c", "echo 'fn main(){std::thread::spawn(||println!(\"x\")).join().unwrap();"
              "std::process::Command::new(\"true\").status().unwrap();}' >m.rs && rustc m.rs && ./m"],
    "gdb": ["sh", "-c", "gdb -q -batch -ex run -ex 'info registers rip' --args true 2>&1 | grep -q 'exited normally'"],
    "strace": ["sh", "-c", "strace -f -o s sh -c 'true; ls >/dev/null' && grep -q execve s"],
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_run(program: str, tmp_path: Path) -> None:
    path = f"{os.environ['PATH']}:/usr/local/go/bin"  # where Go's own archive puts it, which few PATHs have
    if shutil.which(program, path=path) is None:
        pytest.skip(f"needs {program}")
    env = {"PATH": path, "HOME": str(tmp_path), "GOCACHE": str(tmp_path / "go"), "GOTOOLCHAIN": "local"}
    for name in ("RUSTUP_HOME", "CARGO_HOME", "PYENV_ROOT"):
        if name in os.environ:
            env[name] = os.environ[name]
    if program == "rustc":  # a rustup shim looks below HOME
        env["HOME"] = os.environ.get("HOME", "/")

    def body() -> int:
        os.chdir(tmp_path)
        out = os.open("out", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.execvpe(PROGRAMS[program][0], PROGRAMS[program], env)

    code = in_child(body)
    assert code == 0, (tmp_path / "out").read_text(errors="replace")[-2000:]


@pytest.mark.parametrize(("source", "ok"), [
    ("import math, time; print(sum(range(1000))); open('/etc/passwd').read()", True),
    ("open('new', 'w')", False),
    ("import os; os.open('/etc/passwd', os.O_RDWR)", False),
    ("import os; os.fork()", False),
    ("import socket; socket.socket()", False),
    ("import os; os.unlink('x')", False),
    ("import threading; threading.Thread(target=print).start()", False),
])  # fmt: skip
def test_strict(source: str, ok: bool, tmp_path: Path) -> None:
    # The output file is opened before the filter is loaded, in a real launch.
    program = seccomp.filter_for("strict").program
    assert program
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(tmp_path)
            out = os.open("/dev/null", os.O_WRONLY)
            os.dup2(out, 1)
            os.dup2(out, 2)
            load(program)
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", source])
        finally:
            os._exit(250)
    assert (os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0) is ok
