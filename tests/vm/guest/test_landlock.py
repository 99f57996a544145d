"""Older ABIs of Landlock on their own kernels: what the result says is missing is what is not refused, and no more."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess

import pytest

from sandbox import HostError, run
from sandbox.host import probe

GUEST = os.environ.get("PYSANDBOX_LAB_GUEST", "")
ABI = {"debian12": 2, "debian13": 6}.get(GUEST, 0)
pytestmark = pytest.mark.guests("debian12", "debian13")

ATTEMPTS = """
import errno, json, os, socket
def tried(function):
    try: return function()
    except OSError as error: return -error.errno
out = {
    "signal": tried(lambda: os.kill(PID, 0)),
    "abstract_unix_socket": tried(lambda: socket.socket(socket.AF_UNIX).connect("\\0" + NAME)),
    "refer": tried(lambda: (os.makedirs("a/b"), os.rename("a/b", "c")) and None),
    "write": tried(lambda: os.mkdir("/usr/new")),
}
print(json.dumps(out))
"""


def test_the_kernel_has_the_abi_of_this_guest() -> None:
    assert probe().landlock == ABI


def test_what_is_reported_is_what_happens() -> None:
    name = f"pysandbox-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX) as server, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as victim:
        server.bind("\0" + name)
        server.listen()
        code = f"PID, NAME = {victim.pid}, {name!r}\n{ATTEMPTS}"
        argv = ["/usr/bin/python3", "-IS", "-c", code]
        result = run(argv, net="host", without=["pid"])
        out = json.loads(result.stdout)
        off = json.loads(run(argv, net="host", without=["pid"], landlock="off").stdout)
    found = result.landlock
    assert found.abi == ABI and not found.why
    for name in ("signal", "abstract_unix_socket"):
        assert (out[name] == -errno.EPERM) == (name in found.scoped) == (name not in found.missing), out
        assert off[name] is None
    assert out["refer"] is None and "refer" in found.filesystem
    assert ("truncate" in found.missing) == (ABI < 3) and ("ioctl_dev" in found.missing) == (ABI < 5)
    assert out["write"] == -errno.EROFS or out["write"] == -errno.EACCES


def test_by_name_with_what_this_kernel_lacks() -> None:
    assert run(["true"], landlock="on").landlock.abi == ABI
    if ABI >= 6:
        assert run(["true"], landlock="on", net="host").ok
        return
    with pytest.raises(HostError, match="ABI 2"):
        run(["true"], landlock="on", net="host")


def test_isolation_landlock() -> None:
    if ABI < 3:
        with pytest.raises(HostError, match=r"Linux 6\.2"):
            run(["true"], isolation="landlock")
        return
    result = run(["sh", "-c", "echo x > f && cat f; cat /etc/passwd; kill -0 1"], isolation="landlock")
    assert result.stdout == b"x\n" and result.exit_code and "cgroup v2" in result.enforced["pids"], result


def test_doctor_says_so() -> None:
    command = ["python3", "-P", "-m", "sandbox.cli", "doctor", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert f"ABI {ABI}" in checks["landlock"]["detail"]
    assert checks["landlock"]["state"] == ("ok" if ABI >= 6 else "limited"), checks["landlock"]
    assert checks["isolation landlock"]["state"] == ("ok" if ABI >= 6 else "missing"), checks["isolation landlock"]
