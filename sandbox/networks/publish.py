"""Ports of the host that lead into a sandbox, and into no more than that."""

from __future__ import annotations

import errno
import json
import socket

from ..errors import HostError, RequestError
from .spec import Publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

API_TIMEOUT_S = 10


def chosen(ports: Sequence[Publish]) -> tuple[Publish, ...]:
    """The same with a free port of the host for each that has none. Raises RequestError for one that is taken."""
    found: list[Publish] = []
    for port in ports:
        number = check_free(port)
        if any((number, port.address, port.protocol) == (p.host, p.address, p.protocol) for p in found):
            raise RequestError("--publish", str(port), "is there twice")
        found.append(Publish(guest=port.guest, host=number, address=port.address, protocol=port.protocol))
    return tuple(found)


def check_free(port: Publish) -> int:
    """Its number, or one that is free. Raises RequestError if it is in use, or is not for this user."""
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as tried:
        if kind == socket.SOCK_STREAM:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a former owner may linger
        try:
            tried.bind((port.address, port.host))
            if kind == socket.SOCK_STREAM:
                tried.listen(1)
        except OSError as error:
            raise RequestError("--publish", str(port), _why(error, port)) from None
        return int(tried.getsockname()[1])


def _why(error: OSError, port: Publish) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port.host} of {port.address} is in use on this host; take another, or 0 for one that is free"
    if error.errno == errno.EACCES:
        return f"port {port.host} is for root (net.ipv4.ip_unprivileged_port_start); take another, or 0"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{port.address} is no address of this host"
    return (error.strerror or "cannot be bound").lower()


def pasta_words(ports: Sequence[Publish]) -> list[str]:
    """-t and -u for all of them. Without a word pasta would publish what it likes: udp ports beside tcp's."""
    words: list[str] = []
    for option, protocol in (("--tcp-ports", "tcp"), ("--udp-ports", "udp")):
        specs = [f"{port.address}/{port.host}:{port.guest}" for port in ports if port.protocol == protocol]
        for spec in specs or ["none"]:
            words += [option, spec]
    return words


def slirp_add(path: str, ports: Sequence[Publish]) -> None:
    """By slirp4netns' API socket, one connection for each. Raises HostError."""
    for port in ports:
        arguments = {
            "proto": port.protocol,
            "host_addr": port.address,
            "host_port": port.host,
            "guest_port": port.guest,
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as api:
            api.settimeout(API_TIMEOUT_S)
            try:
                api.connect(path)
                api.sendall(json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode())
                api.shutdown(socket.SHUT_WR)
                answer = json.loads(api.recv(1 << 16) or b"{}")
            except (OSError, ValueError) as error:
                raise HostError(f"slirp4netns does not publish {port}: {error}", "apt install passt") from error
        if "error" in answer:
            raise HostError(f"slirp4netns does not publish {port}: {answer['error']}", "apt install passt")
