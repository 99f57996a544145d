"""A root made by an attacker, whose directories and programs are links into /proc/self/fd: what the launch has open
must not lead out of it (CVE-2024-21626)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import Sandbox, SetupError


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    for name in ("usr", "proc", "dev"):
        (tmp_path / name).mkdir()
    for name in ("bin", "lib", "lib64", "sbin"):
        (tmp_path / name).symlink_to(f"usr/{name}")
    for number in range(3, 40):
        (tmp_path / f"d{number}").symlink_to(f"/proc/self/fd/{number}")
        (tmp_path / f"p{number}").symlink_to(f"/proc/self/fd/{number}/../../../../../../../../usr/bin/id")
    tmp_path.chmod(0o755)
    return tmp_path


def test_no_fd_of_the_launch_is_a_work_directory(root: Path) -> None:
    with Sandbox(rootfs=str(root), volumes=["/usr:/usr"], mem="64M", landlock="off") as box:
        box.run(["true"])  # the spawner has what it keeps open
        for number in range(3, 40):
            with pytest.raises(SetupError, match="enter /d"):
                box.run(["true"], workdir=f"/d{number}")


def test_no_fd_of_the_launch_is_on_the_way_to_the_program(root: Path) -> None:
    with Sandbox(rootfs=str(root), volumes=["/usr:/usr"], mem="64M", landlock="off", workdir="/") as box:
        box.run(["true"])
        for number in range(3, 40):
            assert box.run([f"/p{number}"]).outcome == "exec_failed"
