"""The init writes into the memory of programs for sysinfo(2): into that of the caller, and with what right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox

CAP_KILL = 1 << 5

# Victims hold a pattern at an address that callers, which are killed at any moment and replaced, have their own
# page at. Numbers of processes go by quickly; whoever writes by number alone hits a victim sooner or later.
CANARY = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static char *const page = (char *)0x20000000;
static int whole(void)
{
    for (int i = 0; i < 4096; i++)
        if (page[i] != 'c')
            return 0;
    return 1;
}
static pid_t victim(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (int i = 0;; i++) {
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
            if (!whole())
                _exit(9);
        }
    return pid;
}
static pid_t caller(unsigned *calls)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            if (sysinfo((void *)page) == 0 && ((struct sysinfo *)page)->mem_unit == 1)
                __atomic_add_fetch(calls, 1, __ATOMIC_RELAXED);
    return pid;
}
int main(void)
{
    unsigned *calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), seed = 1;
    pid_t victims[8], callers[8];
    int spoilt = 0, status;
    if (mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page)
        return 3;
    memset(page, 'c', 4096);
    for (int i = 0; i < 8; i++)
        victims[i] = victim(), callers[i] = caller(calls);
    for (int round = 0; round < 1500 || *(volatile unsigned *)calls < 1000; round++) {
        struct timespec pause = {0, rand_r(&seed) % 300000};
        int i = rand_r(&seed) % 8;
        pid_t *gone = round % 2 ? &victims[i] : &callers[i];
        nanosleep(&pause, NULL);
        kill(*gone, SIGKILL);
        waitpid(*gone, &status, 0);
        spoilt += WIFEXITED(status);
        *gone = round % 2 ? victim() : caller(calls);
    }
    for (int i = 0; i < 8; i++) {
        kill(victims[i], SIGKILL), kill(callers[i], SIGKILL);
        waitpid(victims[i], &status, 0);
        spoilt += WIFEXITED(status);
    }
    printf("spoilt %d, own page %s\n", spoilt, whole() ? "whole" : "spoilt");
    return 0;
}
"""


@pytest.mark.parametrize("options", [{}, {"ids": "range"}, {"policy": "none", "without": ["pid"]}], ids=str)
def test_nobody_else_is_written_to(options: dict[str, Any], compiled: Callable[..., Path], box: Sandbox) -> None:
    result = box.run([str(compiled("canary", CANARY))], sysinfo="on", **options)
    assert result.ok and result.sysinfo, result
    assert result.stdout == b"spoilt 0, own page whole\n"


@pytest.mark.parametrize("ids", ["single", "range"])
@pytest.mark.parametrize("sysinfo", ["on", "off"])
def test_the_init_keeps_no_more_rights_for_it(ids: str, sysinfo: str, inside: Any) -> None:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if scope.exists() and int(scope.read_text()) >= 2:
        pytest.skip("Yama asks for CAP_SYS_PTRACE here")
    code = 'out = {k: v for k, _, v in (l.partition(":\\t") for l in text("/proc/1/status").splitlines())}'
    found = inside(code, ids=ids, sysinfo=sysinfo, denials=sysinfo)
    assert {int(found[f"Cap{name}"], 16) for name in ("Prm", "Eff")} == {CAP_KILL}
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    # real, effective, saved, file system: with a range only the last is the program's
    own = ["0", "0", "0"] if ids == "range" else ["1000", "1000", "1000"]
    assert found["Uid"].split()[:3] == found["Gid"].split()[:3] == own
    assert found["Uid"].split()[3] == found["Gid"].split()[3] == ("1000" if sysinfo == "on" else own[0])


@pytest.mark.parametrize("ids", ["single", "range"])
@pytest.mark.parametrize("policy", ["default", "none"])
def test_shared_files_are_not_written_through_it(ids: str, policy: str, inside: Any, tmp_path: Path) -> None:
    """/proc/PID/mem writes where the caller could not: a read-only mapping of a file shows whether it may."""
    file = tmp_path / "file"
    file.write_bytes(b"c" * 8192)
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    code = """
import mmap
with open("/mnt/file", "rb") as opened:
    for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
        at, ints = libc.mmap, [ctypes.c_int] * 3
        at.restype, at.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *ints, ctypes.c_long]
        where = at(None, 8192, mmap.PROT_READ, flags, opened.fileno(), 0)
        out[str(flags)] = [call("sysinfo", where), ctypes.string_at(where, 8192).count(b"c")]
"""
    found = inside(code, ids=ids, policy=policy, sysinfo="on", volumes=[f"{tmp_path}:/mnt"])
    assert found == {"1": [-14, 8192], "2": [-14, 8192]}
    assert file.read_bytes() == b"c" * 8192


def test_a_foreign_abi_is_never_answered(compiled: Callable[..., Path], box: Sandbox, machine_is_x86: None) -> None:
    """i386's sysinfo(2) by int 0x80: the default policy kills it; without a policy the kernel answers."""
    source = r"""
    #include <stdio.h>
    #include <sys/mman.h>
    #include <string.h>
    int main(void)
    {
        char *low = mmap((void *)0x30000000, 4096, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        long result;
        memset(low, 'c', 4096);
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(116), "b"(low) : "memory", "r8", "r9", "r10", "r11");
        printf("%ld %d\n", result, low[64] == 'c' && low[111] == 'c'); /* 64 bytes there, 112 in ours */
        return 0;
    }
    """
    argv = [str(compiled("foreign", source))]
    assert box.run(argv, sysinfo="on").signal == 31
    result = box.run(argv, sysinfo="on", policy="none")
    assert result.ok and result.stdout.split() in ([b"0", b"1"], [b"-38", b"1"])


@pytest.fixture
def machine_is_x86() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("int 0x80 is of x86")
