"""A further program in a sandbox that runs: confined as the first one, and a run of its own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import HostError, PolicyError, RequestError, Result, Sandbox, SetupError, SupervisorError
from sandbox.request import Mount, NetworkPlace, Request
from sandbox.running import Running
from tests.runs.world import until
from tests.slowness import SLOW


@pytest.fixture(scope="module", name="box")
def _box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


@pytest.fixture(scope="module", name="running")
def _running(box: Sandbox) -> Iterator[Running]:
    with box.start(["sleep", "1000"], joinable=True, mem="64M", env={"MINE": "1"}) as running:
        running.ready()
        yield running


Exec = Callable[..., Result]


def run(running: Running, *argv: str, **options: Any) -> bytes:
    with running.exec(Request(argv=list(argv), **options)) as more:
        return more.wait().stdout


@pytest.fixture(name="inside")
def _inside(running: Running) -> Exec:
    def inside(script: str, **options: Any) -> Result:
        with running.exec(Request(argv=["sh", "-c", script], wall=20 * SLOW, **options)) as more:
            return more.wait()

    return inside


@pytest.mark.v2
def test_it_is_in_every_namespace_of_the_sandbox(running: Running, inside: Exec) -> None:
    seen = dict(line.split(":") for line in inside("readlink /proc/self/ns/*").stdout.decode().split())
    for kind, fd in running.namespaces().items():
        assert f"[{os.fstat(fd).st_ino}]" == seen[kind], kind
    assert set(running.namespaces()) >= set(seen) - {"pid_for_children", "time_for_children"}
    assert seen["user"] != os.readlink("/proc/self/ns/user").partition(":")[2]
    assert os.readlink(f"/proc/{running.pid}/root") if os.geteuid() == 0 else running.pid > 1


@pytest.mark.v2
def test_it_is_confined_as_the_first_program(box: Sandbox) -> None:
    look = ("grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status; ulimit -a; id; umask; cat /proc/self/cgroup;"
            "cat /proc/self/limits; grep -c . /proc/self/mountinfo")  # fmt: skip
    kinds: tuple[dict[str, Any], ...] = ({"policy": "docker"}, {"cap_add": ["CHOWN"], "user": 0}, {"nofile": 50})
    for options in kinds:
        with box.start(["sh", "-c", f"{look}; exec sleep 1000"], joinable=True, **options) as running:
            def begun(running: Running = running) -> bool:
                with running.exec(Request(argv=["pgrep", "-x", "sleep"])) as seen:
                    return seen.wait().exit_code == 0

            assert until(begun)
            with running.exec(Request(argv=["sh", "-c", look])) as more:
                found = more.wait()
            running.supervision.kill("interrupted", "by the test")
            first = running.wait()
        assert found.stdout and found.stdout == first.stdout
        assert found.policy == first.policy and found.capabilities == first.capabilities
        assert found.enforced == first.enforced


def test_its_policy_holds(inside: Exec) -> None:
    """By a call, mount_setattr(2) of 0 bytes, that the kernel refuses for another reason where nothing is filtered."""
    assert b"not permitted" in inside("unshare -n true || true").stderr.lower()
    asked = ("python3 -c 'import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
             "print(libc.syscall(442, -1, 0, 0, 0, 0), ctypes.get_errno())'")  # fmt: skip
    assert inside(asked, policy="none").stdout.split() == [b"-1", b"%d" % errno.EINVAL]
    assert inside(asked).stdout.split() == [b"-1", b"%d" % errno.EPERM]
    assert inside(asked, policy="docker").stdout.split() == [b"-1", b"%d" % errno.EPERM]


def test_its_policy_gives_no_capability_that_the_sandbox_lacks(box: Sandbox) -> None:
    """Nor does it get one that its policy does not know, though the sandbox was given it."""
    with box.start(["sleep", "1000"], joinable=True, user=0, cap_add=["CHOWN", "SYS_PTRACE"]) as running:
        def effective(**options: str) -> int:
            return int(run(running, "sh", "-c", "grep CapEff /proc/self/status", **options).split()[1], 16)

        assert effective() == 1 << 0 | 1 << 19
        assert effective(policy="default") == 0
        assert effective(policy="ci") == 1 << 0  # which knows more


def test_a_policy_that_asks_has_nobody_to_ask(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "asks.toml"
    path.write_text('version = 1\nextends = "default"\n\n[groups.asked]\naction = "notify"\ncalls = ["getppid"]\n')
    with pytest.raises(PolicyError, match="nobody listens to a program that joins"):
        running.exec(Request(argv=["true"], policy=str(path)))


def test_environment_directory_and_streams(inside: Exec) -> None:
    script = "echo $MINE $OURS $PWD; cat; echo wrong >&2; exit 3"
    found = inside(script, env={"OURS": "2"}, workdir="/tmp", stdin=b"in\n")
    assert found.stdout == b"1 2 /tmp\nin\n" and found.stderr == b"wrong\n" and found.exit_code == 3


def test_they_share_files_and_processes(inside: Exec) -> None:
    inside("echo text > /work/file; sleep 1000 >/dev/null 2>&1 & echo $!")
    found = inside("cat /work/file; pgrep -x sleep | wc -l; pkill -n -x sleep && echo killed")
    assert found.stdout.split() == [b"text", b"2", b"killed"]  # what an exec leaves behind is the sandbox's


def test_signals_of_others_reach_it_and_it_them(running: Running, inside: Exec) -> None:
    with running.exec(Request(argv=["sleep", "777"])) as more:
        assert until(lambda: b"777" in inside("pgrep -xa sleep").stdout)
        assert inside("pkill -f '[s]leep 777'").exit_code == 0
        assert more.wait().signal == signal.SIGTERM


@pytest.mark.v2
def test_it_has_a_terminal_of_the_sandbox(running: Running) -> None:
    shown = bytearray()
    with running.exec(Request(argv=["sh", "-c", "tty; test -t 0 && echo yes"], tty=True)) as more:
        more.supervision.terminal_ends = (-1, -1, shown.extend)
        assert more.wait().exit_code == 0
    assert b"/dev/pts/" in shown and b"yes" in shown


@pytest.mark.v2
def test_its_terminal_has_a_size_before_it_begins(running: Running) -> None:
    """Nobody resizes it here: what was set after the launch came too late for a fast program."""
    shown = bytearray()
    master, slave = os.openpty()
    try:
        termios.tcsetwinsize(slave, (33, 77))
        with running.exec(Request(argv=["stty", "size"], tty=True), terminal=slave) as more:
            more.supervision.terminal_ends = (-1, -1, shown.extend)
            assert more.wait().exit_code == 0
    finally:
        os.close(master)
        os.close(slave)
    assert shown.strip() == b"33 77"


@pytest.mark.v2
def test_wall_time_ends_it_and_what_it_started_and_not_the_sandbox(running: Running, inside: Exec) -> None:
    script = "sh -c 'sh -c \"sleep 901 & sleep 902\" & setsid sleep 903 & sleep 904' & sleep 905"
    with running.exec(Request(argv=["sh", "-c", script], wall=0.5)) as more:
        found = more.wait()
    assert found.outcome in ("wall_time", "idle") and found.usage.wall_ns is not None
    assert until(lambda: inside("pgrep -f '[s]leep 90[1-5]' | wc -l").stdout.strip() == b"0")
    assert inside("true").outcome == "ok"


def test_output_is_counted_for_it_alone(inside: Exec) -> None:
    assert inside("yes", output="64K").outcome == "output"
    assert inside("echo short", output="64K").outcome == "ok"


@pytest.mark.v2
def test_memory_is_the_sandboxs(box: Sandbox) -> None:
    with box.start(["sleep", "1000"], joinable=True, mem="64M") as running:
        with running.exec(Request(argv=["python3", "-c", "print(len(bytearray(1) * 200_000_000))"])) as more:
            assert more.wait().outcome == "memory"
        assert running.wait().outcome == "memory"  # as if its first program had done it


def test_time_is_measured_as_of_any_run(inside: Exec) -> None:
    found = inside("sleep 0.2")
    assert found.usage.wall_ns is not None and 200_000_000 <= found.usage.wall_ns < 5_000_000_000
    assert abs((found.usage.ended_at_ns or 0) - time.monotonic_ns()) < 20_000_000_000


def test_a_program_that_is_not_there(running: Running) -> None:
    with running.exec(Request(argv=["nothing-of-that-name"])) as more:
        found = more.wait()
    assert (found.outcome, found.exit_code) == ("exec_failed", 127)


def test_a_directory_that_is_not_there(running: Running) -> None:
    with running.exec(Request(argv=["true"], workdir="/nowhere")) as more, pytest.raises(SetupError, match="/nowhere"):
        more.wait()


def test_closing_it_leaves_nothing(running: Running, inside: Exec) -> None:
    with running.exec(Request(argv=["sh", "-c", "sh -c 'setsid sleep 888 & sleep 888' & sleep 888"])):
        assert until(lambda: inside("pgrep -f '[s]leep 888' | wc -l").stdout.strip() >= b"3")
    assert until(lambda: inside("pgrep -f '[s]leep 888' | wc -l").stdout.strip() == b"0")


def test_who_kills_the_joiner_kills_the_program(running: Running, inside: Exec) -> None:
    """kill -9 of any of our processes leaves nothing behind."""
    with running.exec(Request(argv=["sleep", "889"])) as more:
        more.ready()
        os.kill(more.pid, signal.SIGKILL)
        assert more.wait().signal == signal.SIGKILL
    assert inside("pgrep -f '[s]leep 889' | wc -l").stdout.strip() == b"0"


@pytest.mark.v2
def test_the_end_of_the_sandbox_is_its_end(box: Sandbox) -> None:
    with box.start(["sleep", "1000"], joinable=True) as running, running.exec(Request(argv=["sleep", "1000"])) as more:
        more.ready()
        running.supervision.kill("interrupted", "by the test")
        assert running.wait().outcome != "ok"
        assert more.wait().signal == signal.SIGKILL
        with pytest.raises(SupervisorError, match="has ended"):
            running.exec(Request(argv=["true"]))


@pytest.mark.v2
def test_a_range_of_ids(box: Sandbox) -> None:
    with box.start(["sleep", "1000"], joinable=True, ids="range", user=0) as running:
        with running.exec(Request(argv=["id", "-u"], user="33:44")) as more:
            assert more.wait().stdout == b"33\n"


@pytest.mark.parametrize(("options", "why"), [
    ({"mem": "1M"}, "belongs to the sandbox"), ({"volumes": ["/usr:/x"]}, "belongs to the sandbox"),
    ({"net": "host"}, "belongs to the sandbox"), ({"time": 1}, "counted for a sandbox"), ({"user": 7}, "has one id"),
])  # fmt: skip
def test_what_is_the_sandboxs_cannot_be_asked_for(running: Running, options: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        running.exec(Request(argv=["true"], **options))


def test_a_run_that_was_not_made_for_it(box: Sandbox) -> None:
    with box.start(["sleep", "1000"]) as running, pytest.raises(RequestError, match="joinable=True"):
        running.exec(Request(argv=["true"]))
    with pytest.raises(RequestError, match="only a sandbox with a pid namespace"):
        box.run(["true"], joinable=True, without=["pid"])


# ---- the gate ----


def test_a_program_begins_when_its_gate_is_opened(box: Sandbox) -> None:
    gate, opener = os.pipe()
    try:
        with box.start(["echo", "begun"], gate=gate, joinable=True) as running:
            running.ready()
            assert running.waiting and not running.supervision.began
            with running.exec(Request(argv=["echo", "before"])) as more:  # nothing of the program is there yet
                assert more.wait().stdout == b"before\n"
            os.write(opener, b".")
            assert running.wait().stdout == b"begun\n"
    finally:
        os.close(gate)
        os.close(opener)


def test_a_gate_that_is_given_up(box: Sandbox) -> None:
    gate, opener = os.pipe()
    with box.start(["echo", "begun"], gate=gate) as running:
        running.ready()
        os.close(opener)
        with pytest.raises(SetupError, match="gate"):
            running.wait()
    os.close(gate)


# ---- files and network of a sandbox ----


@pytest.mark.v2
def test_a_directory_of_it_in_another_sandbox(running: Running, inside: Exec, box: Sandbox) -> None:
    inside("mkdir -p /work/sub/deep; echo kept > /work/sub/deep/file; ln -s / /work/sub/up; ln -s /work/sub /work/link")
    tree = running.open_tree("/work/link")
    try:
        mount = [Mount(source=tree, target="/mnt/theirs", writable=True)]
        found = box.run(["sh", "-c", "cat /mnt/theirs/deep/file; echo back > /mnt/theirs/new"], volumes=mount)
        assert found.stdout == b"kept\n" and found.exit_code == 0, found.stderr
        assert inside("cat /work/sub/new").stdout == b"back\n"
    finally:
        os.close(tree)


def test_a_file_of_it_alone(running: Running, inside: Exec, box: Sandbox) -> None:
    inside("echo one > /work/single")
    tree = running.open_tree("/work/single", recursive=False)
    try:
        mount = [Mount(source=tree, target="/mnt/single")]
        assert box.run(["cat", "/mnt/single"], volumes=mount).stdout == b"one\n"
    finally:
        os.close(tree)


def test_a_path_leads_nowhere_but_into_it(running: Running, inside: Exec) -> None:
    inside("ln -sf /proc/self/root/etc /work/magic; ln -sf ../../../../../../etc/hostname /work/far")
    with pytest.raises(SetupError, match="/work/magic"):
        running.open_tree("/work/magic")
    with pytest.raises(SetupError, match="/nothing"):
        running.open_tree("/nothing")
    os.close(running.open_tree("/work/far"))  # the sandbox's own


def test_a_path_with_dots_while_somebody_renames(running: Running, inside: Exec, tmp_path: Path) -> None:
    """openat2(2) gives EAGAIN for any rename on the host that comes between; that is no failure."""
    inside("mkdir -p /work/up; ln -sfn up/../up/../up/../../etc/hostname /work/dots")
    (tmp_path / "a").touch()
    text = "import os\nos.write(1, b'.')\nwhile True: os.rename('a', 'b'); os.rename('b', 'a')"
    with subprocess.Popen([sys.executable, "-ISc", text], cwd=tmp_path, stdout=subprocess.PIPE) as renaming:
        try:
            assert renaming.stdout is not None and renaming.stdout.read(1) == b"."
            for _ in range(100):
                os.close(running.open_tree("/work/dots"))
        finally:
            renaming.kill()


@pytest.mark.v2
def test_two_sandboxes_in_one_network(running: Running, inside: Exec, box: Sandbox) -> None:
    place = running.place()
    try:
        assert isinstance(place, NetworkPlace)
        found = box.run(["readlink", "/proc/self/ns/net"], net="join", network=place)
        assert found.stdout == inside("readlink /proc/self/ns/net").stdout
        assert "net" not in found.absent
    finally:
        os.close(place.user_fd)
        os.close(place.net_fd)


@pytest.mark.parametrize(("options", "error", "why"), [
    ({"cap_add": ["NET_ADMIN"], "user": 0}, HostError, "keeps capabilities over its network"),
    ({"net": "host"}, RequestError, "has the host's network"),
])  # fmt: skip
def test_a_network_that_cannot_be_shared(
    box: Sandbox, options: dict[str, Any], error: type[Exception], why: str
) -> None:  # fmt: skip
    with box.start(["sleep", "1000"], joinable=True, **options) as running, pytest.raises(error, match=why):
        running.place()
