"""``pysandbox port CONTAINER [PORT[/PROTOCOL]]``"""

from __future__ import annotations

import sys

from ...errors import RequestError
from ...units import parse_count
from .names import find, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ...containers import Container


def main(words: list[str]) -> int:
    """A line for each published port; with a PORT only where that leads from, and 125 if nowhere."""
    _values, words = parse("port", words)
    if not 1 <= len(words) <= 2:
        raise RequestError("port", " ".join(words)[:80], "name one container, and a port if it is for one")
    ports = of(find(words[0]))
    if len(words) == 1:
        sys.stdout.write("".join(f"{port['guest']}/{port['protocol']} -> {outside(port)}\n" for port in ports))
        return 0
    number, _slash, protocol = words[1].partition("/")
    wanted = parse_count("port", number, 1, 65535), protocol or "tcp"
    found = [port for port in ports if (port["guest"], port["protocol"]) == wanted]
    if not found:
        raise RequestError("port", words[1], f"{words[0]} does not publish it")
    sys.stdout.write("".join(f"{outside(port)}\n" for port in found))
    return 0


def of(container: Container) -> list[dict[str, Any]]:
    """What a running container publishes: guest, host, address, protocol. Raises RequestError."""
    return list(container.call("about").get("ports", ()))


def outside(port: Mapping[str, Any]) -> str:
    """``127.0.0.1:8080``, an IPv6 address in brackets."""
    address = port["address"]
    return f"[{address}]:{port['host']}" if ":" in address else f"{address}:{port['host']}"
