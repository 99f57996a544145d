"""Words of --net, --publish, --allow and --bandwidth; nothing is asked of the host."""

from __future__ import annotations

import pytest

from sandbox import RequestError
from sandbox.networks.allow import ruleset
from sandbox.networks.spec import Allow, Bandwidth, NetworkSpec, Publish, parse_allow, parse_bandwidth, parse_publish


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", Publish(guest=80)),
        ("8080:80", Publish(host=8080, guest=80)),
        (":80", Publish(guest=80)),
        ("53:5353/udp", Publish(host=53, guest=5353, protocol="udp")),
        ("0.0.0.0:8080:80", Publish(address="0.0.0.0", host=8080, guest=80)),
        ("192.0.2.1::80", Publish(address="192.0.2.1", guest=80)),
        ("[::1]:8080:80", Publish(address="::1", host=8080, guest=80)),
    ],
)
def test_publish(text: str, expected: Publish) -> None:
    """Without an address only this host's loopback."""
    assert parse_publish(text) == expected
    assert expected.address != "" and (expected.address == "127.0.0.1") == (text.count(":") < 2)


@pytest.mark.parametrize(
    "text", ["", "x", "80:", "70000:80", "8080:0", "80/sctp", "name:80:80", "1.2.3:80:80", "-1:80"]
)
def test_publish_that_cannot_be(text: str) -> None:
    with pytest.raises(RequestError, match="--publish"):
        parse_publish(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org:443", Allow(host="example.org", port=443, named=True)),
        ("192.0.2.1:53/udp", Allow(host="192.0.2.1/32", port=53, protocol="udp")),
        ("192.0.2.0/24:*", Allow(host="192.0.2.0/24", port=0)),
        ("[2001:db8::1]:443", Allow(host="2001:db8::1/128", port=443)),
        ("[2001:db8::]/32:443", Allow(host="2001:db8::/32", port=443)),
    ],
)
def test_allow(text: str, expected: Allow) -> None:
    assert parse_allow(text) == expected


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":80", "host:0", "2001:db8::1:443", "192.0.2.1/24:80", "1.2.3:80", "a b:1", 'a";:80']
)
def test_allow_that_cannot_be(text: str) -> None:
    """What is no address must be a name: nothing else comes near the rules."""
    with pytest.raises(RequestError, match="--allow"):
        parse_allow(text)


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [("1M", 1 << 20, 1 << 20), ("10mbit", 1_250_000, 1_250_000), ("1M/0", 1 << 20, 0), ("64K/1G", 1 << 16, 1 << 30)],
)
def test_bandwidth(text: str, up: int, down: int) -> None:
    assert parse_bandwidth(text) == Bandwidth(up=up, down=down)


@pytest.mark.parametrize("text", ["x", "1", "1M/2M/3M", "-1M", "mbit", "9T"])
def test_bandwidth_that_cannot_be(text: str) -> None:
    with pytest.raises(RequestError, match="--bandwidth"):
        parse_bandwidth(text)


def test_kinds() -> None:
    assert [NetworkSpec.parse(net).kind for net in ("none", "host", "user", "container:a", "mine")] == [
        "none", "host", "user", "container", "named"]  # fmt: skip
    for net in ("", "container:", "a b", "-x", "x" * 65, "../x"):
        with pytest.raises(RequestError, match="--net"):
            NetworkSpec.parse(net)
    for net in ("none", "host", "container:a"):
        with pytest.raises(RequestError, match="--publish"):
            NetworkSpec.parse(net, publish=["80"])
        with pytest.raises(RequestError, match="--allow"):
            NetworkSpec.parse(net, allow=["a:80"])


def test_no_list_is_not_an_empty_one() -> None:
    """Only dns: nothing but the servers of names may be reached."""
    assert NetworkSpec.parse("user").allow is None
    spec = NetworkSpec.parse("user", allow=["dns"])
    assert spec.allow == () and spec.dns
    text = ruleset((), {}, dns=("192.0.2.53",))
    assert "policy drop" in text and text.count("192.0.2.53") == 2 and "daddr" in text
