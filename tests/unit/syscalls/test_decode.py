"""Calls in words: every kind of argument, hostile memory, foreign ABIs."""

from __future__ import annotations

import os
import struct

import pytest

from sandbox import syscalls
from sandbox.syscalls.decode import decode
from sandbox.syscalls.vocabulary import every_signature

ALL = (1 << 64) - 1
AT_FDCWD = ALL - 99
Memory = tuple[bytes, ...]


def text(call: str, *args: int, memory: Memory = (), abi: str = "x86_64") -> str:
    number = syscalls.number(abi, call)
    assert number is not None
    return str(decode(abi, number, args, memory))


INET = b"\x02\0\0\x50\x0a\0\0\x01" + bytes(120)
INET6 = b"\x0a\0\0\x50" + bytes(4) + bytes(15) + b"\x01" + bytes(100)


@pytest.mark.parametrize(("call", "args", "memory", "expected"), [
    ("openat", (AT_FDCWD, 1, 0o2000000), (b"", b"/etc/shadow\0junk"), '(AT_FDCWD, "/etc/shadow", O_RDONLY|O_CLOEXEC)'),
    ("openat", (0xFFFFFF9C, 1, 0o101, 0o644), (b"", b"x\0"), '(AT_FDCWD, "x", O_WRONLY|O_CREAT, 0644)'),
    ("open", (1, 0o20200002, 0o600), (b"/tmp\0",), '("/tmp", O_RDWR|O_TMPFILE, 0600)'),
    ("open", (0, 0, 0o600), (), "(NULL, O_RDONLY)"),
    ("open", (0x7F00, 0), (b"",), "(0x7f00, O_RDONLY)"),
    ("openat2", (5, 1, 1, 24), (b"", b"x\0", struct.pack("<3Q", 0o100, 0o600, 8)),
     '(5, "x", {flags=O_RDONLY|O_CREAT, mode=0600, resolve=RESOLVE_BENEATH}, 24)'),
    ("openat2", (5, 1, 0x10, 24), (b"", b"x\0"), '(5, "x", 0x10, 24)'),
    ("mknod", (1, 0o20666, 0x103), (b"x\0",), '("x", S_IFCHR|0666, makedev(1, 3))'),
    ("mknod", (1, 0o10600, 0x103), (b"x\0",), '("x", S_IFIFO|0600)'),
    ("pipe2", (1, 0o2000000), (), "(0x1, O_CLOEXEC)"), ("dup3", (1, 2, 0), (), "(1, 2, 0)"),
    ("chmod", (1, 0o4755), (b"x\0",), '("x", 04755)'),
    ("chown", (1, ALL, 0), (b"x\0",), '("x", -1, 0)'),
    ("write", (1, 0x10, 100), (b"", b"x" * 100), f'(1, "{"x" * 32}"…, 100)'),
    ("write", (1, 0x10, 3), (b"", b"a\nbdef"), '(1, "a\\nb", 3)'),
    ("write", (1, 0x10, 3), (), "(1, 0x10, 3)"),
    ("socket", (40, 1, 0), (), "(AF_VSOCK, SOCK_STREAM, 0)"),
    ("socket", (2, 2 | 0o2000000, 17), (), "(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_UDP)"),
    ("socket", (2, 1, 0), (), "(AF_INET, SOCK_STREAM, 0)"),
    ("socket", (16, 3, 15), (), "(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)"),
    ("socket", (1 << 32 | 38, 5, 0), (), "(AF_ALG, SOCK_SEQPACKET, 0)"),
    ("socket", (200, 0, 9), (), "(200, 0, 9)"),
    ("connect", (3, 1, 16), (b"", INET), "(3, {AF_INET 10.0.0.1:80})"),
    ("connect", (3, 1, 28), (b"", INET6), "(3, {AF_INET6 [::1]:80})"),
    ("connect", (3, 1, 4), (b"", INET), "(3, {AF_INET})"),
    ("connect", (3, 1, 110), (b"", b"\x01\0/run/x\0" + bytes(100)), '(3, {AF_UNIX "/run/x"})'),
    ("connect", (3, 1, 9), (b"", b"\x01\0\0a\0b\x07cd"), '(3, {AF_UNIX @"a\\0b\\x07cd"})'),
    ("connect", (3, 1, 2), (b"", b"\x01\0"), "(3, {AF_UNIX})"),
    ("bind", (3, 1, 16), (b"", struct.pack("<HHIIB", 40, 0, 1024, 2, 0) + bytes(3)), "(3, {AF_VSOCK host:1024})"),
    ("bind", (3, 1, 12), (b"", struct.pack("<HHII", 16, 0, 7, 1)), "(3, {AF_NETLINK pid=7 groups=0x1})"),
    ("bind", (3, 1, 88), (b"", struct.pack("<H14sII64s", 38, b"hash", 0, 0, b"sha256")),
     '(3, {AF_ALG "hash" "sha256"})'),
    ("bind", (3, 1, 20), (b"", struct.pack("<H", 17) + struct.pack(">H", 3) + struct.pack("<I", 2)),
     "(3, {AF_PACKET protocol=0x0003 ifindex=2})"),
    ("connect", (3, 0x1000, 16), (), "(3, 0x1000, 16)"),
    ("sendto", (3, 1, 2, 0x4000, 0, 0), (b"", b"hi"), '(3, "hi", 2, MSG_NOSIGNAL, NULL, 0)'),
    ("setsockopt", (3, 1, 2, 1, 4), (b"", b"", b"", b"\1\0\0\0"), "(3, SOL_SOCKET, SO_REUSEADDR, [1], 4)"),
    ("unshare", (0x10020000,), (), "(CLONE_NEWUSER|CLONE_NEWNS)"),
    ("clone", (0x10000011,), (), "(CLONE_NEWUSER|SIGCHLD, NULL, NULL, NULL, 0)"),
    ("clone3", (1, 88), (struct.pack("<8Q", 0x80, 0, 0, 0, 17, 0, 0, 0),),
     "({flags=CLONE_NEWTIME, exit_signal=SIGCHLD}, 88)"),
    ("clone3", (0x1000, 88), (bytes(63),), "(0x1000, 88)"),
    ("ioctl", (0, 0x5412, 0x1000), (), "(0, TIOCSTI, 0x1000)"),
    ("ioctl", (0, 0x7FFF00005412, 0), (), "(0, TIOCSTI, 0)"),
    ("prctl", (38, 1), (), "(PR_SET_NO_NEW_PRIVS, 1)"),
    ("prctl", (39,), (), "(PR_GET_NO_NEW_PRIVS)"),
    ("prctl", (15, 1), (b"", b"name\0"), '(PR_SET_NAME, "name")'),
    ("prctl", (47, 2, 21, 7, 7), (), "(PR_CAP_AMBIENT, 2, 21)"),
    ("prctl", (3, 7, 7, 7, 7), (), "(PR_GET_DUMPABLE)"), ("prctl", (1, 9, 7, 7), (), "(PR_SET_PDEATHSIG, SIGKILL)"),
    ("prctl", (12345, 1, 2, 3, 4), (), "(0x3039, 1, 2, 3, 4)"),
    ("prctl", (22, 2, 0x1000), (), "(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0x1000)"),
    ("fcntl", (1, 3), (), "(1, F_GETFL)"), ("fcntl", (1, 4, 0o4000), (), "(1, F_SETFL, O_RDONLY|O_NONBLOCK)"),
    ("fcntl", (1, 2, 1), (), "(1, F_SETFD, FD_CLOEXEC)"), ("fcntl", (1, 0, 10), (), "(1, F_DUPFD, 10)"),
    ("kill", (ALL, 9), (), "(-1, SIGKILL)"), ("kill", (0xFFFFFFFF, 0), (), "(-1, 0)"),
    ("ptrace", (16, 1234), (), "(PTRACE_ATTACH, 1234, NULL, NULL)"),
    ("keyctl", (0, 0xFFFFFFFD, 0, 7, 7), (), "(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)"),
    ("keyctl", (99, 1, 2, 3, 4), (), "(99, 0x1, 0x2, 0x3, 0x4)"),
    ("mount", (1, 2, 3, 4096), (b"/a\0", b"/b\0", b"none\0"), '("/a", "/b", "none", MS_BIND, NULL)'),
    ("mmap", (0, 4096, 3, 0x22, ALL, 0), (), "(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"),
    ("prlimit64", (0, 4, 1, 0), (b"", b"", struct.pack("<2Q", 0, ALL)),
     "(0, RLIMIT_CORE, {rlim_cur=0, rlim_max=RLIM64_INFINITY}, NULL)"),
    ("shmget", (0, 1, 0o1600), (), "(IPC_PRIVATE, 1, IPC_CREAT|0x180)"),
    ("futex", (1, 0x81, 1, 7, 7, 7), (), "(0x1, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1)"),
    ("lseek", (3, ALL, 1), (), "(3, -1, SEEK_CUR)"),
    ("sync", (1, 2, 3), (), "()"), ("getpid", (9,), (), "()"),
])  # fmt: skip
def test_words(call: str, args: tuple[int, ...], memory: Memory, expected: str) -> None:
    assert text(call, *args, memory=memory) == call + expected


