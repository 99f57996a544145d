"""Servers of names: those of the host that a sandbox can reach, by whichever way.

A server on an address of the host's own (127.0.0.53 of systemd-resolved, dnsmasq) is reached by nobody but the host.
Of systemd-resolved the servers that it asks itself are known; for another one pasta passes on what is sent to FORWARD.
"""

from __future__ import annotations

import ipaddress

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

RESOLV_CONF = "/etc/resolv.conf"
UPSTREAM = "/run/systemd/resolve/resolv.conf"  # resolved.conf(5): without the stub
FORWARD = "169.254.53.53"
MAX_SERVERS = 3  # resolv.conf(5): MAXNS


class Resolver(Record):
    """``servers``: addresses to ask, as they are in the sandbox; ``forward_to``: who answers in place of FORWARD, ""
    for nobody; ``lines``: search and options of the host."""

    servers: tuple[str, ...]
    forward_to: str = ""
    lines: tuple[str, ...] = ()

    def text(self, servers: tuple[str, ...] | None = None) -> bytes:
        """resolv.conf(5)."""
        lines = [f"nameserver {server}" for server in (self.servers if servers is None else servers)]
        return ("\n".join([*lines, *self.lines]) + "\n").encode()


def read(own: Collection[str], path: str = RESOLV_CONF, upstream: str = UPSTREAM) -> Resolver:
    """What the host's file comes to. ``own``: addresses of the host."""
    servers, lines = _parse(_text(path))
    reachable = [server for server in servers if not _is_own(server, own)]
    if servers and not reachable:
        reachable = [server for server in _parse(_text(upstream))[0] if not _is_own(server, own)]
    if reachable or not servers:
        return Resolver(servers=tuple(reachable[:MAX_SERVERS]), lines=lines)
    return Resolver(servers=(FORWARD,), forward_to=servers[0], lines=lines)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""


def _parse(text: str) -> tuple[list[str], tuple[str, ...]]:
    servers, lines = [], []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver" and len(words) > 1:
            try:
                address = ipaddress.ip_address(words[1])
            except ValueError:
                continue
            if not (address.is_link_local and address.version == 6):  # its zone is a name on the host
                servers.append(str(address))
        elif words[0] in ("search", "domain", "options"):
            lines.append(" ".join(words))
    return servers, tuple(lines)


def _is_own(server: str, own: Collection[str]) -> bool:
    address = ipaddress.ip_address(server)
    return address.is_loopback or address.is_unspecified or server in own
