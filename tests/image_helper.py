"""Images for tests, made here: nothing is fetched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandbox.images.formats import import_image
from sandbox.images.store import Store

BUSYBOX = Path("/bin/busybox")


def make_busybox_root(top: Path, config: dict[str, str] | None = None) -> Path:
    """A root file system of one static program and its names, in a new directory ``top``."""
    if not BUSYBOX.exists():
        pytest.skip("busybox-static is not installed")
    for name in ("bin", "etc", "home/user", "root", "usr/bin", "var", "tmp", "dev", "proc", "sys"):
        (top / name).mkdir(parents=True)
    (top / "tmp").chmod(0o1777)
    (top / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (top / "bin/busybox").chmod(0o755)
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        if name != "busybox":
            (top / "bin" / name).symlink_to("busybox")
    (top / "usr/bin/env").symlink_to("/bin/busybox")
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
        "etc/group": "root:x:0:\nuser:x:1000:\nusers:x:100:user\n",
        "etc/os-release": 'ID=busybox\nNAME="BusyBox"\n',
        **(config or {}),
    }
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    # The same tree gives the same image, whenever it is made.
    for path in (top, *top.rglob("*")):
        os.utime(path, (0, 0), follow_symlinks=False)
    return top


def busybox_image(store: Store, tmp_path: Path, name: str = "busybox") -> str:
    """Import it; the full name. ``tmp_path``: where it may be made."""
    return import_image(store, str(make_busybox_root(tmp_path / "busybox-root")), name).names[0]