def test_arguments_have_names() -> None:
    call = decode("x86_64", 257, (AT_FDCWD, 1, 0), (b"", b"x\0"))
    assert call.arguments == (("dirfd", "AT_FDCWD"), ("path", '"x"'), ("flags", "O_RDONLY"))
    assert (call.name, call.abi, call.number) == ("openat", "x86_64", 257)


def test_no_control_character_gets_through() -> None:
    """Escape sequences, the directions of text, half characters: all of it is escaped, UTF-8 is not."""
    hostile = b"\x1b]0;x\x07\xff\"\\\n" + "\u202eä\u0085".encode() + b"\xe2\x80"
    assert text("chdir", 1, memory=(hostile + b"\0",)) == (
        'chdir("\\x1b]0;x\\x07\\xff\\"\\\\\\n\\xe2\\x80\\xaeä\\xc2\\x85\\xe2\\x80")'
    )
    every = bytes(range(1, 256))
    shown = text("chdir", 1, memory=(every + b"\0",))
    assert all(c.isprintable() for c in shown) and shown.isascii()


@pytest.mark.parametrize(("captured", "shown"), [
    (b"abc", '"abc"…'), ("aä".encode(), '"aä"…'), ("aä".encode()[:2], '"a"…'), ("a€".encode()[:3], '"a"…'),
    ("a\U0001f600".encode()[:4], '"a"…'), ("a\U0001f600".encode(), '"a\U0001f600"…'), (b"a\xff", '"a\\xff"…'),
])  # fmt: skip
def test_a_string_that_was_cut_says_so(captured: bytes, shown: str) -> None:
    assert text("chdir", 1, memory=(captured,)) == f"chdir({shown})"


