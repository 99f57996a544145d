"""Named networks between real sandboxes; all of them internal, as a way to the outside needs /dev/net/tun."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import HandOver, HostError, RequestError, Result, Sandbox, run
from sandbox.networks import open_network, store, tools
from sandbox.networks.addresses import of_host
from sandbox.networks.join import network_of
from sandbox.networks.network import Joined, Network
from sandbox.networks.spec import NetworkSpec
from sandbox.request import NetworkPlace
from tests.slowness import SLOW

SERVE = """
import socket, sys
server = socket.create_server(("0.0.0.0", 80))
print("ready", flush=True)
while True:
    c, who = server.accept()
    c.sendall((who[0].encode() + b" ").ljust(int(sys.argv[1]), b"x"))
    c.close()
"""
ASK = """
import socket, sys, time
begin = time.monotonic()
try:
    with socket.create_connection((sys.argv[1], 80), 5) as c:
        found = b""
        while part := c.recv(65536):
            found += part
    print(len(found), found.split()[0].decode(), time.monotonic() - begin)
except OSError as error:
    print("error", error)
"""
REACH = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
Inside = Callable[..., Result]


def member(name: str, net: str = "one", **words: str) -> Network:
    return open_network(NetworkSpec.parse(net, **words), name=name)


def address_of(name: str, network: Network) -> str:
    assert network.hosts_file is not None
    found = re.search(rf"^(\S+)\t{name}$", Path(network.hosts_file).read_text(), re.M)
    return found.group(1) if found else ""


class Server:
    """A sandbox that listens on port 80 of a network."""

    def __init__(self, network: Network, size: int = 100) -> None:
        self._sandbox = Sandbox()
        ready, theirs = os.pipe()
        self._running = self._sandbox.start(
            ["python3", "-I", "-S", "-c", SERVE, str(size)], net="join", network=network.place, stdout=HandOver(theirs)
        )
        os.close(theirs)
        assert os.read(ready, 6) == b"ready\n"
        os.close(ready)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._running.close()
        self._sandbox.close()


def test_members_reach_each_other(python_in: Inside) -> None:
    """By address; each knows the names of all, also of those that came later, and forgets who has gone."""
    store.create("one", internal=True)
    with member("a") as a, member("b") as b, Server(a):
        address = address_of("a", b)
        assert address and address_of("b", a) == address_of("b", b) != address
        said = python_in(b, ASK, address).stdout
        assert said is not None and said.split()[:2] == [b"100", address_of("b", b).encode()]
        b.close()
        assert not address_of("b", a)


def test_an_internal_network_has_no_outside(python_in: Inside) -> None:
    """Nor has the host's loopback anything to do with it."""
    store.create("one", internal=True)
    with socket.create_server(("0.0.0.0", 0)) as host, member("a") as a:
        port = host.getsockname()[1]
        text = ASK.replace("80)", f"{port})")
        own = [address for address in of_host() if ":" not in address]
        gateway = str(next(ipaddress.ip_network(store.networks()[0].subnet).hosts()))
        for target in ("192.0.2.80", "127.0.0.1", gateway, *own):
            assert (python_in(a, text, target).stdout or b"").startswith(b"error"), target
        host.settimeout(0.1)
        with pytest.raises(TimeoutError):
            host.accept()
        assert run(["python3", "-IS", "-c", REACH, str(port)], net="host").ok  # which could be reached
        host.accept()[0].close()
        routes = python_in(a, "print(open('/proc/net/route').read().count(chr(10)))").stdout
        assert routes == b"2\n"  # a heading and the network itself
    with pytest.raises(RequestError, match="--publish.*no outside"):
        member("a", publish=["80"])  # type: ignore[arg-type]


def test_two_networks_do_not_meet(python_in: Inside) -> None:
    store.create("one", internal=True)
    store.create("two", internal=True)
    with member("a") as a, member("b", "two") as b, Server(a):
        address = address_of("a", a)
        assert (python_in(a, ASK, address).stdout or b"").startswith(b"100 ")  # it could be reached
        assert (python_in(b, ASK, address).stdout or b"").startswith(b"error")


def test_bandwidth(python_in: Inside) -> None:
    """What leaves one member, and what another gets: 200 kB at 100 kB/s are no matter of a second."""
    store.create("one", internal=True)
    for words in ((("a", {"bandwidth": "100K/0"}), ("b", {})), (("a", {}), ("b", {"bandwidth": "0/100K"}))):
        with member(words[0][0], **words[0][1]) as a, member(words[1][0], **words[1][1]) as b, Server(a, 200_000):
            said = (python_in(b, ASK, address_of("a", b)).stdout or b"").split()
            assert said[0] == b"200000" and float(said[2]) > 1, (words, said)


