"""cgroup v2 with systemd: every way to a subtree, and what is said where there is none.

For a machine that may be thrown away: the tests start and stop units, make root run things through
``sudo -n``, and switch lingering of the user bob. Each caller outside of a subtree is a system service
that is not delegated, which is what a login session's scope, a cron job or a su is to a user: root's.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox.native._core import lib

TREE = Path(__file__).resolve().parents[3]
ME, UID = getpass.getuser(), os.getuid()
CGROUPS = Path("/sys/fs/cgroup")
PYTHON = [sys.executable, "-P"]
PYSANDBOX = [*PYTHON, "-m", "sandbox.cli"]
HOG = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
# Emulation is 8 to 40 times slower than a machine, and the tests share it.
PATIENCE_S = 60

Done = subprocess.CompletedProcess[str]


def sudo(*words: str, **options: object) -> Done:
    command = ["sudo", "-n", *words]
    return subprocess.run(command, text=True, capture_output=True, timeout=240, **options)  # type: ignore[call-overload,no-any-return]


def service(user: str, *properties: str, tree: Path = TREE, **env: str) -> list[str]:
    """The words before a command that runs it in a system service that is not delegated."""
    settings = [f"--setenv={k}={v}" for k, v in {"PYTHONPATH": str(tree), "LANG": "C.UTF-8", **env}.items()]
    more = [word for each in properties for word in ("-p", each)]
    return ["sudo", "-n", "systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--uid={user}",
            "-p", "WorkingDirectory=/", *more, *settings, "--"]  # fmt: skip


def outside(*words: str, user: str = ME, **env: str) -> Done:
    """pysandbox where no subtree is at hand."""
    command = [*service(user, **env), *PYSANDBOX, *words]
    return subprocess.run(command, text=True, capture_output=True, timeout=240, stdin=subprocess.DEVNULL)


def scope(*words: str, **env: str) -> Done:
    """Any command in a scope of the user's systemd that is delegated."""
    before = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes", "--"]
    environ = {**os.environ, "PYTHONPATH": str(TREE), "XDG_RUNTIME_DIR": f"/run/user/{UID}", **env}
    return subprocess.run([*before, *words], text=True, capture_output=True, timeout=240, env=environ, check=False,
                          stdin=subprocess.DEVNULL)  # fmt: skip


