"""isolation="landlock": for hosts that have no namespaces to give; what it runs, refuses, and leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox import HostError, RequestError, Result, Sandbox, SupervisorError, run, scratch
from sandbox.host import probe
from sandbox.request import Mount, Overlay
from sandbox.spec import NAMESPACES
from tests.runs.test_kill9 import box_spawner, caller, cgroups_of, parent_of
from tests.runs.test_obstacles import SPOIL
from tests.runs.test_obstacles import caller as spoilt
from tests.runs.world import INIT_NAME, SPAWNER_NAME, all_gone, descendants, named, until
from tests.slowness import SLOW

ABI = probe().landlock
pytestmark = pytest.mark.skipif(ABI < 3, reason="this kernel has no Landlock that is enough")
Command = Callable[..., "subprocess.CompletedProcess[str]"]

__all__ = ["caller"]


def alone(argv: list[str], **options: Any) -> Result:
    return run(argv, isolation="landlock", **options)


def scratches() -> set[str]:
    top = scratch.base()
    return {f"{top}/{name}" for name in os.listdir(top) if name.startswith(scratch.PREFIX)
            and os.stat(f"{top}/{name}").st_uid == os.geteuid()}  # fmt: skip


# ---- where no namespace can be made ----


def test_under_a_filter_that_refuses_them(pysandbox_env: Mapping[str, str]) -> None:
    done = spoilt(SPOIL + """
refuse("unshare", "EPERM")
refuse("setns", "EPERM")
result = run(["sh", "-c", "echo inside; readlink /proc/self/ns/user"], isolation="landlock")
import os
print(result.outcome, result.stdout.decode().split() == ["inside", os.readlink("/proc/self/ns/user")])
try:
    run(["true"])
except Exception as error:
    print(type(error).__name__)
