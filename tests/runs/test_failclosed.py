"""Acceptance line 7: a limit that nothing can enforce is an error that names what is missing, or is reported."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import HostError, run
from tests.slowness import SLOW

pytestmark = pytest.mark.v2

LIMITS = {"mem": "64M", "time": "1s", "cpus": "0.5", "cpuset": "0", "idle": "1s"}


@pytest.mark.parametrize(("limit", "value"), LIMITS.items())
def test_limit_without_a_cgroup_is_a_host_error(limit: str, value: str) -> None:
    with pytest.raises(HostError) as caught:
        run(["true"], cgroup="none", **{limit: value})
    text = str(caught.value)
    assert f"--{limit}" in text and "cannot be enforced" in text and "--best-effort" in text
    assert "\n" not in text


@pytest.mark.parametrize(("limit", "value"), LIMITS.items())
def test_command_line_says_so_with_125(limit: str, value: str, pysandbox: Callable[..., SimpleNamespace]) -> None:
    done = pysandbox("run", "--cgroup", "none", f"--{limit}", value, "--", "echo", "ran")
    assert done.returncode == 125 and done.stdout == ""
    assert done.stderr.startswith("pysandbox: ") and done.stderr.count("\n") == 1
    assert f"--{limit}" in done.stderr


def test_best_effort_runs_and_says_what_was_not_enforced() -> None:
    result = run(["echo", "ran"], cgroup="none", best_effort=True, **LIMITS)
    assert result.stdout == b"ran\n" and result.ok
    assert set(result.not_enforced) == set(LIMITS)
    assert not set(LIMITS) & set(result.enforced)
    assert result.backend == "none"


def test_best_effort_on_the_command_line(pysandbox: Callable[..., SimpleNamespace], tmp_path: Path) -> None:
    done = pysandbox("run", "--cgroup", "none", "--mem", "64M", "--best-effort", "--json", "r", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "not enforced" in done.stderr and "mem" in done.stderr
    assert set(json.loads((tmp_path / "r").read_bytes())["not_enforced"]) == {"mem"}


def test_best_effort_enforces_what_it_can() -> None:
    result = run(["sh", "-c", "sleep 30"], cgroup="none", best_effort=True, mem="64M", wall="300ms")
    assert result.exit_status == 124 and set(result.not_enforced) == {"mem"}


def test_best_effort_with_everything_there_hides_nothing() -> None:
    result = run(["true"], best_effort=True, mem="64M", time=5)
    assert not result.not_enforced and {"mem", "time"} <= set(result.enforced)


def test_named_cgroup_that_is_unusable_is_an_error_even_with_best_effort() -> None:
    for path in ("/no/such/cgroup", "/"):
        with pytest.raises(HostError) as caught:
            run(["true"], mem="64M", cgroup=path, best_effort=True)
        assert path in str(caught.value)


# A user who has no subtree: another uid, in a user namespace that knows no other, with the cgroups hidden.
NOBODYS_WORLD = ["unshare", "--user", "--map-user=4242", "--map-group=4242", "--mount", "--keep-caps", "sh", "-c",
                 'mount -t tmpfs none /sys/fs/cgroup && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"',
                 "sh"]  # fmt: skip


@pytest.fixture
def as_nobody(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> Callable[..., SimpleNamespace]:
    def call(*args: str) -> SimpleNamespace:
        assert "PYSANDBOX_CGROUP" not in os.environ
        done = subprocess.run([*NOBODYS_WORLD, *pysandbox_argv, *args], env=pysandbox_env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=60 * SLOW)  # fmt: skip
        return SimpleNamespace(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)

    return call


def test_user_without_a_subtree(as_nobody: Callable[..., SimpleNamespace]) -> None:
    plain = as_nobody("run", "--", "echo", "ran")
    assert (plain.returncode, plain.stdout) == (0, "ran\n"), plain.stderr
    for limit, value in LIMITS.items():
        refused = as_nobody("run", f"--{limit}", value, "--", "echo", "ran")
        assert refused.returncode == 125 and refused.stdout == "", limit
        assert refused.stderr.count("\n") == 1 and "cannot be enforced" in refused.stderr
        assert "pysandbox setup" in refused.stderr or "systemd-run" in refused.stderr or "mount" in refused.stderr
    effort = as_nobody("run", "--mem", "64M", "--best-effort", "--", "echo", "ran")
    assert (effort.returncode, effort.stdout) == (0, "ran\n")
    assert "not enforced" in effort.stderr


def test_without_a_subtree_processes_are_bounded_all_the_same(as_nobody: Callable[..., SimpleNamespace]) -> None:
    text = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all"
    done = as_nobody("run", "--pids", "10", "--wall", "4s", "--", "sh", "-c", text)
    assert "all" not in done.stdout


def test_setuid_is_refused(pysandbox_env: dict[str, str]) -> None:
    """Real and effective ids that differ: what a setuid copy of the interpreter would have."""
    text = (
        "import os, sys\nfrom sandbox import HostError, run\nos.setresuid(1, 0, 0)\n"
        "try: run(['true'])\nexcept HostError as e: sys.exit('setuid' not in str(e))\nsys.exit(3)"
    )
    command = ["unshare", "--user", "--map-root-user", "--map-users=auto", "--map-groups=auto"]
    if subprocess.run([*command, "true"], check=False).returncode:
        pytest.fail("this user has no subordinate ids; see docs/development.md")
    done = subprocess.run([*command, "/usr/bin/python3", "-c", text], env=pysandbox_env, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
