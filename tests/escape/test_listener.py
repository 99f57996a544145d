"""The listener's way out is a hole in the filter on one fd number: the program can never have it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import Sandbox

NUMBER = 1536  # with the default limit of open files; listening.number()
EBADF, EINVAL, EPERM, ENOSYS, EMFILE = 9, 22, 1, 38, 24


@pytest.mark.parametrize("mem", [None, "128M"])
def test_no_way_to_the_number(mem: str | None, inside: Any) -> None:
    """By any call that makes an fd, and by more room for fds."""
    out = inside(
        f"""
import array, fcntl, resource, socket
N = {NUMBER}
out["limits"] = resource.getrlimit(resource.RLIMIT_NOFILE)
def raised(value):
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, value)
    except (OSError, ValueError) as error:
        return "refused"
out["raised"] = [raised((N + 1, N + 1)), raised((1024, N + 1)), raised((N + 1, 1024))]
out["dup2"] = tried(lambda: os.dup2(1, N))
out["dup3"] = call("dup3", 1, N, 0)
out["dupfd"] = tried(lambda: fcntl.fcntl(1, fcntl.F_DUPFD, N))
out["at"] = tried(lambda: os.fstat(N) and 0)
made = []
while True:
    try:
        made.append(os.dup(1))
    except OSError as error:
        out["full"] = error.errno
        break
out["highest"] = max(made)
for fd in made[:-4]:
    os.close(fd)
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1]))])
data, rights, _flags, _ = b.recvmsg(10, 100)
out["received"] = array.array("i", rights[0][2])[0]
out["open"] = sorted(map(int, os.listdir("/proc/self/fd")))
out["sendmsg"] = call("sendmsg", N, ctypes.create_string_buffer(56), 0)
""",
        mem=mem, denials="on",
    )  # fmt: skip
    assert out["limits"] == [1024, 1024] and out["raised"] == ["refused"] * 3
    assert out["dup2"] == out["dup3"] == -EBADF and out["dupfd"] == -EINVAL and out["at"] == -EBADF
    assert out["full"] == EMFILE and out["highest"] == 1023 and out["received"] < 1024
    assert max(out["open"]) < 1024 and out["sendmsg"] == -EBADF


@pytest.mark.parametrize("denials", ["on", "off"])
def test_a_refused_sendmsg_stays_refused(denials: str, inside: Any) -> None:
    """On every number that the program can have; on the one in the hole there is nothing, with any upper half."""
    out = inside(
        f"""
blank = ctypes.create_string_buffer(56)
numbers = [*range(1024), {NUMBER} - 1, {NUMBER} + 1, 2**31, 2**32 - 1, {NUMBER} << 32]
out["others"] = sorted({{call("sendmsg", fd, blank, 0) for fd in numbers}})
out["hole"] = sorted({{call("sendmsg", fd, blank, 0) for fd in ({NUMBER}, 1 << 32 | {NUMBER}, 7 << 60 | {NUMBER})}})
""",
        policy="strict", denials=denials,
    )  # fmt: skip
    assert out["others"] == [-ENOSYS]
    assert out["hole"] == ([-EBADF] if denials == "on" else [-ENOSYS])


X32 = r"""
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char blank[64];
    long number = 0x40000000L | (argc > 1 ? 518 : SYS_sendmsg);
    memset(blank, 0, sizeof blank);
    (void)argv;
    printf("before\n");
    fflush(stdout);
    printf("passed %ld\n", syscall(number, 1536, blank, 0));
    return 0;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is of x86_64")
@pytest.mark.parametrize("words", [[], ["x32"]])
def test_the_hole_is_of_the_native_table(words: list[str], compiled: Callable[..., Any], box: Sandbox) -> None:
    result = box.run([str(compiled("x32sendmsg", X32)), *words], denials="on")
    assert result.outcome == "syscall" and result.signal == 31 and result.stdout == b"before\n", result
    assert result.denials[0].abi == "x32" and result.denials[0].action == "kill"


def test_the_handler_s_listener_is_not_the_program_s(command: Callable[[str], list[str]], tmp_path: Any,
                                                     box: Sandbox) -> None:  # fmt: skip
    """Handed out to Python over the same way."""
    policy = tmp_path / "asking.toml"
    policy.write_text('version = 1\ndescription = "x"\ndefault = "allow"\n[groups.ask]\naction = "notify"\n'
                      'calls = ["chroot"]\n')  # fmt: skip
    code = """
out["open"] = {fd: tried(lambda: os.readlink(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd")}
out["chroot"] = call("chroot", "/tmp")
"""
    result = box.run(command(code), policy=str(policy), notify=lambda _pid, _data: 77)
    assert result.ok, result
    out = json.loads(result.stdout.splitlines()[-1])
    assert out["chroot"] == -77 and set(out["open"]) - {"0", "1", "2"} == {"3"}  # the directory that is read
    assert not any("seccomp" in str(path) or "socket" in str(path) for path in out["open"].values())