""", pysandbox_env)  # fmt: skip
    assert done.stdout.splitlines() == ["ok True", "HostError"], done


def test_where_an_administrator_forbids_them(pysandbox_env: Mapping[str, str]) -> None:
    """The limit of the namespace that we are in is 0. There we are uid 0, of nobody but ourselves: no root."""
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" -P -m sandbox.cli run $1 --best-effort echo inside'
    for option, code in (("--isolation=landlock", 0), ("--isolation=namespaces", 125)):
        done = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script, sys.executable, option],
                              env=dict(pysandbox_env), capture_output=True, text=True, timeout=60 * SLOW)  # fmt: skip
        assert done.returncode == code and (done.stdout == "inside\n") == (code == 0), done


def test_it_is_never_a_fallback(pysandbox_env: Mapping[str, str]) -> None:
    done = spoilt(SPOIL + 'refuse("unshare", "EPERM")\nrun(["true"])\n', pysandbox_env)
    assert "HostError" in done.stderr and "user namespace" in done.stderr


# ---- what is said ----


def test_the_result_says_what_is_missing(pysandbox: Command, tmp_path: Path) -> None:
    done = pysandbox("run", "--isolation", "landlock", "--json", tmp_path / "j", "--", "true")
    found = json.loads((tmp_path / "j").read_text())
    assert done.returncode == 0 and found["isolation"] == "landlock" and found["absent"] == list(NAMESPACES)
    assert found["landlock"]["abi"] == ABI and "disk" not in found["enforced"]
    assert set(found["landlock"]["network"]) == ({"bind_tcp", "connect_tcp"} if ABI >= 4 else set())
    (note,) = [n for n in found["notes"] if n.startswith("isolation landlock")]
    assert "processes" in note and ("signals" in note) == (ABI < 6)
    assert note in done.stderr


@pytest.mark.parametrize(("option", "word"), [
    ({"rootfs": "/"}, "mount namespace"), ({"tmpfs": ["/mnt"]}, "mount namespace"), ({"tty": True}, "devpts"),
    ({"hostname": "a"}, "uts"), ({"user": 0}, "user"), ({"user": 5}, "user namespace"), ({"disk": "1M"}, "tmpfs"),
    ({"inodes": 20}, "tmpfs"), ({"ids": "range"}, "id"), ({"proc": "static"}, "/proc"),
    ({"without": ["pid"]}, "namespace"),
    ({"landlock": "off"}, "made of it"), ({"volumes": ["/var:/data"]}, "another place"),
    ({"volumes": [Mount(source="/var", target="/var")]}, "expected a text"),
    ({"devices": ["/dev/fuse"]}, "/dev of its own"),
    ({"overlays": [Overlay(target="/mnt", layers=("/usr",))]}, "mount namespace"),
    ({"workdir": "/root"}, "shows no"), ({"net": "some"}, "none or host"),
    ({"isolation": "vm"}, "namespaces or landlock"),
])  # fmt: skip
def test_what_needs_a_namespace_is_refused_by_name(option: dict[str, Any], word: str) -> None:
    with pytest.raises(RequestError, match=word) as caught:
        run(["true"], **{"isolation": "landlock", **option})
    assert caught.value.field.rstrip("s") == next(iter(option)).rstrip("s")


@pytest.mark.parametrize(("abi", "word"), [(-38, "CONFIG_SECURITY_LANDLOCK"), (1, "ABI"), (2, "truncate")])
def test_a_kernel_that_has_not_enough(abi: int, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox import warm

    host = probe().replace(landlock=abi)
    monkeypatch.setattr(warm, "probe", lambda: host)
    with Sandbox(isolation="landlock") as box, pytest.raises(HostError, match=word):
        box.run(["true"])


def test_limits_by_a_cgroup_or_not_at_all() -> None:
    found = alone(["true"], mem="64M", time=5)
    assert found.ok and "cgroup" in found.enforced["mem"] and "cgroup" in found.enforced["pids"]
    with pytest.raises(HostError, match="--pids: .*--best-effort"):
        alone(["true"], cgroup="none")
    found = alone(["true"], cgroup="none", best_effort=True)
    assert "pids" in found.not_enforced and "any number of processes" in " ".join(found.notes)


def test_a_fork_bomb_is_ended(program: Callable[[str], str]) -> None:
    """It ignores all signals, makes sessions, and no pid namespace takes it away."""
    result = alone([program("bomb")], wall=1 * SLOW, pids=32)
    assert result.exit_status == 124 and (result.usage.pids_denied or 0) > 0
    assert until(lambda: not named("bomb"))


@pytest.mark.parametrize(("argv", "outcome", "options"), [
    (["sh", "-c", "exit 7"], "exited", {}), (["sh", "-c", "kill -9 $$"], "signaled", {}),
    (["sh", "-c", "while :; do :; done"], "wall_time", {"wall": 0.3}),
    (["sh", "-c", "while :; do :; done"], "cpu_time", {"time": 0.2}),
    (["sleep", "60"], "idle", {"wall": 0.3}),
    (["/usr/bin/python3", "-c", "b'x' * (512 << 20)"], "memory", {"mem": "64M"}),
    (["yes"], "output", {"output": "1K"}), (["no-such-program"], "exec_failed", {}),
])  # fmt: skip
def test_outcomes(argv: list[str], outcome: str, options: dict[str, Any]) -> None:
    assert alone(argv, **options).outcome == outcome


# ---- what it runs, and where ----


def test_the_private_directory() -> None:
    before = scratches()
    result = alone(["sh", "-c", 'pwd; echo "$HOME"; echo "$TMPDIR"; stat -c "%a %u" .; touch a && mkdir -p b/c && ls'])
    here, home, temporary, mode, *names = result.stdout.decode().splitlines()
    assert here == home == temporary and here.startswith(scratch.base() + "/") and names == ["a", "b"]
    assert mode == f"700 {os.geteuid()}"
    assert not os.path.exists(here) and scratches() == before


def test_variables_of_the_caller_win() -> None:
    result = alone(["sh", "-c", 'echo "$HOME $TMPDIR"'], env={"HOME": "/a", "TMPDIR": "/b"})
    assert result.stdout == b"/a /b\n"


def test_a_program_of_the_callers(program: Callable[[str], str], tmp_path: Path) -> None:
    script = tmp_path / "own script"
    script.write_text(f"#!/bin/sh\necho own \"$0\"; ls {tmp_path} 2>/dev/null || echo closed\n")
    script.chmod(0o755)
    result = alone([str(script)])
    assert result.stdout.decode() == f"own {script}\nclosed\n", result
    assert alone([program("die"), "segv"]).signal == 11
    relative = os.path.relpath(script)
    assert alone([relative]).stdout.startswith(b"own ")


def test_volumes_and_workdir(tmp_path: Path) -> None:
    for name in ("read", "write"):
        (tmp_path / name).mkdir()
    (tmp_path / "read" / "in").write_text("given")
    volumes = [f"{tmp_path}/read:{tmp_path}/read", f"{tmp_path}/write:{tmp_path}/write:rw"]
    result = alone(["sh", "-c", "pwd; cat ../read/in > out; mkdir d; mv out d; echo > ../read/new || echo no"],
                   volumes=volumes, workdir=f"{tmp_path}/write")  # fmt: skip
    assert result.stdout.decode().splitlines() == [f"{tmp_path}/write", "no"], result
    assert (tmp_path / "write" / "d" / "out").read_text() == "given" and not (tmp_path / "read" / "new").exists()


def test_usual_programs() -> None:
    code = """
