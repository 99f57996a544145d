"""Rule 8: kernel surface that the default policy closes, foreign call tables, and exotic sockets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox

CLOSED = (
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "add_key",
    "request_key",
    "keyctl",
    "fanotify_init",
    "kcmp",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "syslog",
    "settimeofday",
    "clock_settime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "mbind",
    "move_pages",
    "open_by_handle_at",
    "vhangup",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "fsopen",
    "move_mount",
    "open_tree",
    "mount_setattr",
)


@pytest.mark.parametrize("policy", ["default", "strict"])
def test_closed_calls(policy: str, inside: Any) -> None:
    """EPERM before the kernel has looked at a single argument: all of them are nonsense."""
    out = inside(f"for name in {CLOSED!r}:\n    out[name] = call(name, -1, -1, -1, -1, -1, -1)", policy=policy)
    allowed = {-1} if policy == "default" else {-1, -38}
    assert {name: number for name, number in out.items() if number not in allowed} == {}


def test_unknown_calls_are_enosys(inside: Any) -> None:
    """A call of a kernel to come, and numbers that mean nothing: programs fall back as on an older kernel."""
    out = inside("out = [call(number, 0, 0, 0, 0, 0, 0) for number in (*range(480, 600), 1000, 0x3fffffff)]")
    assert set(out) == {-38}


def test_clone3_is_enosys(inside: Any) -> None:
    """Its flags lie in memory, where a filter cannot look: CLONE_NEWUSER would pass."""
    assert inside('out = call("clone3", ctypes.create_string_buffer(88), 88)') == -38


FAMILIES = {
    "AF_NETLINK audit": (16, 3, 9),
    "AF_NETLINK generic": (16, 3, 16),
    "AF_NETLINK netfilter": (16, 3, 12),
    "AF_NETLINK xfrm": (16, 3, 6),
    "AF_NETLINK kobject": (16, 3, 15),
    "AF_NETLINK diag": (16, 3, 4),
    "AF_VSOCK": (40, 1, 0),
    "AF_ALG": (38, 5, 0),
    "AF_PACKET": (17, 3, 0),
    "AF_KEY": (15, 3, 2),
    "AF_CAN": (29, 3, 1),
    "AF_TIPC": (30, 1, 0),
    "AF_BLUETOOTH": (31, 3, 1),
    "AF_XDP": (44, 3, 0),
    "AF_RDS": (21, 5, 0),
    "AF_AX25": (3, 5, 0),
    "AF_APPLETALK": (5, 2, 0),
    "AF_SMC": (43, 1, 0),
    "AF_KCM": (41, 5, 0),
    "AF_PPPOX": (24, 1, 0),
    "AF_NFC": (39, 5, 0),
    "AF_QIPCRTR": (42, 2, 0),
    "AF_IUCV": (32, 1, 0),
    "AF_PHONET": (35, 2, 0),
    "AF_CAIF": (37, 1, 0),
    "AF_IEEE802154": (36, 2, 0),
    "SOCK_PACKET": (2, 10, 0),
}


@pytest.mark.parametrize("high", [0, 1 << 32, 0xFFFFFFFF << 32])
def test_socket_families(high: int, inside: Any) -> None:
    """CVE-2017-6074 and many more were reached by a family nobody uses; AF_VSOCK reaches the hypervisor."""
    out = inside(f"for name, (a, b, c) in {FAMILIES!r}.items():\n    out[name] = call('socket', a | {high}, b, c)")
    assert {name: number for name, number in out.items() if number != -97} == {}


def test_socket_pairs(inside: Any) -> None:
    out = inside(
        "for family in range(64):\n    out[str(family)] = call('socketpair', family, 1, 0, (ctypes.c_int * 2)())"
    )
    assert out.pop("1") == 0
    assert set(out.values()) == {-97}


def test_what_programs_need_is_open(inside: Any) -> None:
    """Or the tests above would pass for a policy that refuses everything."""
    out = inside(
        """
out["sockets"] = [call("socket", *words) for words in ((1, 1, 0), (2, 1, 0), (2, 2, 0), (10, 1, 0), (16, 3, 0))]
out["pipe"] = call("pipe2", (ctypes.c_int * 2)(), 0)
out["memfd"] = call("memfd_create", "x", 0)
child = os.fork()
if child == 0:
    os._exit(7)
out["fork"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
import threading
thread = threading.Thread(target=lambda: out.update(thread=True))
thread.start(); thread.join()
"""
    )
    assert min(out["sockets"]) >= 3 and out["pipe"] == 0 and out["memfd"] > 0
    assert out["fork"] == 7 and out["thread"]


INT80 = r"""
#include <stdio.h>
int main(int argc, char **argv)
{
    long number = argc > 1 ? 20 : 20, result = -1; /* getpid of i386, writev of x86_64 */
    (void)argv;
    printf("before\n");
    fflush(stdout);
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory", "r8", "r9", "r10", "r11");
    printf("passed %ld\n", result);
    return 0;
}
"""
X32 = r"""
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <errno.h>
int main(void)
{
    printf("before\n");
    fflush(stdout);
    long result = syscall(0x40000000L | SYS_getpid);
    printf("passed %ld %d\n", result, errno);
    return 0;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 and x32 exist on x86_64 only")
@pytest.mark.parametrize("policy", ["default", "strict"])
@pytest.mark.parametrize(("name", "source"), [("int80", INT80), ("x32", X32)])
def test_foreign_call_tables(name: str, source: str, policy: str, compiled: Callable[..., Path], box: Sandbox) -> None:
    """Another table's numbers would pass by every rule; death is the answer, and a clear outcome."""
    result = box.run([str(compiled(name, source))], policy=policy)
    assert result.outcome == "syscall" and result.signal == 31, result
    assert result.stdout == b"before\n"
    assert result.exit_status == 128 + 31


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 exists on x86_64 only")
def test_the_foreign_table_is_there_without_a_filter(compiled: Callable[..., Path], box: Sandbox) -> None:
    """Or the kernel might have been built without it; then the death above must still come from the filter."""
    result = box.run([str(compiled("x32", X32))], policy="none")
    assert result.ok and result.stdout.startswith(b"before\npassed")


def test_a_filter_cannot_be_loosened(inside: Any) -> None:
    """A program may add filters of its own (CVE-2009-0835: flags are checked); they only ever take away."""
    out = inside(
        """
import struct
allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7fff0000))
program = ctypes.create_string_buffer(struct.pack("=H6xQ", 1, ctypes.addressof(allow)))
out["own filter"] = call("seccomp", 1, 0, program)
out["mount"] = call("mount", 0, "/tmp", "tmpfs", 0, 0)
out["filters"] = [line.split()[1] for line in text("/proc/self/status").splitlines() if line.startswith("Seccomp")]
out["dump"] = call("ptrace", 0x420c, os.getpid(), 0, 0)
"""
    )
    assert out["own filter"] == 0 and out["mount"] == -1
    assert out["filters"][0] == "2" and out["dump"] < 0
