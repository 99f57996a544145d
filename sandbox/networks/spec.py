"""``--net``, ``--publish``, ``--allow`` and ``--bandwidth``: words to values. Nothing is asked of the host here."""

from __future__ import annotations

import ipaddress

from ..errors import RequestError
from ..record import Record
from ..units import parse_count, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NONE, HOST, USER, CONTAINER, NAMED = "none", "host", "user", "container", "named"
PROTOCOLS = ("tcp", "udp")
# Untrusted code that listens is not for the neighbours of this host, unless somebody says so.
DEFAULT_ADDRESS = "127.0.0.1"
MAX_PORT = 65535
MAX_NAME = 64
# Below this one full packet takes seconds.
MIN_BANDWIDTH_BYTES = 4096
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_BITS = {"kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}


class Publish(Record):
    """A port of the host that leads into the sandbox. ``host``: 0 for one that is free."""

    guest: int
    host: int = 0
    address: str = DEFAULT_ADDRESS
    protocol: str = "tcp"

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.host}:{self.guest}/{self.protocol}"


class Allow(Record):
    """What may be reached: ``host`` is an address, a network (CIDR) or a name; ``port`` 0 for all."""

    host: str
    port: int
    protocol: str = "tcp"
    named: bool = False


class Bandwidth(Record):
    """Bytes a second out of the sandbox and into it; 0 = not limited."""

    up: int
    down: int


class NetworkSpec(Record):
    """The network of one container. ``target``: of ``container:NAME`` the name, else that of a named network.

    ``allow`` is None where everything may be reached. ``dns``: names may be asked for under an allow list.
    """

    kind: str
    target: str = ""
    publish: tuple[Publish, ...] = ()
    allow: tuple[Allow, ...] | None = None
    dns: bool = False
    bandwidth: Bandwidth | None = None

    @classmethod
    def parse(
        cls,
        net: str = NONE,
        *,
        publish: Sequence[str] = (),
        allow: Sequence[str] = (),
        bandwidth: str = "",
    ) -> NetworkSpec:
        """From words of the command line. Raises RequestError naming the option."""
        kind, target = _kind(net)
        if kind in (NONE, HOST, CONTAINER):
            for option, given in (("--publish", publish), ("--allow", allow), ("--bandwidth", bandwidth)):
                if given:
                    why = "say it to the container whose network this is" if kind == CONTAINER else \
                        "goes with --net user or a named network"  # fmt: skip
                    raise RequestError(option, given if isinstance(given, str) else given[0], why)
        return cls(
            kind=kind,
            target=target,
            publish=tuple(parse_publish(word) for word in publish),
            allow=tuple(parse_allow(word) for word in allow if word != "dns") if allow else None,
            dns="dns" in allow,
            bandwidth=parse_bandwidth(bandwidth) if bandwidth else None,
        )


def _kind(net: str) -> tuple[str, str]:
    if net in (NONE, HOST, USER):
        return net, ""
    kind, colon, target = net.partition(":")
    if colon and kind == "container" and target:
        return CONTAINER, target
    return NAMED, check_name("--net", net)


def check_name(field: str, name: str) -> str:
    """A name that a network can have: as containers have them. Raises RequestError."""
    if not 0 < len(name) <= MAX_NAME or not set(name) <= _NAME or not (name[0].isalnum() and name.isascii()):
        raise RequestError(field, name, "expected none, host, user, container:NAME, or the name of a network: letters, "
                           f"digits, '_', '.', '-', at most {MAX_NAME}")  # fmt: skip
    if name in (NONE, HOST, USER, CONTAINER):
        raise RequestError(field, name, "is a kind of network and cannot be the name of one")
    return name


def parse_publish(text: str) -> Publish:
    """``[IP:][HOST]:GUEST[/udp]`` or ``GUEST``; an IPv6 address in brackets. Raises RequestError."""
    option = "--publish"
    words, _slash, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if protocol not in PROTOCOLS:
        raise RequestError(option, text, f"unknown protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    rest, colon, guest = words.rpartition(":")
    address, host = DEFAULT_ADDRESS, rest
    if colon and (rest.startswith("[") or ":" in rest):
        given, _colon, host = rest.rpartition(":")
        if rest.startswith("[") and rest.endswith("]"):
            given, host = rest, ""
        address = given.removeprefix("[").removesuffix("]")
    try:
        address = str(ipaddress.ip_address(address))
    except ValueError:
        raise RequestError(
            option, text, "expected [IP:][HOST]:GUEST[/udp] with an IP address (IPv6 in brackets)"
        ) from None
    return Publish(guest=parse_count(option, guest, 1, MAX_PORT), host=parse_count(option, host or "0", 0, MAX_PORT),
                   address=address, protocol=protocol)  # fmt: skip


def parse_allow(text: str) -> Allow:
    """``HOST:PORT[/udp]``; HOST is a name, an address, a CIDR, or IPv6 in brackets; PORT may be ``*``.

    Raises RequestError.
    """
    option, expected = "--allow", "expected HOST:PORT[/udp], with HOST a name, an address, a CIDR, or [IPv6], or dns"
    host, colon, port = text.rpartition(":")
    port, _slash, protocol = port.partition("/")
    protocol = protocol or "tcp"
    if not colon or not host or protocol not in PROTOCOLS:
        raise RequestError(option, text, expected)
    number = 0 if port == "*" else parse_count(option, port, 1, MAX_PORT)
    bare = host
    if host.startswith("["):
        inner, bracket, mask = host[1:].partition("]")
        if not bracket or mask and not mask.startswith("/"):
            raise RequestError(option, text, expected)
        bare = inner + mask
    elif ":" in host:
        raise RequestError(option, text, "an IPv6 address goes in brackets: [2001:db8::1]:443")
    try:
        return Allow(host=str(ipaddress.ip_network(bare)), port=number, protocol=protocol)
    except ValueError as error:
        if "/" in bare or bare != host or not any(c.isalpha() for c in bare):
            raise RequestError(option, text, str(error)) from None
    if not set(bare) <= _NAME or len(bare) > 253:
        raise RequestError(option, text, expected)
    return Allow(host=bare, port=number, protocol=protocol, named=True)


def parse_bandwidth(text: str) -> Bandwidth:
    """``UP[/DOWN]``, each a SIZE a second or in bits (``10mbit``); one number is for both. Raises RequestError."""
    up, slash, down = text.partition("/")
    first = _bytes_a_second(text, up)
    return Bandwidth(up=first, down=_bytes_a_second(text, down) if slash else first)


def _bytes_a_second(text: str, word: str) -> int:
    unit = word.strip().lower()[-4:]
    if unit in _BITS:
        rate = parse_count("--bandwidth", word.strip()[:-4], 1) * _BITS[unit] // 8
    else:
        rate = parse_size("--bandwidth", word)
    if rate and rate < MIN_BANDWIDTH_BYTES:
        raise RequestError("--bandwidth", text, f"too small: at least {MIN_BANDWIDTH_BYTES} bytes a second")
    if rate > 1 << 40:
        raise RequestError("--bandwidth", text, "out of range (up to 1T a second)")
    return rate
