"""Addresses of this host: what no sandbox may reach by way of a program that connects for it."""

from __future__ import annotations

import ipaddress

from . import tools


def of_host() -> tuple[str, ...]:
    """All but loopback's. Raises HostError."""
    text = tools.call([tools.find("ip", "a network"), "-o", "addr", "show"], what="a look at this host's addresses")
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in ("inet", "inet6"):
            address = ipaddress.ip_address(words[3].partition("/")[0])
            if not address.is_loopback:
                found.append(str(address))
    return tuple(dict.fromkeys(found))


def networks_of_host() -> tuple[ipaddress.IPv4Network, ...]:
    """IPv4 networks that this host has a route to. Raises HostError."""
    text = tools.call([tools.find("ip", "a network"), "-o", "-4", "route", "show"], what="a look at this host's routes")
    found = []
    for line in text.splitlines():
        word = (line.split() or [""])[0]
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            continue  # "default"
    return tuple(network for network in found if network.version == 4)


def unreachable(own: tuple[str, ...]) -> list[str]:
    """Lines for ip -batch: these are reached by nobody in N, except those that are N's own as well."""
    return [f"route replace unreachable {address}/{128 if ':' in address else 32}" for address in own]