def wait_for(what: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def manager_directory(uid: int = UID) -> Path:
    return CGROUPS / f"user.slice/user-{uid}.slice/user@{uid}.service"


def keepers(uid: int = UID) -> list[Path]:
    """Cgroup directories of the keepers of a user."""
    return [*manager_directory(uid).glob("app.slice/pysandbox-keeper-*.service")]


def runtime_directories(uid: int = UID) -> list[Path]:
    return [*Path(f"/run/user/{uid}").glob("pysandbox-keeper-*")]


def keeper_pid() -> int:
    """The main process of the one keeper."""
    (directory,) = keepers()
    show = ["systemctl", "--user", "show", "--property=MainPID", "--value", directory.name]
    env = {**os.environ, "XDG_RUNTIME_DIR": f"/run/user/{UID}"}
    return int(subprocess.run(show, text=True, capture_output=True, check=True, env=env).stdout)


def stop_keepers() -> None:
    for directory in keepers():
        env = {**os.environ, "XDG_RUNTIME_DIR": f"/run/user/{UID}"}
        subprocess.run(["systemctl", "--user", "stop", directory.name], check=False, env=env)
    assert wait_for(lambda: not keepers())


@pytest.fixture(autouse=True)
def no_keeper() -> Iterator[None]:
    """Every test begins and ends without one."""
    stop_keepers()
    yield
    stop_keepers()
    assert not runtime_directories()


@pytest.fixture(scope="module")
def public_tree() -> Iterator[Path]:
    """The tree where other users can read it."""
    tree = Path("/opt/pysandbox-test")
    assert sudo("mkdir", "-p", str(tree)).returncode == 0
    copied = sudo("sh", "-c", f"cp -r '{TREE}/sandbox' '{TREE}/policies' '{TREE}/bin' {tree}/ && chmod -R a+rX {tree}")
    assert copied.returncode == 0, copied.stderr
    yield tree
    sudo("rm", "-rf", str(tree))


@contextlib.contextmanager
def lingering(user: str) -> Iterator[int]:
    """The user's manager runs without a login."""
    uid = int(subprocess.run(["id", "-u", user], capture_output=True, text=True, check=True).stdout)
    assert sudo("loginctl", "enable-linger", user).returncode == 0
    try:
        assert wait_for(lambda: sudo("test", "-S", f"/run/user/{uid}/bus").returncode == 0)
        yield uid
    finally:
        sudo("loginctl", "disable-linger", user)
        sudo("systemctl", "stop", f"user@{uid}.service")


def no_manager(user: str) -> None:
    uid = subprocess.run(["id", "-u", user], capture_output=True, text=True, check=True).stdout.strip()
    sudo("loginctl", "disable-linger", user)
    sudo("systemctl", "stop", f"user@{uid}.service")
    assert wait_for(lambda: sudo("test", "-e", f"/run/user/{uid}/bus").returncode)


# ---- own cgroup, delegated


def test_a_delegated_scope_is_taken_as_it_is() -> None:
    """And whoever is in it moves to a leaf: v2 allows no process beside child cgroups with controllers."""
    script = f"{' '.join(PYSANDBOX)} run --mem 16M --json - -- {' '.join(HOG)}; cat /proc/self/cgroup"
    done = scope("sh", "-c", script)
    text, _, own = done.stdout.rpartition("0::")
    result = json.loads(text)
    assert result["outcome"] == "memory" and result["backend"] == "v2", result
    assert own.strip().endswith(".scope/pysandbox-main")
    assert not keepers()


def test_a_delegated_system_service_of_a_user() -> None:
    done = subprocess.run([*service(ME, "Delegate=yes"), *PYSANDBOX, "run", "--mem", "16M", "--", *HOG],
                          text=True, capture_output=True, timeout=240, check=False)  # fmt: skip
    assert done.returncode == 137, done.stderr
    assert not keepers()


# ---- the user's systemd


def test_a_scope_of_the_users_that_is_not_delegated() -> None:
    """As a desktop's terminal has it: writable, but systemd's."""
    words = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--"]
    env = {**os.environ, "PYTHONPATH": str(TREE), "XDG_RUNTIME_DIR": f"/run/user/{UID}"}
    command = [*words, *PYSANDBOX, "run", "--mem", "16M", "--", *HOG]
    done = subprocess.run(command, text=True, capture_output=True, timeout=240, env=env, check=False)
    assert done.returncode == 137, done.stderr
    assert len(keepers()) == 1


def test_the_first_run_starts_a_keeper_and_the_next_one_uses_it() -> None:
    first = outside("run", "--mem", "16M", "--", *HOG)
    assert first.returncode == 137 and "memory" in first.stderr, first.stderr
    pid = keeper_pid()
    (directory,) = keepers()
    assert (directory / "pysandbox-main/cgroup.procs").read_text().split() == [str(pid)]
    second = outside("run", "--mem", "16M", "--json", "-", "--", *HOG)
    result = json.loads(second.stdout)
    assert result["outcome"] == "memory" and result["enforced"]["mem"] == "cgroup v2 memory.max"
    assert keeper_pid() == pid
    assert not [*directory.glob("pysandbox-[0-9]*")], "leaves stay"
    (runtime,) = runtime_directories()
    assert runtime.stat().st_mode & 0o777 == 0o700 and runtime.stat().st_uid == UID


@pytest.mark.parametrize(
    ("options", "program", "status"),
    [
        (("--pids", "4", "--mem", "64M"), "for i in 1 2 3 4 5 6; do sleep 1 & done; wait", 2),
        (("--time", "500ms"), "while :; do :; done", 124),
        (("--cpus", "0.2", "--wall", "100s"), "cat /proc/self/cgroup", 0),
        (("--ids", "range", "--mem", "64M"), "test $(id -u) = 1000", 0),
    ],
)
def test_other_limits_through_the_keeper(options: tuple[str, ...], program: str, status: int) -> None:
    done = outside("run", *options, "--", "sh", "-c", program)
    assert done.returncode == status, (done.stdout, done.stderr)


def test_four_first_runs_at_once_share_one_keeper() -> None:
    command = [*service(ME), *PYSANDBOX, "run", "--mem", "64M", "--", "echo", "here"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=240) for process in started] == [("here\n", "")] * 4
    assert len(keepers()) == 1


