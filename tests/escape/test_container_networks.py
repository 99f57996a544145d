"""A program with a network of its own against that network, and kill -9 of every process that keeps it.

All networks here are internal, for a way to the outside needs /dev/net/tun: what that reaches is looked at by
scripts/tun_checks.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import RequestError
from sandbox.containers import list_containers, start
from sandbox.containers.options import configure
from sandbox.networks import open_network, store
from sandbox.networks.allow import load, ruleset
from sandbox.networks.holder import Holder
from sandbox.networks.spec import NetworkSpec, parse_allow
from tests.containers.started import Containers, soon

CHANGE = """
import fcntl, socket, struct
def netlink(family, kind, flags, content):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
    s.send(struct.pack("=IHHII", 16 + len(content), kind, flags, 1, 0) + content)
    s.settimeout(5)
    while True:
        data = s.recv(65536)
        if struct.unpack_from("=H", data, 4)[0] == 2:  # NLMSG_ERROR
            return struct.unpack_from("=i", data, 16)[0]
down = struct.pack("=BBHiII", 0, 0, 0, 1, 0, 0xffffffff)
route = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack("=HHI", 8, 4, 1)
address = struct.pack("=BBBBI", 2, 24, 0, 0, 1) + struct.pack("=HH4s", 8, 2, socket.inet_aton("10.9.9.9"))
link = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + struct.pack("=HH8s", 12, 3, b"dummy9\\0\\0")
out["link down"] = tried(lambda: netlink(0, 16, 5, down))
out["route"] = tried(lambda: netlink(0, 24, 0x605, route))
out["address"] = tried(lambda: netlink(0, 20, 0x605, address))
out["device"] = tried(lambda: netlink(0, 16, 0x605, link))
out["old route"] = tried(lambda: fcntl.ioctl(socket.socket(2, 2), 0x890B, bytes(120)))  # SIOCADDRT
out["old flags"] = tried(lambda: fcntl.ioctl(socket.socket(2, 2), 0x8914, b"lo".ljust(40, b"\\0")))
out["rules"] = tried(lambda: netlink(12, (10 << 8) | 2, 5, bytes(4)))  # NFT_MSG_DELTABLE, all
out["raw"] = tried(lambda: socket.socket(2, 3, 1).fileno())
out["raw 6"] = tried(lambda: socket.socket(10, 3, 58).fileno())
out["packets"] = tried(lambda: socket.socket(17, 3, 0).fileno())
out["mark"] = tried(lambda: socket.socket().setsockopt(1, 36, 1))
out["transparent"] = tried(lambda: socket.socket().setsockopt(0, 19, 1))
out["source route"] = tried(lambda: socket.socket().setsockopt(0, 4, bytes([131, 7, 4, 8, 8, 8, 8, 0])))
out["sysctl"] = tried(lambda: open("/proc/sys/net/ipv4/ip_forward", "w").write("1"))
"""


@pytest.fixture(name="data")
def _data(tmp_path: Path, pysandbox: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / "data"))
    with Containers(pysandbox, tmp_path):
        yield tmp_path / "data"


@pytest.mark.parametrize("options", [{}, {"policy": "none"}, {"policy": "none", "user": "0:0"}], ids=str)
def test_nobody_inside_changes_the_network(data: Path, inside: Callable[..., Any], options: dict[str, str]) -> None:
    """It belongs to a namespace above the sandbox's, and so do its rules: uid 0 without a filter has no right there."""
    store.create("one", internal=True)
    with open_network(NetworkSpec.parse("one"), name="a") as network:
        found = inside(CHANGE, net="join", network=network.place, **options)
    assert found.pop("sysctl") in (-errno.EROFS, -errno.EACCES), found
    refused = {-errno.EPERM} if options else {-errno.EPERM, -errno.EAFNOSUPPORT}  # the last is the filter's
    assert len(found) == 13 and set(found.values()) <= refused, found


