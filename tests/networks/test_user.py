"""Networks to the outside: what is said where they cannot be had, ports, rules in the kernel.

What such a network reaches, and what it does not, is looked at by scripts/tun_checks.py, in a world that root makes.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import HostError, RequestError, Result
from sandbox.networks import open_network, publish, resolver, tools, user
from sandbox.networks.allow import load, resolve, ruleset
from sandbox.networks.holder import Holder
from sandbox.networks.network import Network
from sandbox.networks.spec import NetworkSpec, parse_allow, parse_publish


def closed_tun() -> bool:
    return not os.access(user.TUN, os.R_OK | os.W_OK)


def test_a_closed_device_is_named() -> None:
    """With the one thing to do about it, and nothing left behind."""
    if not closed_tun():
        pytest.skip(f"{user.TUN} is open here; scripts/tun_checks.py looks at what it gives")
    with pytest.raises(HostError, match=r"/dev/net/tun .*(chmod 0666|modprobe)"):
        open_network(NetworkSpec.parse("user"))


def test_a_start_leaves_nothing_and_takes_what_another_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 of a start leaves its directory, which nobody holds then."""
    if tools.look_for("slirp4netns") == "":
        pytest.skip("slirp4netns is not installed")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    holder = Holder("single")
    try:
        dead = tmp_path / "pysandbox-scratch-dead"
        dead.mkdir(mode=0o700)
        (dead / "ready").touch()
        # Where the device is closed it ends before it is ready, which is told at once.
        with pytest.raises(HostError, match="slirp4netns cannot connect") if closed_tun() else contextlib.nullcontext():
            user.Outside(holder, (), resolver.Resolver(servers=()), program="slirp4netns").close()
    finally:
        holder.close()
    assert list(tmp_path.iterdir()) == []


def test_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "look_for", lambda program: "")
    with pytest.raises(HostError, match="apt install passt"):
        user.check()
    with pytest.raises(HostError, match="nft is not installed.*apt install nftables"):
        tools.find("nft", "--allow")


def test_a_port_in_use() -> None:
    """Said by number before anything is started; 0 finds one that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(RequestError, match=f"port {number} of 127.0.0.1 is in use"):
            publish.chosen([parse_publish(f"{number}:80")])
    assert publish.chosen([parse_publish("80")])[0].host > 0
    with pytest.raises(RequestError, match="no address of this host"):
        publish.chosen([parse_publish("192.0.2.1:0:80")])
    with pytest.raises(RequestError, match="twice"):
        publish.chosen([parse_publish(f"{number}:80"), parse_publish(f"{number}:81")])


def test_words_for_pasta() -> None:
    """Both protocols are always said: left to itself it publishes udp beside tcp."""
    words = publish.pasta_words([parse_publish("8080:80"), parse_publish("[::1]:8081:81")])
    assert words == ["--tcp-ports", "127.0.0.1/8080:80", "--tcp-ports", "::1/8081:81", "--udp-ports", "none"]


def test_rules_hold_in_the_kernel(python_in: Callable[..., Result]) -> None:
    """The allow list against a real socket: what is not named is refused at once, loopback is not its matter."""
    holder = Holder()
    try:
        holder.ip("link set lo up", "link add d0 type veth peer name d1", "addr add 192.0.2.2/24 dev d0",
                  "link set d0 up", "link set d1 up", what="a device")  # fmt: skip
        load(holder, ruleset([parse_allow("192.0.2.9:80"), parse_allow("[2001:db8::]/32:*")], {}))
        text = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), 2).close()
for port in (80, 81):
    try:
        socket.create_connection(("192.0.2.9", port), 0.5)
    except OSError as error:
        print(port, error)
"""
        lines = (python_in(Network(holder.place), text).stdout or b"").decode().splitlines()
        assert lines == ["80 timed out", "81 [Errno 113] No route to host"]
        with pytest.raises(HostError, match="nftables cannot be done"):
            load(holder, "this is no ruleset")
    finally:
        holder.close()


def test_names_are_looked_up_on_the_host() -> None:
    with pytest.raises(RequestError, match=r"does not know an address of nowhere\.invalid"):
        resolve([parse_allow("nowhere.invalid:80")])
