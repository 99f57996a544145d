"""Hosts that refuse something: each obstacle is made for real, around a caller of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox import HostError, run
from tests.runs.world import delegated
from tests.slowness import SLOW

pytestmark = pytest.mark.v2


def caller(code: str, env: Mapping[str, str], *prefix: str) -> subprocess.CompletedProcess[str]:
    """Python code in a process of its own, which may spoil itself before it uses the sandbox."""
    command = [*prefix, sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=60 * SLOW, check=False)


SPOIL = """
import ctypes
from sandbox import policy, run
from sandbox.seccomp import _arch
from sandbox.seccomp import compile as compiler

def refuse(call, errno):
    '''From now on ``call`` fails with ``errno``, here and in every child.'''
    text = f'version=1\\ndefault="allow"\\n[groups.no]\\naction="errno:{errno}"\\ncalls=["{call}"]\\n'
    program = compiler.compile_policy(policy.parse("t", "/t", text.encode()), _arch(None)).program
    class Prog(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Prog(len(program) // 8, program)), 0, 0) == 0, ctypes.get_errno()
"""


def test_chroot_where_pivot_root_is_refused(pysandbox_env: Mapping[str, str]) -> None:
    """As on an initial ramfs, where pivot_root(2) says EINVAL: chroot instead, and the result says so."""
    done = caller(
        SPOIL
        + """
refuse("pivot_root", "EINVAL")
look = "ls -di / /.. | cut -d' ' -f1 | uniq | wc -l; cd /; cd ../..; pwd; ls /home | wc -l; cat /etc/hostname"
result = run(["sh", "-c", look])
print(result.stdout.decode().split(), result.outcome, [n for n in result.notes if "chroot" in n] != [])
again = run(["true"])
print(again.outcome, len(again.notes))
""",
        pysandbox_env,
    )
    assert done.stdout.splitlines() == ["['1', '/', '0', 'sandbox'] ok True", "ok 1"], done


def test_another_refusal_of_pivot_root_is_an_error(pysandbox_env: Mapping[str, str]) -> None:
    done = caller(SPOIL + 'refuse("pivot_root", "EPERM")\nrun(["true"])\n', pysandbox_env)
    assert "SetupError" in done.stderr and "pivot_root" in done.stderr and "Operation not permitted" in done.stderr


def test_no_user_namespaces_left(pysandbox_env: Mapping[str, str]) -> None:
    """The limit of the namespace that we are in is 0, which is what an administrator sets to forbid them."""
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -m sandbox.cli run true'
    done = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script, sys.executable],
                          env=dict(pysandbox_env), capture_output=True, text=True, timeout=60 * SLOW,
                          check=False)  # fmt: skip
    assert done.returncode == 125 and len(done.stderr.splitlines()) == 1
    assert "user.max_user_namespaces is 0" in done.stderr and "sysctl" in done.stderr


def test_namespaces_refused_by_a_container(pysandbox_env: Mapping[str, str]) -> None:
    """As under a container's own filter: unshare(2) answers EPERM, and the message names who may have done it."""
    done = caller(SPOIL + 'refuse("unshare", "EPERM")\nrun(["true"])\n', pysandbox_env)
    assert "HostError" in done.stderr and "cannot make a user namespace" in done.stderr and "container" in done.stderr


def test_the_reason_survives_what_was_sent_early(pysandbox_env: Mapping[str, str], tmp_path: Path) -> None:
    """The command sends its guess at the setup at once; a spawner that ends without reading it resets the socket,
    and its last words lie behind the error."""
    env = {**pysandbox_env, "XDG_CACHE_HOME": str(tmp_path)}
    use = "from sandbox.cli.main import main\nassert main(['run', 'true']) == {}\n"
    assert caller(use.format(0), env).returncode == 0  # leaves something to send
    done = caller(SPOIL + "refuse('unshare', 'EPERM')\n" + use.format(125) * 5, env)
    assert done.returncode == 0, done
    assert done.stderr.count("cannot make a user namespace") == 5, done


def test_range_without_new_privileges(pysandbox_env: Mapping[str, str]) -> None:
    """newuidmap(1) is powerless under no_new_privs, and says nothing useful about it."""
    command = ["setpriv", "--no-new-privs", sys.executable, "-m", "sandbox.cli", "run", "--ids", "range", "true"]
    done = subprocess.run(command, env=dict(pysandbox_env), capture_output=True, text=True, timeout=60 * SLOW,
                          check=False)  # fmt: skip
    assert done.returncode == 125 and "no_new_privs" in done.stderr and "--ids single" in done.stderr


def test_cpuset_is_enforced_and_seen() -> None:
    last = max(os.sched_getaffinity(0))
    look = "print(sorted(os.sched_getaffinity(0)));"
    code = f"import os; {look} os.sched_setaffinity(0, range(64)); {look}"
    if not delegated("cpuset"):
        with pytest.raises(HostError, match="--cpuset: cpuset cannot be enforced: .* has no cpuset controller to give"):
            run(["true"], cpuset=str(last))
        return
    result = run(["python3", "-c", code], cpuset=str(last))
    assert result.stdout.decode().splitlines() == [f"[{last}]"] * 2, result
    assert "cpuset" in result.enforced["cpuset"]


def test_swap_is_limited_together_with_memory() -> None:
    result = run(["true"], mem="64M", swap="16M")
    assert result.ok and "mem" in result.enforced and "swap" in result.enforced, result


DOMAINS = """
import ctypes
from sandbox import run
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
signals = (ctypes.c_uint64 * 3)(0, 0, 2)
ruleset = libc.syscall(444, signals, 24, 0)
for _ in range(16):
    assert libc.syscall(446, ruleset, 0) == 0, ctypes.get_errno()
"""


def test_as_many_landlock_domains_as_there_may_be(pysandbox_env: Mapping[str, str]) -> None:
    """The kernel stacks 16. Nobody gets less than was said: the run fails, and the message names the way out."""
    from sandbox.host import probe

    if probe().landlock < 6:
        pytest.skip("needs scopes: a ruleset about files would forbid mounts")
    done = caller(DOMAINS + "print(run(['true'], landlock='off').outcome)\nrun(['true'])\n", pysandbox_env)
    assert done.stdout == "ok\n" and "SetupError" in done.stderr and "--landlock off" in done.stderr, done
