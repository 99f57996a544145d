"""The data of decoding: signatures for every call, constants as the kernel's headers have them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from sandbox import syscalls
from sandbox.syscalls import decode, text, vocabulary

# What the constants are defined in; a header that does not compile with the others is left out by the test.
HEADERS = """
fcntl.h sched.h sys/types.h sys/stat.h sys/mman.h sys/socket.h sys/mount.h sys/ioctl.h sys/prctl.h asm/prctl.h
sys/personality.h sys/ptrace.h sys/wait.h sys/resource.h sys/epoll.h sys/eventfd.h sys/signalfd.h sys/timerfd.h
sys/inotify.h sys/fanotify.h sys/random.h sys/xattr.h sys/ipc.h sys/shm.h sys/sem.h sys/msg.h sys/swap.h sys/file.h
sys/time.h netinet/in.h netinet/tcp.h linux/netlink.h linux/net.h linux/futex.h linux/membarrier.h linux/seccomp.h
linux/landlock.h linux/keyctl.h linux/io_uring.h linux/bpf.h linux/perf_event.h linux/userfaultfd.h
linux/mempolicy.h linux/module.h linux/kexec.h linux/reboot.h linux/kcmp.h linux/openat2.h linux/close_range.h
linux/fs.h linux/fiemap.h linux/loop.h linux/kd.h linux/vt.h linux/kvm.h linux/nsfs.h linux/random.h linux/fuse.h
linux/if_tun.h linux/sockios.h linux/cdrom.h linux/hdreg.h scsi/sg.h asm/mman.h linux/ioprio.h linux/lsm.h
""".split()
# The C library's, not the kernel's: it gives 0 and the 64-bit form on 64 bits. termios2 is nowhere complete.
OTHERWISE = {"O_LARGEFILE", "F_GETLK64", "F_SETLK64", "F_SETLKW64", "TCGETS2", "TCSETS2"}
COMPILERS = {"x86_64": "x86_64-linux-gnu-gcc", "aarch64": "aarch64-linux-gnu-gcc"}
KINDS = {"path", "str", "buf", "optval", "creat", "filemode", "filedev", "prctl", "keyctl", "fcntl", "protocol",
         "sockopt", "sockaddr", "socklen", "open_how", "clone_args", "rlimit", "rlimit64", "dirfd"}  # fmt: skip


def compiled(compiler: str, source: str) -> str:
    command, env = [compiler, "-fsyntax-only", "-x", "c", "-"], {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, input=source, text=True, capture_output=True, timeout=60, env=env).stderr


@pytest.mark.parametrize("arch", COMPILERS)
def test_constants_are_those_of_the_headers(arch: str) -> None:
    """A wrong value is a failed assertion of the compiler; what is newer than the headers is undeclared."""
    if shutil.which(COMPILERS[arch]) is None:
        pytest.skip(f"needs {COMPILERS[arch]}")
    present = [h for h in HEADERS if "No such file" not in compiled(COMPILERS[arch], f"#include <{h}>\n")]
    lines = ["#define _GNU_SOURCE", *(f"#include <{header}>" for header in present)]
    own = {each.name.removeprefix(f"{arch}/") for each in vocabulary.every_set() if each.name.startswith(f"{arch}/")}
    asked = set()
    for each in vocabulary.every_set():
        base = each.name.rpartition("/")[2]
        if each.name != (f"{arch}/{base}" if base in own else base):
            continue
        for _mask, name, value in each.entries:
            if name not in OTHERWISE and not (arch == "aarch64" and name.startswith("PTRACE_")):
                asked.add(name)
                lines.append(f'_Static_assert((unsigned)({name}) == {value & 0xFFFFFFFF}u, "{name} in {each.name}");')
    messages = compiled(COMPILERS[arch], "\n".join(lines))
    wrong = re.findall(r'static assertion failed: "(.+?)"', messages)
    assert wrong == []
    undeclared = set(re.findall(r"error: '(\w+)' undeclared", messages))
    assert len(asked - undeclared) > 900, "the headers know too few of them for this to be a test"


def test_every_call_has_a_signature() -> None:
    signatures = vocabulary.every_signature()
    known = {*syscalls.names("x86_64"), *syscalls.names("aarch64")}
    assert {call for call in signatures if "/" not in call} == known
    for call in signatures:
        abi, _, name = call.rpartition("/")
        assert not abi or name in syscalls.names(abi), call


def test_every_kind_is_known() -> None:
    used = set()
    for call, parameters in vocabulary.every_signature().items():
        assert len(parameters) <= 6 and len({p.name for p in parameters}) == len(parameters), call
        for index, parameter in enumerate(parameters):
            assert parameter.length < 6 and parameter.length != index, call
            if parameter.kind.isupper():
                assert vocabulary.constants("x86_64", parameter.kind), (call, parameter.kind)
                used.add(parameter.kind)
            else:
                known = text.number(parameter.kind, 0, 64) is not None or parameter.kind in KINDS
                assert known, (call, parameter.kind)
            counted = parameter.kind in ("buf", "optval", "sockaddr", "socklen")
            assert (parameter.length >= 0) == counted, call
    assert {kind for kind in KINDS if not hasattr(decode._Decoder, f"_{kind}")} == set()
    inner = {"RESOLVE", "S_IFMT", "FD", "SEAL", "CLONE3", "SECCOMP_MODE", "IPPROTO", "NETLINK", "SO"}
    assert {each.name.rpartition("/")[2] for each in vocabulary.every_set()} == used | inner


@pytest.mark.parametrize(("name", "value", "words"), [
    ("O", 0, "O_RDONLY"), ("O", 0o2000001, "O_WRONLY|O_CLOEXEC"), ("O", 3, "0x3"),
    ("PROT", 0, "PROT_NONE"), ("PROT", 7, "PROT_READ|PROT_WRITE|PROT_EXEC"), ("ACCESS", 0, "F_OK"), ("AT", 0, "0"),
    ("AT", 0x100 | 1 << 30, "AT_SYMLINK_NOFOLLOW|0x40000000"), ("MS", 0xC0ED0000 | 4096, "MS_MGC_VAL|MS_BIND"),
    ("AF", 1000, "1000"), ("AF", 0xFFFFFFFF, "-1"), ("IOCTL", 0xABCD1234, "0xabcd1234"),
    ("O", 1 << 40, "O_RDONLY"), ("PERSONALITY", 0xFFFFFFFF, "0xffffffff"), ("SIG", 64, "64"),
])  # fmt: skip
def test_words(name: str, value: int, words: str) -> None:
    known = vocabulary.constants("x86_64", name)
    assert known and known.words(value) == words


def test_flags_of_aarch64_are_its_own() -> None:
    ours, theirs = vocabulary.constants("x86_64", "O"), vocabulary.constants("aarch64", "O")
    assert ours and theirs
    assert (ours.words(0o200000), theirs.words(0o200000)) == ("O_RDONLY|O_DIRECTORY", "O_RDONLY|O_DIRECT")
