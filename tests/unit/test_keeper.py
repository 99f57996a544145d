"""Before anything is started: where the bus is looked for, how a keeper is called, what is said when there is none."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.cgroup import delegation
from sandbox.cgroup.mounts import Mount, Mounts
from sandbox.cli import early
from sandbox.errors import HostError
from sandbox.executable import OVERRIDE, executable
from sandbox.keeper import client, systemd

TREE = Path(__file__).resolve().parent.parent.parent
UID = os.getuid()


@pytest.fixture
def no_user_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user without a manager, also where this one has one."""
    stat = os.stat

    def without(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if path == f"/run/user/{UID}/bus":
            raise FileNotFoundError(2, "none here", path)
        return stat(path, *args, **options)

    monkeypatch.setattr(systemd.os, "stat", without)


def test_the_users_own_bus_counts_and_not_the_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """su -c keeps root's XDG_RUNTIME_DIR and DBUS_SESSION_BUS_ADDRESS."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/0/bus")
    path = str(tmp_path / "bus")
    stat = os.stat
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(path)
        there = {f"/run/user/{UID}/bus": path}
        monkeypatch.setattr(systemd.os, "stat", lambda p, *a, **k: stat(there.get(p, p), *a, **k))
        assert systemd.bus() == f"unix:path=/run/user/{UID}/bus"


def test_somebody_elses_bus_in_that_place_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stat = os.stat
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setattr(systemd.os, "stat", lambda p, *a, **k: stat("/" if str(p).endswith("/bus") else p, *a, **k))
    with pytest.raises(HostError, match="no systemd user manager"):
        systemd.bus()


def test_no_manager(no_user_bus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    with pytest.raises(HostError) as caught:
        systemd.bus()
    assert caught.value.missing == f"uid {UID} has no systemd user manager running (no /run/user/{UID}/bus)"
    assert caught.value.fix.startswith("`sudo loginctl enable-linger ")


def test_an_address_that_leads_nowhere_is_no_manager(
    no_user_bus: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    with pytest.raises(HostError, match="no systemd user manager"):
        systemd.start_service("pysandbox-keeper-test", ["/bin/true"])


def test_a_bus_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(systemd, "BUS_S", 0.2)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "bus"))
        mute.listen()
        monkeypatch.setattr(systemd, "bus", lambda: f"unix:path={tmp_path}/bus")
        with pytest.raises(HostError, match="no systemd user manager|cannot be used"):
            systemd.start_service("pysandbox-keeper-test", ["/bin/true"])


def test_without_jeepney(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("jeepney", "jeepney.io", "jeepney.io.blocking"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HostError, match="jeepney is not installed.*python3-jeepney.*pip install jeepney"):
        systemd.start_service("pysandbox-keeper-test", ["/bin/true"])


def test_another_build_another_keeper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = client.unit_name()
    command = [sys.executable, "-P", "-c", "from sandbox.keeper import client; print(client.unit_name())"]
    env = {**os.environ, "PYTHONPATH": str(TREE), "PYTHONHASHSEED": "7"}
    assert subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout == f"{name}\n"
    other = tmp_path / "spawner"
    shutil.copy(executable(), other)
    monkeypatch.setenv(OVERRIDE, str(other))
    assert client.unit_name() != name


def test_its_socket_has_room_in_an_address() -> None:
    """sun_path has 108 bytes, and a uid up to ten digits."""
    assert len(f"/run/user/4294967294/{client.unit_name()}/socket") < 108


def without_subtrees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mounts:
    """A v2 host on which systemd runs and the own cgroup is root's."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    monkeypatch.setattr(delegation, "SYSTEMD_RUNS", str(tmp_path))
    monkeypatch.delenv(delegation.ENVIRONMENT, raising=False)
    return Mounts(v2=Mount(point=str(tmp_path), root="/", version=2), own={"": "/session-1.scope"})


def test_why_systemd_gives_nothing_is_said_with_its_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def obtain(mount: str) -> client.Keeper:
        assert mount == str(tmp_path)
        raise HostError("it says no", "ask again")

    table = without_subtrees(monkeypatch, tmp_path)
    monkeypatch.setattr(client, "obtain", obtain)
    backend = delegation.find("auto", table)
    assert backend.name == "none"
    own, admin = f"{tmp_path}/session-1.scope", f"{tmp_path}/pysandbox/uid-{UID}"
    why = f"there is no cgroup {own}; it says no; there is no cgroup {admin}"
    assert backend.missing("mem") == f"mem cannot be enforced: {why}; ask again"


def test_looking_says_what_a_run_would_get(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = without_subtrees(monkeypatch, tmp_path)
    manager = tmp_path / f"user.slice/user-{UID}.slice/user@{UID}.service"
    manager.mkdir(parents=True)
    (manager / "cgroup.controllers").write_text("memory pids\n")
    monkeypatch.setattr(client, "running", lambda: None)
    monkeypatch.setattr(client, "obtain", lambda mount: pytest.fail("it was started"))
    monkeypatch.setattr(systemd, "check", lambda: None)
    backend = delegation.find("auto", table, prepare=False)
    assert backend.where == f"cgroup v2: {manager} (a service of systemd's, at the first run that needs it)"
    assert {"mem", "pids", "time"} <= set(backend.enforces()) and "cpus" not in backend.enforces()
    assert "systemctl edit user@.service" in backend.missing("cpus") and backend.keeper is None


def test_a_part_of_the_hierarchy_is_not_systemds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a container that shares the cgroup namespace: the keeper's directory would not be found."""
    without_subtrees(monkeypatch, tmp_path)
    monkeypatch.setattr(client, "obtain", lambda mount: pytest.fail("it was asked"))
    table = Mounts(v2=Mount(point=str(tmp_path), root="/docker/ab", version=2), own={"": "/docker/ab"})
    assert "shows a part of the cgroups only" in delegation.find("auto", table).missing("mem")


@pytest.mark.parametrize(
    ("values", "looks"),
    [({}, False), ({"wall": "1s", "pids": "4"}, False), ({"mem": "1M"}, True), ({"cpuset": "0"}, True),
     ({"mem": "1M", "cgroup": "none"}, False), ({"cgroup": "/named"}, True)],
)  # fmt: skip
def test_a_command_looks_early_only_where_it_matters(
    values: dict[str, Any], looks: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def find(where: str) -> None:
        asked.append(where)
        raise HostError("not usable", "")

    monkeypatch.setattr(delegation, "find", find)
    monkeypatch.setattr(early, "_V2_MOUNT", str(tmp_path / "absent"))
    assert early.backend(values) is None and asked == []  # v1: later is soon enough
    monkeypatch.setattr(early, "_V2_MOUNT", str(tmp_path))
    assert early.backend(values) is None  # the fault is the pipeline's to say
    assert asked == ([values.get("cgroup", "auto")] if looks else [])
