"""``pysandbox doctor`` against the host as it is, and as it is for a user who was given nothing.

What doctor says is compared with what a run does, in the same place: it may not promise more or less.
The same for root is in scripts/root_checks.py, which ``./dev test`` runs before it drops its privileges.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runs.world import delegated
from tests.slowness import SLOW

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HOG = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
ESSENTIAL = ["native core", "user namespace", "sandbox", "run --mem"]

# Empty instead of /sys/fs/cgroup, and no subordinate ids; then the same uid again, as unshare -r made it 0.
WITHOUT_ANYTHING = """\
mount -t tmpfs none /sys/fs/cgroup && mount --bind /dev/null /etc/subuid && mount --bind /dev/null /etc/subgid &&
exec unshare --user --map-user={uid} --map-group={gid} {command}
"""


def read(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """The checks of ``doctor --json -`` by name."""
    assert done.stderr == ""
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def with_nothing(argv: list[str], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    script = WITHOUT_ANYTHING.format(uid=os.geteuid(), gid=os.getegid(), command=shlex.join(argv))
    return subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], env=env, cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOW)  # fmt: skip


@pytest.mark.v2
def test_promises_what_a_run_does(pysandbox: Run) -> None:
    report = pysandbox("doctor", "--json", "-")
    run = pysandbox("run", "--mem", "16M", "--", *HOG)
    assert report.returncode == (0 if run.returncode == 137 else 1), report.stdout
    assert json.loads(report.stdout)["works"] == (run.returncode == 137)


@pytest.mark.v2
def test_everything_the_suite_relies_on(pysandbox: Run) -> None:
    """./dev test sets all of this up, so that a check which finds it missing is wrong."""
    done = pysandbox("doctor", "--json", "-")
    checks = read(done)
    # systemd gives users no cpuset and no io, unless it is told to: guests of the lab show both.
    given = delegated("cpuset", "io")
    wanted = [*ESSENTIAL, "seccomp filter", "fresh /proc", "overlay root", "id range", "cgroups", "seccomp binding",
              *(f"limit --{name}" for name in ("mem", "time", "pids", "cpus"))]
    assert {name: checks[name]["state"] for name in wanted} == dict.fromkeys(wanted, "ok"), done.stdout
    for name in ("limit --cpuset", "limit --io-read"):
        assert checks[name]["state"] == ("ok" if given else "missing"), done.stdout
    assert done.returncode == 0


@pytest.mark.v2
def test_mem_is_tried(pysandbox: Run) -> None:
    detail = read(pysandbox("doctor", "--json", "-"))["run --mem"]["detail"]
    assert "was stopped by cgroup v" in detail


@pytest.mark.v2
def test_user_with_nothing(pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path) -> None:
    done = with_nothing([*pysandbox_argv, "doctor", "--json", "-"], pysandbox_env, tmp_path)
    checks = read(done)
    assert done.returncode == 1
    assert [checks[name]["state"] for name in ESSENTIAL] == ["ok", "ok", "ok", "missing"]
    assert checks["cgroups"]["state"] == "missing"
    assert checks["cgroups"]["fix"]
    assert checks["id range"]["state"] == "missing"
    assert "usermod --add-subuids" in checks["id range"]["fix"] or "tee -a /etc/subuid" in checks["id range"]["fix"]
    run = with_nothing([*pysandbox_argv, "run", "--mem", "16M", "--", *HOG], pysandbox_env, tmp_path)
    assert run.returncode == 125
    assert "--mem" in run.stderr


@pytest.mark.v2
def test_every_fault_has_one_fix(pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path) -> None:
    report = json.loads(with_nothing([*pysandbox_argv, "doctor", "--json", "-"], pysandbox_env, tmp_path).stdout)
    assert report["schema"] == 1
    assert report["uid"] == os.geteuid()
    for check in report["checks"]:
        assert check["state"] in ("ok", "limited", "missing")
        assert check["detail"]
        assert bool(check["fix"]) == (check["state"] != "ok"), check


@pytest.mark.v2
def test_no_new_privs(pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(["setpriv", "--no-new-privs", *pysandbox_argv, "doctor", "--json", "-"], env=pysandbox_env,
                          cwd=tmp_path, capture_output=True, text=True, timeout=60 * SLOW)  # fmt: skip
    checks = read(done)
    assert checks["no_new_privs"]["state"] == "limited"
    assert checks["id range"]["state"] == "missing"
    assert "no_new_privs" in checks["id range"]["detail"]
    assert done.returncode == 0  # --mem needs no helper


def test_missing_native_core(pysandbox: Run) -> None:
    done = pysandbox("doctor", "--json", "-", env={"PYSANDBOX_SPAWNER": "/nonexistent/spawner"})
    checks = read(done)
    assert done.returncode == 1
    assert checks["native core"]["state"] == "missing"
    assert "/nonexistent/spawner" in checks["native core"]["detail"]
    assert "not tried" in checks["run --mem"]["detail"]


@pytest.mark.v2
def test_unusable_cgroup_is_named(pysandbox: Run) -> None:
    done = pysandbox("doctor", "--json", "-", env={"PYSANDBOX_CGROUP": "/no/such/cgroup"})
    checks = read(done)
    assert done.returncode == 1
    assert "/no/such/cgroup" in checks["cgroups"]["detail"]
    assert checks["run --mem"]["state"] == "missing"


@pytest.mark.parametrize("where", ["none", "relative", "/a/../b"])
def test_odd_cgroup_variable(pysandbox: Run, where: str) -> None:
    done = pysandbox("doctor", env={"PYSANDBOX_CGROUP": where})
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "PYSANDBOX_CGROUP" in done.stdout


def test_no_home(pysandbox: Run) -> None:
    done = pysandbox("doctor", "--json", "-", env={"HOME": "/nonexistent", "XDG_CACHE_HOME": "/proc"})
    checks = read(done)
    assert checks["seccomp cache"]["state"] == "limited"
    assert done.returncode == 0


def test_table(pysandbox: Run) -> None:
    done = pysandbox("doctor")
    lines = done.stdout.splitlines()
    assert any(line.startswith("ok       run --mem ") for line in lines)
    assert lines[-1].startswith("`pysandbox run --mem` works for ")
    assert done.stderr == ""


def test_json_to_a_file_beside_the_table(pysandbox: Run, tmp_path: Path) -> None:
    done = pysandbox("doctor", "--json", tmp_path / "report.json")
    assert "run --mem" in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["works"] is True


def test_json_that_cannot_be_written(pysandbox: Run) -> None:
    done = pysandbox("doctor", "--json", "/nonexistent/report.json")
    assert done.returncode == 125
    assert done.stderr.startswith("pysandbox: --json: cannot write")
    full = pysandbox("doctor", "--json", "/dev/full")
    assert full.returncode == 125
    assert "Traceback" not in full.stderr


@pytest.mark.parametrize("words", [["--nope"], ["word"], ["--json"], ["--json="], ["\ud800"]])
def test_bad_words(pysandbox: Run, words: list[str]) -> None:
    done = pysandbox("doctor", *(os.fsencode(word) if word.isascii() else b"\xff" for word in words))
    assert done.returncode == 125
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def _files(directory: Path) -> set[str]:
    return {name for name in os.listdir(directory) if name.startswith("pysandbox-doctor-")}


def test_leaves_no_file(pysandbox: Run, tmp_path: Path) -> None:
    assert pysandbox("doctor", env={"TMPDIR": str(tmp_path)}).returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.v2
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_leaves_nothing_when_it_is_ended(
    pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """Ended at the moment at which its directory is there."""
    env = {**pysandbox_env, "TMPDIR": str(tmp_path)}
    argv = [*pysandbox_argv, "doctor"]
    child = subprocess.Popen(argv, env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 30 * SLOW
    while not _files(tmp_path) and child.poll() is None and time.monotonic() < end:
        time.sleep(0.0005)
    child.send_signal(number)
    _out, err = child.communicate(timeout=30 * SLOW)
    assert child.returncode in (0, 128 + number), err
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_which_figures_proc_shows(pysandbox: Run, tmp_path: Path) -> None:
    """The way that --proc auto takes under a limit, and the one thing that would better it."""
    checks = read(pysandbox("doctor", "--json", "-", env={"PYSANDBOX_LXCFS": str(tmp_path)}))
    figures = checks["/proc figures"]
    assert figures["state"] == "limited" and "files of our own" in figures["detail"] and "lxcfs" in figures["fix"]
    assert f"{tmp_path} is dead" in figures["detail"]
    (tmp_path / "proc").mkdir()
    for name in ("meminfo", "swaps"):
        (tmp_path / "proc" / name).write_text("MemTotal: 77 kB\n")
    checks = read(pysandbox("doctor", "--json", "-", env={"PYSANDBOX_LXCFS": str(tmp_path)}))
    assert checks["/proc figures"]["state"] == "ok" and "lxcfs" in checks["/proc figures"]["detail"]
