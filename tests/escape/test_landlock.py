"""Landlock as the second lock: what holds when the first one is taken away by the test, with and without the filter."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, steps
from sandbox import plan as planning
from sandbox.host import probe

ABI = probe().landlock
POLICIES = pytest.mark.parametrize("policy", ["default", "none"])
pytestmark = pytest.mark.skipif(ABI < 2, reason="no Landlock in this kernel")
WRITABLE = steps.NOSUID | steps.NODEV


@pytest.fixture
def open_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the first lock: no mount of any sandbox is read-only."""
    real = planning.setup_steps

    def opened(*args: Any) -> tuple[steps.Step, ...]:
        return tuple(
            s.replace(attributes=s.attributes & ~steps.RDONLY)
            if isinstance(s, (steps.Bind, steps.SetAttributes)) and not getattr(s, "chardev", False)
            else s
            for s in real(*args)
        )

    monkeypatch.setattr(planning, "setup_steps", opened)


CHANGES = """
import errno
def change(name, function):
    out[name] = tried(function)
change("create", lambda: os.close(os.open("/shared/new", os.O_WRONLY | os.O_CREAT, 0o600)))
change("write", lambda: os.close(os.open("/shared/file", os.O_WRONLY)))
change("append", lambda: os.close(os.open("/shared/file", os.O_WRONLY | os.O_APPEND)))
change("truncate", lambda: os.truncate("/shared/file", 0))
change("open and truncate", lambda: os.close(os.open("/shared/file", os.O_RDONLY | os.O_TRUNC)))
change("unlink", lambda: os.unlink("/shared/file"))
change("rename", lambda: os.rename("/shared/file", "/shared/other"))
change("link", lambda: os.link("/shared/file", "/shared/other"))
change("symlink", lambda: os.symlink("/", "/shared/other"))
change("mkdir", lambda: os.mkdir("/shared/other"))
change("rmdir", lambda: os.rmdir("/shared/empty"))
change("fifo", lambda: os.mkfifo("/shared/other"))
change("by fd", lambda: os.close(os.open("/proc/self/fd/%d" % os.open("/shared/file", os.O_RDONLY), os.O_WRONLY)))
change("by cwd", lambda: (os.chdir("/shared"), os.close(os.open("file", os.O_WRONLY))))
change("by O_PATH", lambda: os.close(os.open("/proc/self/fd/%d/file" % os.open("/shared", os.O_PATH), os.O_WRONLY)))
change("in the root", lambda: os.mkdir("/new"))
out["read"] = tried(lambda: text("/shared/file"))
"""


@POLICIES
def test_what_mounts_leave_writable_is_closed(
    policy: str, open_mounts: None, command: Callable[[str], list[str]], tmp_path: Path
) -> None:
    import json

    (tmp_path / "file").write_text("as it was")
    (tmp_path / "empty").mkdir()
    options: dict[str, Any] = {"volumes": [f"{tmp_path}:/shared"], "policy": policy, "wall": 60}
    with Sandbox(**options) as box:
        done = box.run(command(CHANGES))
        out = json.loads(done.stdout)
        assert out.pop("read") == "as it was"
        if ABI < 3:  # truncate(2) is no right yet, and is reported as missing
            assert "truncate" in done.landlock.missing
            del out["truncate"], out["open and truncate"]
        assert set(out.values()) <= {-errno.EACCES}, out
        # and that it is Landlock which closes them here
        off = json.loads(box.run(command(CHANGES), landlock="off").stdout)
        assert off["create"] is None and off["write"] is None and off["in the root"] is None
    assert not (tmp_path / "empty").exists()


ABSTRACT = """
import socket
out["abstract"] = tried(lambda: socket.socket(socket.AF_UNIX).connect("\\0" + NAME))
"""


@pytest.mark.skipif(ABI < 6, reason="scopes came with ABI 6")
@POLICIES
def test_abstract_sockets_of_the_host_with_its_network(policy: str, inside: Any) -> None:
    """A hole of sandboxes that share the network: an abstract name belongs to the network namespace."""
    name = f"pysandbox-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        code = f"NAME = {name!r}\n{ABSTRACT}"
        assert inside(code, net="host", policy=policy)["abstract"] == -errno.EPERM
        assert inside(code, net="host", policy=policy, landlock="off")["abstract"] is None


@pytest.mark.skipif(ABI < 6, reason="scopes came with ABI 6")
@POLICIES
def test_signals_without_a_pid_namespace(policy: str, inside: Any) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as victim:
        code = f"out['kill'] = tried(lambda: os.kill({victim.pid}, 9))"
        shared = {"without": ["pid"], "policy": policy}
        assert inside(code, **shared)["kill"] == -errno.EPERM and victim.poll() is None
        assert inside(code, landlock="off", **shared)["kill"] is None
        assert victim.wait(10) == -9


@POLICIES
def test_nothing_can_be_mounted_or_traced_outside(policy: str, inside: Any) -> None:
    code = """
out["mount"] = call("mount", "none", "/tmp", "tmpfs", 0, 0)
out["trace"] = call("ptrace", 16, 1, 0, 0)
"""
    out = inside(code, policy=policy)
    assert out["mount"] in (-errno.EPERM, -errno.ENOSYS) and out["trace"] in (-errno.EPERM, -errno.ENOSYS)