THREADS = """
import json, threading
from sandbox import Sandbox
outcomes = []
with Sandbox(mem="32M", wall=120) as box:
    def many(number):
        for each in range(5):
            if number:
                outcomes.append(box.run(["echo", "-n", "hi"]).stdout.decode())
            else:
                outcomes.append(box.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]).outcome)
    threads = [threading.Thread(target=many, args=(n,)) for n in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(json.dumps(sorted(outcomes)))
    pids = {s.pid for s in box._warm._spawners.values()}
    assert len(pids) == 1, pids
"""


def test_many_runs_of_many_threads() -> None:
    done = subprocess.run([*service(ME), *PYTHON, "-c", THREADS], text=True, capture_output=True, timeout=240,
                          check=False)  # fmt: skip
    assert json.loads(done.stdout) == ["hi"] * 15 + ["memory"] * 5, done.stderr
    assert len(keepers()) == 1


LONG = """
import os, sys
from sandbox import Sandbox
box = Sandbox(mem="64M")
running = box.start(["sh", "-c", "setsid sleep 1000 & sleep 1000"])
while not running.supervision.began:
    running.supervision.step(1)
(spawner,) = box._warm._spawners.values()
print(os.getpid(), spawner.pid, flush=True)
try:
    running.wait()
except Exception as error:
    print(type(error).__name__, error, flush=True)
running.close()
print(box.run(["echo", "again"]).stdout, flush=True)
"""


