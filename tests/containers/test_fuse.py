"""A root by fuse-overlayfs: what it needs is said by name. All else needs an open /dev/fuse: scripts/fuse_checks.py,
run by root in ./dev test, and here in the lab, where it is open, on older kernels and another fuse-overlayfs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.started import Containers

DEVICE = "/dev/fuse"
CHECKS = Path(__file__).parents[2] / "scripts/fuse_checks.py"


def test_it_is_not_installed(boxes: Containers, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    if any(shutil.which("fuse-overlayfs", path=path) for path in ("/usr/local/sbin", "/usr/sbin", "/sbin")):
        pytest.skip("it lies where it is always looked for")
    boxes.env["PATH"] = str(tools)
    done = boxes.words("run", "--rm", "--upper", "fuse", "--image", "busybox", "--", "/bin/true")
    assert done.returncode == 125, done
    for part in ("--upper fuse was asked for", "fuse-overlayfs is not installed", "apt install", "--upper tmpfs"):
        assert part in done.stderr, done.stderr


@pytest.mark.skipif(os.access(DEVICE, os.W_OK), reason=f"{DEVICE} is open here")
def test_the_device_is_closed(boxes: Containers) -> None:
    if shutil.which("fuse-overlayfs") is None:
        pytest.skip("fuse-overlayfs is not installed")
    done = boxes.words("run", "--rm", "--upper", "fuse", "--image", "busybox", "--", "/bin/true")
    assert done.returncode == 125, done
    for part in (DEVICE, "cannot be opened", "an administrator: ", "--upper tmpfs"):
        assert part in done.stderr, done.stderr


@pytest.mark.v2
@pytest.mark.skipif(not os.access(DEVICE, os.W_OK), reason=f"{DEVICE} is closed; scripts/fuse_checks.py opens it")
def test_it_in_a_container_of_our_own(tmp_path: Path) -> None:
    if shutil.which("fuse-overlayfs") is None:
        pytest.skip("fuse-overlayfs is not installed")
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-PB", str(CHECKS), "short"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