def test_numbers_without_a_name() -> None:
    assert str(decode("x86_64", 999, (1, 2, 3, 4, 5, 0))) == "syscall 999(0x1, 0x2, 0x3, 0x4, 0x5, 0)"
    assert decode("x86_64", 999, ()).name == ""
    assert str(decode("x86_64", -1, ())).startswith("syscall -1(")


def test_other_abis_are_said() -> None:
    assert text("open", 1, 0, memory=(b"/x\0",), abi="i386") == '[i386] open("/x", O_RDONLY)'
    assert text("getpid", abi="x32") == "[x32] getpid()"
    assert text("pread64", 3, 0x10, 5, 1, 0, abi="i386") == "[i386] pread64(3, 0x10, 5, 1, 0)"
    assert text("socketcall", 1, 0x10, abi="i386") == "[i386] socketcall(SYS_SOCKET, 0x10)"
    assert text("lseek", 3, 0xFFFFFFFF, 1, abi="i386") == "[i386] lseek(3, -1, SEEK_CUR)"
    assert str(decode("arm", 5, (1,))) == "[arm] syscall 5(0x1, 0, 0, 0, 0, 0)"
    assert str(decode("i386", syscalls.number("i386", "vm86") or 0, (1 << 32 | 1,))).startswith("[i386] vm86(0x1, 0,")


def test_order_of_clone_differs() -> None:
    number = syscalls.number("aarch64", "clone")
    assert number is not None
    assert dict(decode("aarch64", number, (0, 0, 0, 7, 8)).arguments)["tls"] == "0x7"
    assert dict(decode("x86_64", 56, (0, 0, 0, 7, 8)).arguments)["tls"] == "0x8"


def test_every_call_takes_any_arguments() -> None:
    """What a program passes is its own affair: no registers and no memory are an error here."""
    for abi in syscalls.ABIS:
        for name in syscalls.names(abi):
            number = syscalls.number(abi, name)
            assert number is not None
            for value in (0, 2, 17, ALL, 0xDEADBEEF):
                for memory in ((), (b"\x01\0",) * 6, (b"\0" * 128,) * 6, (os.urandom(128),) * 6):
                    shown = str(decode(abi, number, (value,) * 6, memory))
                    assert all(c.isprintable() for c in shown) and len(shown) < 4096


def test_as_many_arguments_as_the_call_has() -> None:
    for call, parameters in every_signature().items():
        abi, _, name = call.rpartition("/")
        number = syscalls.number(abi or "x86_64", name)
        assert number is not None
        assert len(decode(abi or "x86_64", number, (2,) * 6).arguments) <= len(parameters)