@contextlib.contextmanager
def long_caller() -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A caller with a run that does not end: the process, its pid, that of its spawner."""
    with subprocess.Popen([*service(ME), *PYTHON, "-c", LONG], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            caller, spawner = map(int, process.stdout.readline().split())
            yield process, caller, spawner
        finally:
            process.kill()


def test_a_caller_that_is_killed_leaves_nothing_but_the_keeper() -> None:
    with long_caller() as (_process, caller, spawner):
        pid = keeper_pid()
        (directory,) = keepers()
        assert len([*directory.glob("pysandbox-[0-9]*")]) == 1
        os.kill(caller, signal.SIGKILL)
        assert wait_for(lambda: not [*directory.glob("pysandbox-[0-9]*")]), "the leaf stays"
        assert wait_for(lambda: not os.path.exists(f"/proc/{spawner}")), "the spawner stays"
    assert keeper_pid() == pid
    assert (directory / "pysandbox-main/cgroup.procs").read_text().split() == [str(pid)]


def test_a_caller_that_is_killed_at_many_moments() -> None:
    """From before the first import to the middle of the run, by time and not by event."""
    assert outside("run", "--mem", "64M", "--", "true").returncode == 0
    pid, (directory,) = keeper_pid(), keepers()
    # not a shell: systemd-run expands $$
    code = "import os, sys; print(os.getpid(), flush=True); os.execv(sys.argv[1], sys.argv[1:])"
    words = [*PYSANDBOX, "run", "--mem", "64M", "--wall", "200s", "--", "sleep", "1000"]
    command = [*service(ME), sys.executable, "-ISc", code, *words]
    for delay_ms in range(100, 1300, 100):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            caller = int(process.stdout.readline())
            time.sleep(delay_ms / 1000)
            os.kill(caller, signal.SIGKILL)
        assert wait_for(lambda: (directory / "pysandbox-main/cgroup.procs").read_text() == f"{pid}\n"), delay_ms
    # Killed between making the cgroup and telling its spawner: the next command removes it.
    assert outside("run", "--mem", "64M", "--", "true").returncode == 0
    assert not [*directory.glob("pysandbox-[0-9]*")]
    assert keeper_pid() == pid


def test_a_keeper_that_is_killed_leaves_nothing_and_its_caller_recovers() -> None:
    with long_caller() as (process, _caller, spawner):
        (directory,) = keepers()
        pid = keeper_pid()
        os.kill(pid, signal.SIGKILL)
        assert process.stdout
        assert process.stdout.readline().startswith("SupervisorError ")
        assert wait_for(lambda: not os.path.exists(f"/proc/{spawner}"))
        assert process.stdout.readline() == "b'again\\n'\n"
        assert keeper_pid() != pid
        assert process.wait(PATIENCE_S) == 0
    assert not [*directory.glob("pysandbox-[0-9]*")]


def test_a_keeper_that_is_stopped_by_systemd_ends_at_once() -> None:
    """Spawners block SIGTERM, and TimeoutStopSec is 90 s: KillSignal is SIGKILL."""
    with long_caller() as (process, _caller, spawner):
        (directory,) = keepers()
        pid = keeper_pid()
        env = {**os.environ, "XDG_RUNTIME_DIR": f"/run/user/{UID}"}
        subprocess.run(["systemctl", "--user", "stop", "--no-block", directory.name], check=True, env=env)
        assert process.stdout and process.stdout.readline().startswith("SupervisorError ")
        assert wait_for(lambda: not os.path.exists(f"/proc/{pid}") and not os.path.exists(f"/proc/{spawner}"))
        assert process.stdout.readline() == "b'again\\n'\n"


def test_an_idle_keeper_leaves_and_takes_everything_with_it() -> None:
    assert outside("run", "--mem", "64M", "--", "true", PYSANDBOX_KEEPER_IDLE="2").returncode == 0
    assert wait_for(lambda: not keepers() and not runtime_directories())
    assert outside("run", "--mem", "64M", "--", "true").returncode == 0
    assert len(keepers()) == 1


def test_looking_starts_no_keeper() -> None:
    done = outside("plan", "--mem", "64M", "--", "true")
    assert done.returncode == 0 and not keepers()
    code = "from sandbox.cgroup import delegation; print(delegation.find(prepare=False).where)"
    command = [*service(ME), *PYTHON, "-c", code]
    looked = subprocess.run(command, text=True, capture_output=True, check=True, timeout=240)
    assert "a service of systemd's, at the first run that needs it" in looked.stdout
    assert not keepers()


def test_a_run_without_limits_starts_no_keeper() -> None:
    assert outside("run", "--wall", "100s", "--", "true").returncode == 0
    assert outside("run", "--cgroup", "none", "--", "true").returncode == 0
    assert not keepers()


def test_doctor_is_content_outside_of_a_subtree() -> None:
    done = outside("doctor", "--json", "-")
    report = json.loads(done.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert report["works"] and checks["run --mem"]["state"] == "ok", checks["run --mem"]


def test_a_login_session() -> None:
    """pam_systemd puts it into session-N.scope, which is root's."""
    command = [*service(ME, "PAMName=login"), *PYTHON, "-c", SESSION]
    done = subprocess.run(command, text=True, capture_output=True, timeout=240, check=False)
    cgroup, _, status = done.stdout.rstrip("\n").rpartition("\n")
    assert "/session-" in cgroup and status == "137", (done.stdout, done.stderr)


SESSION = f"""
import subprocess, sys
print(open("/proc/self/cgroup").read(), end="", flush=True)
print(subprocess.run([sys.executable, "-P", "-m", "sandbox.cli", "run", "--mem", "16M", "--", *{HOG}]).returncode)
"""