SEND = """
import socket
def sent():
    return next(int(l.split()[10]) for l in text("/proc/net/dev").splitlines() if "out0" in l)
def udp(host, kind=socket.SOCK_DGRAM, protocol=0, data=b"x", port=80):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind, protocol) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.settimeout(0.05)
        return s.sendto(data, (host, port))
def tcp(host, port=81, protocol=0, bound=0):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, protocol) as s:
        s.settimeout(0.05)
        s.bind(("", bound))
        s.connect((host, port))
def tried(function):
    try:
        function()
    except OSError:
        pass
before = sent()
HOSTS = ("192.0.2.9", "192.0.2.5", "2001:db8::9", "::ffff:192.0.2.5")
for host in HOSTS:
    tried(lambda: udp(host))
    tried(lambda: udp(host, data=b"x" * 20000))  # fragments
    tried(lambda: udp(host, port=53))
    tried(lambda: udp(host, protocol=136))  # UDP-Lite
    tried(lambda: udp(host, protocol=1, data=bytes([8, 0, 0, 0, 0, 0, 0, 0])))
    tried(lambda: udp(host, protocol=58, data=bytes([128, 0, 0, 0, 0, 0, 0, 0])))
    tried(lambda: tcp(host))
    tried(lambda: tcp(host, protocol=262))  # MPTCP
    tried(lambda: tcp(host, 53))
tried(lambda: udp("192.0.2.255"))
tried(lambda: udp("224.0.0.251", port=5353))
tried(lambda: tcp("192.0.2.5", 80, bound=8080))
out["refused"] = sent() - before
tried(lambda: tcp("192.0.2.9", 80))
out["allowed"] = sent() - before
"""


def test_what_an_allow_list_does_not_name_never_leaves(inside: Callable[..., Any]) -> None:
    """Counted at the device: no protocol, no fragment, no other address, and no name is asked for."""
    with contextlib.closing(Holder()) as holder:
        holder.ip("link set lo up", "link add out0 type veth peer name out1", "link set out0 addrgenmode none",
                  "link set out1 addrgenmode none", "link set out1 up", "link set out0 up",
                  "addr add 192.0.2.1/24 dev out0", "addr add 2001:db8::1/64 dev out0 nodad",
                  what="a device")  # fmt: skip
        holder.set(ping_group_range="0 0")
        load(holder, ruleset([parse_allow("192.0.2.9:80")], {}))
        found = inside(SEND, net="join", network=holder.place, user="0:0", policy="network")
    assert found["refused"] == 0 and found["allowed"] > 0, found


def below(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(number for child in children for number in below(int(child)))]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_kill_9_of_each_process(data: Path, pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    """Rule 12: monitor, spawner, init, program, joiner, what keeps the network, and a client of exec. The container
    ends, or goes on and can be ended; after that no process, and after the next command no record is left."""
    store.create("one", internal=True)
    environ = {**pysandbox_env, "PYSANDBOX_DATA": str(data)}
    tried, number = set(), 0
    while True:
        box = start(configure(["sleep", "600"], name="k", net="one", mem="64M", remove=True))
        client = subprocess.Popen([*pysandbox_argv, "exec", "k", "sh", "-c", "echo in; sleep 600"], env=environ,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        assert client.stdout is not None and client.stdout.readline() == b"in\n"
        monitor = box.state.monitor_pid
        assert monitor
        ours = [client.pid, *below(monitor)]
        if number < len(ours):
            tried.add(Path(f"/proc/{ours[number]}/comm").read_text().strip())
            os.kill(ours[number], signal.SIGKILL)
        for found in list_containers():
            with contextlib.suppress(RequestError):  # it went with its end
                found.remove(force=True)
        client.wait()
        client.stdout.close()
        soon(lambda: all(gone(pid) for pid in ours))  # noqa: B023
        assert list_containers() == [] and not list((data / "containers").glob("[!.]*"))
        if number >= len(ours):
            break
        number += 1
    assert {"cat", "unshare", "sleep"} <= tried and number >= 8, (number, tried)
    store.remove("one")
