"""Bundles that mean harm: links of the root that lead out, ids that are paths; what a program sees of the runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.request import Mount
from tests.oci import bundles
from tests.oci.conftest import Oci, config, program, state

ASK = """
import os, socket
os.chdir("/state/x")
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("control")
print("connected")
try:
    s.send(b'{"verb": "kill", "signal": 9, "all": true}')
    print("answered", s.recv(65536))
except OSError as error:
    print("refused", error.errno)
"""


@pytest.mark.parametrize("name", ["proc", "dev", "tmp/inner", "etc/hosts"])
def test_links_of_the_root_do_not_lead_out(oci: Oci, bundle: Path, tmp_path: Path, name: str) -> None:
    """CVE-2019-19921, CVE-2021-30465, CVE-2025-31133: a mount point of the root is a link to the host."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (bundle / "rootfs" / name).symlink_to(outside)
    (tmp_path / "shared").mkdir()
    shown = {"destination": f"/{name}/below" if name == "tmp/inner" else "/mnt", "type": "bind", "source": "../shared"}
    bundles.write(bundle, program("echo x > /tmp/inner/x; echo y > /etc/hosts; ls /proc/self/fd", mounts=[
        *config()["mounts"], shown]))  # fmt: skip
    done = oci("run", "--bundle", bundle, "x", check=False)
    assert list(outside.iterdir()) == []
    refused = {"proc": "mount proc on /proc ", "dev": "mount tmpfs on /dev ", "tmp/inner": " at /tmp/inner/below "}
    if name in refused:  # by the very step, not by something before it
        assert done.returncode == 125 and refused[name] in done.stderr, done
    else:  # the program has run, and found no way either
        assert done.stdout == "0\n1\n2\n3\n" and "/etc/hosts: nonexistent directory" in done.stderr, done


def test_the_config_cannot_name_a_state_outside(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)
    for name in ("../x", "x/../../y", "/x"):
        assert "container id" in oci("create", "--bundle", bundle, name, check=False).stderr
    assert sorted(os.listdir(tmp_path / "state")) == []


def test_a_root_that_others_can_write_to_is_refused(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state").chmod(0o777)
    assert "can be written to by others" in oci("create", "--bundle", bundle, "x", check=False).stderr
    (tmp_path / "state").chmod(0o700)


def test_the_program_has_no_way_to_the_monitor(oci: Oci, bundle: Path) -> None:
    """No file of the runtime's is open in it, its parent is the init, and what it may do is what the bundle says."""
    bundles.write(bundle, program("ls -l /proc/self/fd | grep -c state; grep -E 'CapEff|NoNewPrivs' /proc/self/status; "
                                  "ls /proc | grep -c '^[0-9]'"))  # fmt: skip
    lines = oci("run", "--bundle", bundle, "x").stdout.split()
    assert lines[0] == "0" and lines[-1] in ("4", "5")  # the init, the shell, ls, grep
    assert lines[lines.index("CapEff:") + 1] == f"{1 << 5 | 1 << 10 | 1 << 29:016x}"
    assert lines[lines.index("NoNewPrivs:") + 1] == "1"


@pytest.mark.parametrize("options", [{}, {"policy": "none"}], ids=str)
def test_a_sandbox_that_sees_the_monitors_socket_is_not_answered(
    oci: Oci, bundle: Path, tmp_path: Path, options: dict[str, Any]
) -> None:  # fmt: skip
    """It is this user as well, and connect(2) asks for no right to write on the mount."""
    bundles.write(bundle, program("sleep 1000"))
    oci("create", "--bundle", bundle, "x")
    oci("start", "x")
    with Sandbox() as box:
        share = [Mount(source=str(tmp_path / "state"), target="/state")]
        said = box.run(["python3", "-IS", "-c", ASK], volumes=share, **options).stdout.split(b"\n")
    assert said[0] == b"connected" and said[1] in (b"answered b''", b"refused 32", b"refused 104"), said
    assert state(oci)["status"] == "running"
    oci("delete", "--force", "x")
