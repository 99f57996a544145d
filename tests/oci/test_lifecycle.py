"""create, start, state, kill, delete, run: the states of runtime.md and the errors between them."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.oci import bundles
from tests.oci.conftest import Oci, config, program, state
from tests.slowness import SLOW


def until(what: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds * SLOW
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def stopped(oci: Oci, name: str = "x") -> None:
    until(lambda: state(oci, name)["status"] == "stopped")


def test_the_states_of_a_container(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, program("echo ran > /root/mark", annotations={"a": "b"}))
    oci("create", "--bundle", bundle, "--pid-file", tmp_path / "pid", "x")
    found = state(oci)
    assert (found["ociVersion"], found["id"], found["status"]) == ("1.0.2-dev", "x", "created")
    assert found["bundle"] == str(bundle) and found["annotations"] == {"a": "b"}
    assert os.path.exists(f"/proc/{found['pid']}") and int((tmp_path / "pid").read_text()) > 0
    assert not (bundle / "rootfs/root/mark").exists(), "the program must not run before start"
    oci("start", "x")
    stopped(oci)
    assert (bundle / "rootfs/root/mark").read_text() == "ran\n"
    assert "pid" not in state(oci)
    oci("delete", "x")
    assert oci("state", "x", check=False).returncode == 125
    oci("create", "--bundle", bundle, "x")  # the id may be used again


def test_a_change_of_the_config_after_create_has_no_effect(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("echo first > /root/mark"))
    oci("create", "--bundle", bundle, "x")
    bundles.write(bundle, program("echo second > /root/mark"))
    oci("start", "x")
    stopped(oci)
    assert (bundle / "rootfs/root/mark").read_text() == "first\n"


def test_errors_between_states(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("while :; do sleep 0.1; done"))
    for words in (["start", "x"], ["kill", "x"], ["delete", "x"], ["state", "x"], ["exec", "x", "true"]):
        assert "does not exist" in oci(*words, check=False).stderr
    oci("create", "--bundle", bundle, "x")
    assert "is taken" in oci("create", "--bundle", bundle, "x", check=False).stderr
    assert "is created; stop it first" in oci("delete", "x", check=False).stderr
    assert "not running" in oci("exec", "x", "true", check=False).stderr
    oci("start", "x")
    assert state(oci)["status"] == "running"
    assert "only a created container starts" in oci("start", "x", check=False).stderr
    assert "is running; stop it first" in oci("delete", "x", check=False).stderr
    assert "no such signal" in oci("kill", "x", "WARP", check=False).stderr
    oci("kill", "x", "KILL")
    stopped(oci)
    assert "has stopped" in oci("kill", "x", check=False).stderr
    assert "is stopped" in oci("start", "x", check=False).stderr
    oci("delete", "x")


@pytest.mark.parametrize("name", ["", ".x", "a/b", "..", "x" * 256, "a b"])
def test_ids_that_can_be_none(oci: Oci, bundle: Path, name: str) -> None:
    assert "container id" in oci("create", "--bundle", bundle, "--", name, check=False).stderr


def test_a_create_that_fails_leaves_nothing(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    """runtime.md, "Errors": as if the operation was never attempted."""
    for broken in (
        config(linux__sysctl={"kernel.shm_rmid_forced": "1"}),
        config(mounts=[*config()["mounts"], {"destination": "/data", "type": "bind", "source": "/nowhere"}]),
        config(hooks={"prestart": [{"path": "/bin/false"}]}),
        config(process__rlimits=[{"type": "RLIMIT_NOFILE", "soft": 1 << 20, "hard": 1 << 20}]),
    ):
        bundles.write(bundle, broken)
        failed = oci("create", "--bundle", bundle, "--pid-file", tmp_path / "pid", "x", check=False)
        assert failed.returncode == 125 and failed.stderr.startswith("pysandbox: "), failed
        assert oci("list", "--quiet").stdout == "" and not (tmp_path / "pid").exists()


def test_a_signal_reaches_the_program(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("trap 'echo got > /root/mark; exit 7' USR1; touch /root/ready; "
                                  "while :; do sleep 0.05; done"))  # fmt: skip
    oci("create", "--bundle", bundle, "x")
    oci("start", "x")
    until((bundle / "rootfs/root/ready").exists)
    oci("kill", "x", "USR1")
    stopped(oci)
    assert (bundle / "rootfs/root/mark").read_text() == "got\n"
    assert state(oci)["pysandbox"]["exit_status"] == 7


def test_a_created_container_can_be_killed(oci: Oci, bundle: Path) -> None:
    oci("create", "--bundle", bundle, "x")
    oci("kill", "x", "TERM")
    stopped(oci)
    assert state(oci)["pysandbox"]["exit_status"] == 128 + signal.SIGTERM


def test_delete_force_ends_it(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("trap '' TERM INT; sleep 1000 & while :; do sleep 0.1; done"))
    oci("create", "--bundle", bundle, "x")
    oci("start", "x")
    pid = state(oci)["pid"]
    oci("delete", "--force", "x")
    assert not os.path.exists(f"/proc/{pid}") and oci("list", "-q").stdout == ""


def test_a_killed_monitor_takes_all_with_it(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, program("while :; do sleep 0.1; done"))
    oci("create", "--bundle", bundle, "--pid-file", tmp_path / "pid", "x")
    oci("start", "x")
    pid = state(oci)["pid"]
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert state(oci)["status"] == "stopped"
    oci("delete", "x")


def test_run_passes_streams_and_the_status(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("cat; echo error >&2; exit 5"))
    done = oci("run", "--bundle", bundle, "x", check=False, stdin=None, input="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (5, "hello\n", "error\n")
    assert oci("list", "-q").stdout == ""


def test_run_of_what_is_not_there(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, config(process__args=["/bin/nothing"]))
    done = oci("--log", tmp_path / "log", "--log-format=json", "run", "--bundle", bundle, "x", check=False)
    assert done.returncode == 127
    errors = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [e["msg"] for e in errors if e["level"] == "error"] == ["/bin/nothing: No such file or directory"]


def test_the_log_has_the_error_of_create(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, config(process__cwd="x"))
    for form in ("text", "json"):
        log = tmp_path / form
        assert oci("--log", log, "--log-format", form, "create", "-b", bundle, "x", check=False).returncode == 125
        line = log.read_text().splitlines()[-1]
        assert "process.cwd" in line and (form == "text" or json.loads(line)["level"] == "error")


def test_a_terminal_goes_to_the_console_socket(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, program("tty; stty size; read word; echo got $word", process__terminal=True,
                                  process__consoleSize={"height": 30, "width": 90}))  # fmt: skip
    assert "--console-socket" in oci("create", "-b", bundle, "x", check=False).stderr
    path = tmp_path / "console"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        oci("create", "--bundle", bundle, "--console-socket", path, "x")
        connection, _address = listening.accept()
        with connection:
            data, fds, _flags, _from = socket.recv_fds(connection, 100, 1)
    assert data and len(fds) == 1 and os.isatty(fds[0])
    with open(fds[0], "r+b", buffering=0) as master:
        oci("start", "x")
        master.write(b"hello\n")
        said = b""
        while b"got hello" not in said:
            said += master.read(1000)
    assert b"/dev/pts/0" in said and b"30 90" in said
    stopped(oci)


def test_a_run_on_a_terminal_of_its_own(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("tty; exit 3", process__terminal=True))
    done = oci("run", "--bundle", bundle, "x", check=False)
    assert (done.returncode, done.stdout.strip()) == (3, "/dev/pts/0")


def test_exec(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, program("while :; do sleep 0.1; done"))
    oci("create", "--bundle", bundle, "x")
    oci("start", "x")
    done = oci("exec", "--env", "A=b", "--cwd", "/root", "x", "/bin/sh", "-c", "pwd; env; cat; exit 4", check=False,
               stdin=None, input="in\n")  # fmt: skip
    assert done.returncode == 4
    assert done.stdout.splitlines()[0] == "/root" and done.stdout.endswith("in\n") and "A=b\n" in done.stdout
    for _attempt in range(5):  # a program that has ended before anybody looks
        assert oci("exec", "x", "/bin/true").returncode == 0
    assert oci("exec", "x", "/bin/nothing", check=False).returncode == 127
    assert oci("exec", "--tty", "x", "/bin/tty").stdout.strip() == "/dev/pts/0"
    words = ["/bin/sh", "-c", "echo $$ > /root/pid; exit 6"]
    process = {"args": words, "cwd": "/", "env": [], "user": {"uid": 0, "gid": 0}, "rlimits": []}
    (tmp_path / "process").write_text(json.dumps(process))
    log = ("--log", tmp_path / "log")
    oci(*log, "exec", "--process", tmp_path / "process", "--pid-file", tmp_path / "waiter", "--detach", "x")
    assert "process.rlimits: the container's hold" in (tmp_path / "log").read_text()
    until((bundle / "rootfs/root/pid").exists)
    assert int((tmp_path / "waiter").read_text()) > 0
    with open(tmp_path / "file", "w+") as file:  # a regular file as stdin
        file.write("from a file\n")
        file.seek(0)
        assert oci("exec", "x", "/bin/cat", stdin=file).stdout == "from a file\n"


def test_the_death_of_who_waits_for_an_exec_ends_it(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, program("while :; do sleep 0.1; done"))
    oci("create", "--bundle", bundle, "x")
    oci("start", "x")
    oci("exec", "--pid-file", tmp_path / "waiter", "--detach", "x", "/bin/sleep", "1000")
    assert "sleep 1000" in oci("exec", "x", "/bin/ps").stdout
    os.kill(int((tmp_path / "waiter").read_text()), signal.SIGKILL)
    until(lambda: "sleep 1000" not in oci("exec", "x", "/bin/ps").stdout)
    assert state(oci)["status"] == "running"


def test_preserved_fds(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    bundles.write(bundle, program("cat <&3"))
    (tmp_path / "three").write_text("through 3\n")
    before = os.dup(3) if os.path.exists("/proc/self/fd/3") else -1
    fd = os.open(tmp_path / "three", os.O_RDONLY)
    try:
        if fd != 3:
            os.dup2(fd, 3)
            os.close(fd)
        done = oci("run", "--preserve-fds", "1", "--bundle", bundle, "x", pass_fds=[3])
    finally:
        os.close(3)
        if before >= 0:
            os.dup2(before, 3, inheritable=False)
            os.close(before)
    assert done.stdout == "through 3\n"


def test_what_the_engine_left_open_is_not_the_programs(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("ls /proc/self/fd | wc -l"))
    with open("/etc/hostname") as extra:
        done = oci("run", "--bundle", bundle, "x", pass_fds=[extra.fileno()])
    assert int(done.stdout) == 4  # three streams and the directory that ls reads


def test_hooks_run_in_order_with_the_state(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    def hook(name: str) -> list[dict[str, object]]:
        line = f'echo "{name} $WORD $(cat)" >> {tmp_path}/hooks'
        return [{"path": "/bin/sh", "args": ["sh", "-c", line], "env": ["WORD=w", f"PATH={os.environ['PATH']}"]}]

    names = ("prestart", "createRuntime", "poststart", "poststop")
    bundles.write(bundle, program("true", hooks={name: hook(name) for name in names}))
    oci("create", "--bundle", bundle, "x")
    told = [line.split(" ", 2) for line in (tmp_path / "hooks").read_text().splitlines()]
    assert [t[0] for t in told] == ["prestart", "createRuntime"]
    found = json.loads(told[0][2])
    assert (told[0][1], found["id"], found["status"]) == ("w", "x", "creating") and found["pid"] > 0
    oci("start", "x")
    stopped(oci)
    oci("delete", "x")
    told = [line.split(" ", 2) for line in (tmp_path / "hooks").read_text().splitlines()]
    assert [t[0] for t in told] == list(names)
    assert [json.loads(t[2])["status"] for t in told] == ["creating", "creating", "running", "stopped"]


def test_a_failing_late_hook_is_a_warning(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    fails = [{"path": "/bin/false"}]
    bundles.write(bundle, program("exit 2", hooks={"poststart": fails, "poststop": fails}))
    done = oci("--log", tmp_path / "log", "run", "--bundle", bundle, "x", check=False)
    assert done.returncode == 2
    assert (tmp_path / "log").read_text().count("hook /bin/false failed: exit code 1") == 2


def test_limits_are_kept(oci: Oci, bundle: Path) -> None:
    limited = {"memory": {"limit": 32 << 20}}
    bundles.write(bundle, program("head -c 209715200 /dev/zero | tail", linux__resources=limited))
    (bundle / "rootfs/bin/tail").symlink_to("busybox")
    assert oci("run", "--bundle", bundle, "x", check=False).returncode == 137


def test_pause_and_resume(oci: Oci, bundle: Path) -> None:
    bundles.write(bundle, program("while :; do echo . >> /root/dots; sleep 0.02; done",
                                  linux__resources={"memory": {"limit": 64 << 20}}))  # fmt: skip
    oci("create", "--bundle", bundle, "x")
    oci("start", "x")
    dots = bundle / "rootfs/root/dots"
    until(dots.exists)
    assert "not paused" in oci("resume", "x", check=False).stderr
    oci("pause", "x")
    assert state(oci)["status"] == "paused"
    size = dots.stat().st_size
    time.sleep(0.2)
    assert dots.stat().st_size == size
    oci("resume", "x")
    until(lambda: dots.stat().st_size > size)
    oci("pause", "x")
    oci("delete", "--force", "x")


def test_a_seccomp_profile_is_kept(oci: Oci, bundle: Path) -> None:
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}
    bundles.write(bundle, program("mkdir /root/d", linux__seccomp=profile))
    done = oci("run", "--bundle", bundle, "x", check=False)
    assert done.returncode == 1 and "Operation not supported" in done.stderr, done


def test_what_mounts_show(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/tool").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "shared/tool").chmod(0o755)
    shown = [
        {"destination": "/ro", "type": "bind", "source": str(tmp_path / "shared"), "options": ["rbind", "ro"]},
        {"destination": "/rw", "type": "bind", "source": "../shared", "options": ["bind", "noexec"]},
        {"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "mode=1777", "noexec"]},
    ]
    script = "/ro/tool; touch /ro/x; /rw/tool; echo new > /rw/file; stat -c %a /t; mount | grep -c ' /t .*noexec'"
    bundles.write(bundle, program(script, mounts=[*config()["mounts"], *shown]))
    done = oci("run", "--bundle", bundle, "x", check=False)
    assert done.stdout.splitlines() == ["ran", "1777", "1"], done
    assert done.stderr.count("Read-only") == 1 and done.stderr.count("ermission denied") == 1
    assert (tmp_path / "shared/file").read_text() == "new\n"


def test_spec_writes_a_bundle_that_runs(oci: Oci, bundle: Path) -> None:
    (bundle / "config.json").unlink()
    oci("spec", "--rootless", "--bundle", bundle)
    assert "cannot be written" in oci("spec", "--bundle", bundle, check=False).stderr
    written = json.loads((bundle / "config.json").read_text())
    bundles.write(bundle, bundles.changed(written, process__terminal=False, process__args=["/bin/id", "-u"]))
    assert oci("run", "--bundle", bundle, "x").stdout == "0\n"


def test_list(oci: Oci, bundle: Path) -> None:
    assert oci("list").stdout == "ID  PID  STATUS  BUNDLE\n"
    for name in ("b", "a"):
        oci("create", "--bundle", bundle, name)
    assert oci("list", "-q").stdout == "a\nb\n"
    assert [c["status"] for c in json.loads(oci("list", "--format", "json").stdout)] == ["created", "created"]
    assert len(oci("list").stdout.splitlines()) == 3


def test_features_and_help(oci: Oci) -> None:
    assert json.loads(oci("features").stdout)["ociVersionMax"] == "1.2.0"
    assert "--console-socket" in oci("--help").stdout
    assert "expected create, start" in oci("warp", check=False).stderr