def test_other_environments_of_other_users_do_not_matter() -> None:
    """su -c keeps root's: the bus is looked for where this user's is."""
    env = {"XDG_RUNTIME_DIR": "/run/user/0", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/0/bus"}
    assert outside("run", "--mem", "64M", "--", "true", **env).returncode == 0
    assert len(keepers()) == 1


def test_without_jeepney(tmp_path: Path) -> None:
    (tmp_path / "jeepney.py").write_text("raise ImportError('not here')\n")
    tmp_path.chmod(0o755)
    command = [*service(ME), "env", f"PYTHONPATH={tmp_path}:{TREE}", *PYSANDBOX, "run", "--mem", "64M", "--", "true"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=240, check=False)
    assert done.returncode == 125
    assert "the Python package jeepney is not installed" in done.stderr and "python3-jeepney" in done.stderr


# ---- nobody's systemd


def test_a_user_without_a_manager(public_tree: Path) -> None:
    no_manager("bob")
    uid = int(subprocess.run(["id", "-u", "bob"], capture_output=True, text=True, check=True).stdout)
    root = {"XDG_RUNTIME_DIR": "/run/user/0", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/0/bus"}
    run = [*PYSANDBOX, "run", "--mem", "64M", "--", "true"]
    ways = (
        [*service("bob", tree=public_tree), *run],
        ["sudo", "-n", "env", f"PYTHONPATH={public_tree}", *(f"{k}={v}" for k, v in root.items()),
         "su", "bob", "-s", "/bin/sh", "-c", shlex.join(run)],
        ["sudo", "-n", "-u", "bob", "env", f"PYTHONPATH={public_tree}", *run],
        ["sudo", "-n", "setpriv", "--reuid=bob", "--regid=bob", "--init-groups", "env", "-i",
         f"PYTHONPATH={public_tree}", "PATH=/usr/bin:/bin", *run],
    )  # fmt: skip
    for command in ways:
        done = subprocess.run(command, text=True, capture_output=True, timeout=240, cwd="/", check=False)
        if "su" in command and done.returncode == 0:
            # systemd 257: pam_systemd makes a session, and with it a manager, of a su from outside of any session
            assert sudo("test", "-S", f"/run/user/{uid}/bus").returncode == 0
            no_manager("bob")
            continue
        assert done.returncode == 125, (command, done.stderr)
        said = f"uid {uid} has no systemd user manager running (no /run/user/{uid}/bus)"
        assert said in done.stderr, (command, done.stderr)
        assert "`sudo loginctl enable-linger bob`" in done.stderr


def test_a_user_who_lingers_needs_no_login(public_tree: Path) -> None:
    with lingering("bob") as uid:
        way = ["sudo", "-n", "setpriv", "--reuid=bob", "--regid=bob", "--init-groups", "env", "-i",
               f"PYTHONPATH={public_tree}", "PATH=/usr/bin:/bin"]  # fmt: skip
        command = [*way, *PYSANDBOX, "run", "--mem", "16M", "--", *HOG]
        done = subprocess.run(command, text=True, capture_output=True, timeout=240, cwd="/", check=False)
        assert done.returncode == 137, done.stderr
        assert len(keepers(uid)) == 1


def test_cpuset_with_and_without_the_drop_in(public_tree: Path) -> None:
    """The fix that is printed, done."""
    directory, name = "/etc/systemd/system/user@.service.d", "pysandbox-test.conf"
    command = [*service("bob", tree=public_tree), *PYSANDBOX, "run", "--cpuset", "1", "--", "nproc"]
    with lingering("bob"):
        before = subprocess.run(command, text=True, capture_output=True, timeout=240, check=False)
        assert before.returncode == 125 and "has no cpuset controller to give" in before.stderr, before.stderr
        assert "Delegate=cpu cpuset io memory pids" in before.stderr and "user@.service" in before.stderr
    text = "[Service]\\nDelegate=cpu cpuset io memory pids\\n"
    try:
        script = f"mkdir -p {directory} && printf '{text}' > {directory}/{name} && systemctl daemon-reload"
        made = sudo("sh", "-c", script)
        assert made.returncode == 0, made.stderr
        with lingering("bob"):
            after = subprocess.run(command, text=True, capture_output=True, timeout=240, check=False)
            assert (after.returncode, after.stdout) == (0, "1\n"), after.stderr
    finally:
        sudo("rm", "-f", f"{directory}/{name}")
        sudo("systemctl", "daemon-reload")


def test_the_administrators_subtree(public_tree: Path) -> None:
    """Where there is no manager: for processes that were put there, and a message for the others."""
    no_manager("bob")
    env = ["env", f"PYTHONPATH={public_tree}"]
    base = CGROUPS / "pysandbox"
    try:
        made = sudo(*env, *PYSANDBOX, "setup", "--user", "bob", "--yes")
        assert made.returncode == 0, made.stderr
        command = [*service("bob", tree=public_tree), *PYSANDBOX, "run", "--mem", "16M", "--", *HOG]
        refused = subprocess.run(command, text=True, capture_output=True, timeout=240, check=False)
        assert refused.returncode == 125 and "pysandbox setup --enter PID" in refused.stderr, refused.stderr
        script = 'read -r go; exec "$@"'
        words = ["sudo", "-n", "setpriv", "--reuid=bob", "--regid=bob", "--init-groups", *env, "sh", "-c", script, "sh",
                 *PYSANDBOX, "run", "--mem", "16M", "--", *HOG]  # fmt: skip
        with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as inside:
            pid = _leaf_process(inside.pid)
            entered = sudo(*env, *PYSANDBOX, "setup", "--user", "bob", "--enter", str(pid), "--yes")
            assert entered.returncode == 0, entered.stderr
            _, said = inside.communicate("go\n", timeout=240)
            assert inside.returncode == 137, said
    finally:
        undone = sudo(*env, *PYSANDBOX, "setup", "--user", "bob", "--undo", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert not [*base.glob("uid-*")]


def _leaf_process(pid: int) -> int:
    """The sh below sudo, once it is there."""
    found: list[int] = []

    def look() -> bool:
        at = pid
        while children := Path(f"/proc/{at}/task/{at}/children").read_text().split():
            at = int(children[0])
        found[:] = [at]
        return Path(f"/proc/{at}/comm").read_text() == "sh\n"

    assert wait_for(look)
    return found[0]


# ---- a named one


def test_a_named_cgroup_from_inside_and_from_outside() -> None:
    script = """
own=/sys/fs/cgroup$(cut -d: -f3- /proc/self/cgroup)
mkdir $own/mine $own/shell && echo $$ > $own/shell/cgroup.procs && echo +memory +pids > $own/cgroup.subtree_control
"$@" run --cgroup $own/mine --mem 16M -- dd if=/dev/zero of=/dev/null bs=64M count=1
echo status $?
sudo -n systemd-run --quiet --wait --pipe --collect --uid=$(id -un) -p WorkingDirectory=/ \
    --setenv=PYTHONPATH=$PYTHONPATH -- "$@" run --cgroup $own/mine --mem 16M -- true
echo status $?
"""
    done = scope("sh", "-c", script, "sh", *PYSANDBOX)
    assert [line for line in done.stdout.splitlines() if line.startswith("status")] == ["status 137", "status 125"]
    assert "must be writable by uid" in done.stderr
    assert not keepers()


# ---- whom the keeper does not serve


def ask_from(*before: str) -> Done:
    """A run by this user below a command of root's, where no subtree is at hand but a keeper's."""
    assert outside("run", "--mem", "64M", "--", "true").returncode == 0
    command = [*before, "env", f"PYTHONPATH={TREE}", f"XDG_RUNTIME_DIR=/run/user/{UID}"]
    words = [*command, *PYSANDBOX, "run", "--mem", "64M", "--", "true"]
    # systemd-run expands variables in what it is given
    return sudo(*service("root")[2:], *(word.replace("$", "$$") for word in words))


def test_another_mount_namespace_is_refused() -> None:
    user = ["setpriv", f"--reuid={ME}", f"--regid={ME}", "--init-groups"]
    done = ask_from("unshare", "-m", *user)
    assert done.returncode == 125
    assert "this process is in another mount namespace than the user's systemd" in done.stderr
    assert "systemd-run --user --scope -p Delegate=yes" in done.stderr
    # the fix that is printed, done
    fix = ["systemd-run", "--user", "--scope", "--quiet", "-p", "Delegate=yes", "--"]
    fixed = ask_from("unshare", "-m", *user, "env", f"XDG_RUNTIME_DIR=/run/user/{UID}", *fix)
    assert fixed.returncode == 0, fixed.stderr


def test_another_network_namespace_is_refused() -> None:
    done = ask_from("unshare", "-n", "setpriv", f"--reuid={ME}", f"--regid={ME}", "--init-groups")
    assert done.returncode == 125 and "is in another network namespace" in done.stderr


def test_other_groups_are_refused() -> None:
    done = ask_from("setpriv", f"--reuid={ME}", f"--regid={ME}", "--groups", "4")
    assert done.returncode == 125 and "has other supplementary groups than the user's systemd" in done.stderr


def test_another_gid_is_refused() -> None:
    done = ask_from("setpriv", f"--reuid={ME}", "--regid=4", "--init-groups")
    assert done.returncode == 125 and f"runs with uid {UID} and gid 4, the user's systemd with others" in done.stderr


JAIL = """
mkdir /run/jail
trap 'cd /; umount -R /run/jail; rmdir /run/jail' EXIT
mount -t tmpfs none /run/jail
cd /run/jail
mkdir -p usr proc sys home etc dev tmp run/systemd/system run/user/$1
for name in bin lib lib64; do ln -s usr/$name $name; done
for name in usr proc sys home etc dev run/user/$1; do
    mount --rbind /$name $name
    mount --make-rslave $name # or what is unmounted here is unmounted there
done
shift
chroot /run/jail "$@"
"""


def test_a_chroot_is_refused() -> None:
    """In the same mount namespace: the keeper's paths lead elsewhere all the same."""
    user = ["setpriv", f"--reuid={ME}", f"--regid={ME}", "--init-groups"]
    done = ask_from("sh", "-ec", JAIL, "sh", str(UID), *user)
    assert done.returncode == 125 and "has another root directory than the user's systemd" in done.stderr, done.stderr


def test_a_sandboxed_program_with_the_socket_is_refused() -> None:
    """It has this user's uid, and a spawner would be a way out."""
    assert outside("run", "--mem", "64M", "--", "true").returncode == 0
    (runtime,) = runtime_directories()
    code = (
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        f"s.connect('{runtime}/socket'); print(int.from_bytes(s.recv(4096)[4:8], 'little'))"
    )
    done = outside("run", "-v", f"{runtime}:{runtime}", "--", "python3", "-c", code)
    # another root directory, and were that the same, another user namespace
    assert done.stdout == f"{lib.PYSB_KEEP_ROOT}\n", done.stderr


# ---- root


def test_root_has_a_keeper_of_the_system(public_tree: Path) -> None:
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "env", f"PYTHONPATH={public_tree}", *PYSANDBOX]
    try:
        done = sudo(*words, "run", "--mem", "16M", "--", *HOG)
        assert done.returncode == 137, done.stderr
        (directory,) = CGROUPS.glob("system.slice/pysandbox-keeper-*.service")
        again = sudo(*words, "run", "--mem", "64M", "--", "true")
        assert again.returncode == 0, again.stderr
        assert not [*directory.glob("pysandbox-[0-9]*")]
    finally:
        for directory in CGROUPS.glob("system.slice/pysandbox-keeper-*.service"):
            sudo("systemctl", "stop", directory.name)
    assert not [*Path("/run").glob("pysandbox-keeper-*")]