def test_the_program_cannot_configure_it(python_in: Inside) -> None:
    """It has no right over N, also as 0: no address, no raw socket."""
    store.create("one", internal=True)
    text = """
import fcntl, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for what in (lambda: fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0)),
             lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1), lambda: socket.socket(17, socket.SOCK_RAW, 0)):
    try:
        what()
        print("done")
    except OSError as error:
        print(error.errno)
"""
    with member("a") as a:
        words = (python_in(a, text).stdout or b"").split()
        assert len(words) == 3 and set(words) <= {b"1", b"13", b"38", b"97"}


def test_killed_members_are_forgotten(data: Path) -> None:
    """Rule 12: no process of a network outlives its members, and the next one finds it as if it were new."""
    store.create("one", internal=True)
    text = "from sandbox.networks import *; from sandbox.networks.spec import NetworkSpec as S; import time\n" \
        "n = open_network(S.parse('one'), name='a'); print('up', flush=True); time.sleep(600)"  # fmt: skip
    child = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, env={
        **os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])})  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == b"up\n"
    holder = json.loads((data / "networks/one/holder.json").read_text())
    with pytest.raises(RequestError, match="in use by a"):
        store.remove("one")
    with pytest.raises(RequestError, match="has a member a already"):
        member("a")
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    end = time.monotonic() + 5 * SLOW
    while os.path.exists(f"/proc/{holder['pid']}"):
        assert time.monotonic() < end, "the holder lives on"
        time.sleep(0.02)
    with member("a") as a:
        assert address_of("a", a)
    store.remove("one")
    assert not (data / "networks/one").exists()


def test_the_holder_is_killed(python_in: Inside, data: Path) -> None:
    """Members lose it and end in order; the next one makes a new one."""
    store.create("one", internal=True)
    with member("a") as a:
        os.kill(json.loads((data / "networks/one/holder.json").read_text())["pid"], signal.SIGKILL)
        assert python_in(a, "print(1)").stdout == b"1\n"
    with member("a") as a, member("b") as b, Server(a):
        assert (python_in(b, ASK, address_of("a", b)).stdout or b"").startswith(b"100 ")


def test_a_holder_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said at once, with what unshare says, and the network can be used later."""
    store.create("one", internal=True)
    real = tools.find
    monkeypatch.setattr(
        tools, "find", lambda program, why: "/bin/false" if program == "unshare" else real(program, why)
    )
    begin = time.monotonic()
    with pytest.raises(HostError, match="a network namespace cannot be made"):
        member("a")
    assert time.monotonic() - begin < 20 * SLOW
    monkeypatch.setattr(tools, "find", real)
    with member("a") as a:
        assert address_of("a", a)


def test_anothers_network(python_in: Inside) -> None:
    """``container:NAME``: one loopback for both."""
    store.create("one", internal=True)
    with member("a") as a, Server(a):
        assert a.place is not None
        place = NetworkPlace(user_fd=os.dup(a.place.user_fd), net_fd=os.dup(a.place.net_fd))
        with network_of(Joined(place=place, hosts={"x": ("192.0.2.1",)}), "single") as joined:
            assert (python_in(joined, ASK, "127.0.0.1").stdout or b"").startswith(b"100 ")
            assert b"192.0.2.1\tx\n" in joined.hosts_text("me") and b"127.0.1.1\tme" in joined.hosts_text("me")


def test_subnets() -> None:
    """None that another network or the host has."""
    first, second = store.create("one"), store.create("two", subnet="10.77.0.0/29")
    assert first.subnet.startswith("10.213.") and second.subnet == "10.77.0.0/29"
    for wrong in ("10.77.0.0/24", "10.0.0.1/8", "x", "10.78.0.0/30", "fd00::/64", first.subnet):
        with pytest.raises(RequestError, match="--subnet"):
            store.create("three", subnet=wrong)
    given = {store.next_address(store.path_of("two"), second, set()) for _ in range(9)}
    assert given == {f"10.77.0.{number}" for number in range(2, 7)}
    with pytest.raises(HostError, match="no address is left"):
        store.next_address(store.path_of("two"), second, given)
    assert sorted(store.prune()) == ["one", "two"] and not store.networks()