import asyncio, concurrent.futures, os, socket, subprocess, sys, tempfile, threading
assert subprocess.check_output(["sh", "-c", "echo x | tr x y"]) == b"y\\n"
with tempfile.TemporaryDirectory() as d: open(d + "/f", "w").write("x")
with concurrent.futures.ThreadPoolExecutor(2) as pool: assert list(pool.map(abs, [-1, 1])) == [1, 1]
async def main():
    done = await asyncio.create_subprocess_exec("echo", "z", stdout=asyncio.subprocess.PIPE)
    assert (await done.communicate())[0] == b"z\\n"
asyncio.run(main())
open("/dev/null", "w").write("x"); os.urandom(4); os.utime(os.open("t", os.O_CREAT | os.O_WRONLY))
open("/proc/self/status").read(); os.sched_setaffinity(0, os.sched_getaffinity(0)); os.nice(1)
print("all")
"""
    result = alone(["/usr/bin/python3", "-c", code], wall=60 * SLOW)
    assert result.stdout == b"all\n", result.stderr.decode()


def test_what_it_cannot_do_is_documented_as_such() -> None:
    """chmod(2) has no Landlock right and would reach all of the caller's files: docs/landlock.md says so."""
    result = alone(["sh", "-c", "touch f && chmod 600 f; echo $?; echo > /dev/shm/x; echo $?"])
    assert result.stdout == b"1\n2\n" and b"not permitted" in result.stderr


def test_the_network_by_name() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5); print('there')"
        assert alone(["/usr/bin/python3", "-c", code], net="host").stdout == b"there\n"
        assert alone(["/usr/bin/python3", "-c", code]).exit_code == 1


def test_sysinfo_and_memory() -> None:
    result = alone(["/usr/bin/getconf", "_PHYS_PAGES"], mem="64M", sysinfo="on")
    assert int(result.stdout) * os.sysconf("SC_PAGE_SIZE") == 64 << 20, result


def test_runs_in_a_row_and_at_once() -> None:
    with Sandbox(isolation="landlock") as box:
        for n in range(5):
            assert box.run(["sh", "-c", f"echo {n} > f; cat f"]).stdout == b"%d\n" % n
        with box.start(["sh", "-c", "pwd; sleep 0.2"]) as one, box.start(["sh", "-c", "pwd; sleep 0.2"]) as other:
            assert one.wait().stdout != other.wait().stdout
        assert box.run(["true"], isolation="namespaces").absent == ()  # the same object serves both


# ---- nothing stays ----

TREE = ["sh", "-c", "setsid sleep 3600 & (setsid sleep 3600 &); mkdir -p deep/er; echo up; sleep 3600"]


def test_what_the_program_leaves_goes_with_it() -> None:
    result = alone(["sh", "-c", "(setsid sleep 3600 &); (trap '' TERM; setsid sleep 3600) & exit 3"])
    assert result.exit_code == 3 and not named("sleep")


