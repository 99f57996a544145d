"""What ``open_network`` returns: a network that is ready, and everything that a container needs of it."""

from __future__ import annotations

from ..record import Record
from ..request import NetworkPlace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .spec import Publish


class Joined(Record):
    """What another container says of its network. The fds of ``place`` become ours."""

    place: NetworkPlace
    hosts: Mapping[str, tuple[str, ...]] = {}
    resolv: bytes = b""
    ports: tuple[Publish, ...] = ()


class Network:
    """``place``: for a Request with ``net="join"``, None for none and host; its fds are ours until ``close``.
    ``hosts``: name -> addresses, for /etc/hosts. ``resolv``: the text of /etc/resolv.conf. ``ports``: what is
    published, with numbers. ``hosts_file``: of a named network, a file to be bound at /etc/hosts read-only, which is
    kept up to date when members come and go and has ``hosts`` in it; else None.
    """

    def __init__(
        self,
        place: NetworkPlace | None = None,
        *,
        hosts: Mapping[str, tuple[str, ...]] | None = None,
        resolv: bytes = b"",
        ports: tuple[Publish, ...] = (),
        hosts_file: str | None = None,
        watched: Mapping[str, int] | None = None,
        closing: tuple[Callable[[], None], ...] = (),
    ) -> None:
        self.place, self.hosts, self.resolv, self.ports = place, dict(hosts or {}), resolv, ports
        self.hosts_file = hosts_file
        self._watched = dict(watched or {})
        self._closing = closing

    def fds(self) -> dict[str, int]:
        """Name -> pidfd of programs without which the network does not work ("pasta"); readable when one has ended."""
        return self._watched

    def hosts_text(self, hostname: str = "") -> bytes:
        """/etc/hosts of a container with that name."""
        return hosts_text(self.hosts, hostname)

    def close(self) -> None:
        """End it: no process of it is left. Raises SupervisorError; may be called again."""
        closing, self._closing = self._closing, ()
        self._watched = {}
        fault: Exception | None = None
        for close in closing:
            try:
                close()
            except Exception as error:
                fault = fault or error
        if fault is not None:
            raise fault

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def hosts_text(hosts: Mapping[str, tuple[str, ...]], hostname: str = "") -> bytes:
    """hosts(5): loopback, names of ``hosts``, and the container's own name unless it is among them."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    lines += [f"{address}\t{name}" for name, addresses in hosts.items() for address in addresses]
    if hostname and hostname not in hosts:
        lines.append(f"127.0.1.1\t{hostname}")
    return ("\n".join(lines) + "\n").encode()
