"""What ``network`` and ``ci`` add to ``default`` is there, and with the capabilities comes nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox import Result, run
from tests.slowness import SLOW

AS_ROOT = {"ids": "range", "user": "0:0"}


def python(code: str, **options: object) -> Result:
    result: Result = run(["/usr/bin/python3", "-I", "-c", code], **options)
    return result


NETWORK = """
import socket
socket.socket().bind(("127.0.0.1", 80))
ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
ping.sendto(b"\\x08\\x00\\xf7\\xff\\0\\0\\0\\0", ("127.0.0.1", 0))
assert ping.recv(100)
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
closed = [(17, 3, 0), (17, 2, 0), (2, 10, 0), (16, 3, 12), (16, 3, 6), (16, 3, 16), (40, 1, 0), (38, 5, 0), (44, 3, 0)]
for words in closed:
    try:
        socket.socket(*words)
    except OSError as error:
        assert error.errno == 97, (words, error)
    else:
        raise AssertionError(words)
"""


def test_network() -> None:
    result = python(NETWORK, policy="network")
    assert result.ok, result.stderr
    assert set(result.capabilities) == {"NET_BIND_SERVICE", "NET_RAW"}


def test_default_has_none_of_it() -> None:
    """Or the test above would pass without the policy."""
    for line in NETWORK.splitlines()[2:4]:
        assert b"not permitted" in (said := python(f"import socket\n{line}", policy="default").stderr.lower()) or (
            b"permission denied" in said), said  # fmt: skip
    assert b"Errno 97" in python("import socket; socket.socket(16, 3, 4)", policy="default").stderr


CI = """
import ctypes, errno, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
os.mkdir("/tmp/root"); open("/tmp/root/file", "w").close()
os.chown("/tmp/root/file", 33, 33)
os.chmod("/tmp/root/file", 0o4755)
assert os.stat("/tmp/root/file").st_uid == 33
child = os.fork()
if not child:
    os.setgroups([33]); os.setgid(33); os.setuid(33)
    os._exit(os.getuid())
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 33
assert libc.personality(ctypes.c_ulong(0x40000)) != -1 and libc.personality(ctypes.c_ulong(0)) == 0x40000
assert libc.personality(ctypes.c_ulong(0x400000)) == -1
for call, words in (("mount", (b"x", b"/tmp", b"tmpfs", 0, 0)), ("umount", (b"/proc",)), ("unshare", (0x20000,)),
                    ("unshare", (0x10000000,)), ("setns", (0, 0)), ("sethostname", (b"x", 1))):
    assert getattr(libc, call)(*words) == -1 and ctypes.get_errno() == errno.EPERM, call
for device in ("null", "sda"):
    try:
        os.mknod("/tmp/" + device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        continue
    raise AssertionError(device)
os.chroot("/tmp/root")
assert os.listdir("/") == ["file"]
"""


def test_ci_as_root_of_the_sandbox() -> None:
    result = python(CI, policy="ci", **AS_ROOT)
    assert result.ok, result.stderr


def test_ci_does_not_need_a_range() -> None:
    """With a single id no other one exists, whatever is kept: the kernel says EINVAL."""
    assert python("import os; os.chroot('/tmp'); assert os.listdir('/') == []", policy="ci").ok
    result = python("import os; open('/tmp/x', 'w'); os.chown('/tmp/x', 33, 33)", policy="ci")
    assert b"Errno 22" in result.stderr


DPKG = """
set -e
mkdir -p p/DEBIAN p/usr/share/thing root/var/lib/dpkg/info root/var/lib/dpkg/updates
printf 'Package: thing\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: x\\n' >p/DEBIAN/control
echo 42 >p/usr/share/thing/file
chown 33:33 p/usr/share/thing/file
dpkg-deb -b p thing.deb
touch root/var/lib/dpkg/status
dpkg --root="$PWD/root" -i thing.deb
test "$(stat -c %u:%g root/usr/share/thing/file)" = 33:33
dpkg --root="$PWD/root" -r thing
test ! -e root/usr/share/thing/file
"""


def test_dpkg_installs_and_removes(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg")
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    result = run(["sh", "-c", DPKG], policy="ci", env=env, wall=60 * SLOW, **AS_ROOT)
    assert result.ok, result.stderr