@pytest.mark.parametrize("limits", [{}, {"mem": "64M"}], ids=["plain", "limited"])
@pytest.mark.parametrize("victim", [SPAWNER_NAME, INIT_NAME])
def test_kill_9_of_ours(victim: str, limits: dict[str, str]) -> None:
    """Without a pid namespace the kernel ends nothing by itself."""
    before = scratches()
    options: dict[str, Any] = dict(limits) or {"cgroup": "none", "best_effort": True}
    with Sandbox(wall=30 * SLOW, isolation="landlock", **options) as box:
        box.run(["true"])
        with pytest.raises(SupervisorError), box.start(TREE) as running:
            assert until(lambda: len(named("sleep")) == 3)
            (program,) = (p for p, name in descendants().items() if name == "sh")
            target = parent_of(program[0]) if victim == INIT_NAME else box_spawner(program[0])
            tree = descendants(target)
            os.kill(target, signal.SIGKILL)
            running.wait()
        assert not all_gone(tree, 1.0)
        assert box.run(["echo", "again"]).stdout == b"again\n"
    assert until(lambda: scratches() <= before), scratches()


@pytest.mark.parametrize("options", [(), ("mem=64M",)], ids=["plain", "limited"])
def test_kill_9_of_the_caller(options: tuple[str, ...], caller: Any, pysandbox: Command) -> None:
    before = scratches()
    process = caller("isolation=landlock", *options)
    assert process.stdout and process.stdout.readline() == b"up\n"
    assert until(lambda: len(named("sleep", process.pid)) == 3)
    tree = descendants(process.pid)
    (left,) = scratches() - before
    process.kill()
    process.wait()
    assert not all_gone(tree, 1.0)
    assert until(lambda: not cgroups_of(process.pid), 1.0)
    # the next one removes what it left
    assert pysandbox("run", "--isolation", "landlock", "--", "true").returncode == 0
    assert left not in scratches()


def test_an_exception_while_it_waits_leaves_nothing() -> None:
    before = scratches()
    with Sandbox(isolation="landlock") as box, pytest.raises(ZeroDivisionError), box.start(TREE):
        assert until(lambda: len(named("sleep")) == 3)
        raise ZeroDivisionError
    assert until(lambda: not named("sleep")) and until(lambda: scratches() <= before)


# ---- the directory's end ----

HOSTILE = """
import os
os.mkdir("closed", 0); os.mkdir("a"); os.symlink(OUT, "a/link"); os.symlink("..", "up")
os.mkfifo("pipe"); open("x\\udcff", "w").close()
for n in range(3000):
    os.mkdir("d" * 200); os.symlink(OUT, "l"); os.chdir("d" * 200)
os.mkdir("inner", 0)
"""


def test_a_hostile_tree_is_removed(tmp_path: Path) -> None:
    """3,000 directories deep (600,000 bytes of path), with modes that shut out and links that lead out."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("kept")
    before = scratches()
    result = alone(["/usr/bin/python3", "-c", f"OUT = {str(tmp_path / 'out')!r}\n{HOSTILE}"], wall=60 * SLOW)
    assert result.ok, result.stderr
    assert scratches() == before and (tmp_path / "out" / "kept").read_text() == "kept"


def test_the_sweep_spares_the_living(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    living = scratch.Scratch()
    dead = tmp_path / f"{scratch.PREFIX}dead"
    (dead / "below").mkdir(parents=True)
    (tmp_path / f"{scratch.PREFIX}link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    scratch.sweep(str(tmp_path))
    assert os.path.isdir(living.path) and not dead.exists() and (tmp_path / "elsewhere" / "kept").exists()
    held = os.open(living.path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(held)
    living.close()
    assert not os.path.exists(living.path)


def test_a_directory_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(HostError, match="TMPDIR"):
        alone(["true"])


def test_a_hint_names_the_only_place_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    result = alone(["cat", str(tmp_path / "data")])
    assert result.exit_code and result.hints[0].endswith(f"-v {tmp_path}/data:{tmp_path}/data"), result.hints
