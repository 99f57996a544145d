"""Where /dev/net/tun is open to all, as in the lab's guests: pasta of two versions against the host's own servers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from sandbox import HandOver, Result, Sandbox
from sandbox.networks import open_network
from sandbox.networks.addresses import of_host
from sandbox.networks.spec import NetworkSpec
from sandbox.networks.user import TUN

pytestmark = [
    pytest.mark.v2,
    pytest.mark.skipif(not os.access(TUN, os.W_OK), reason=f"{TUN} is closed; as root scripts/tun_checks.py does it"),
]

ASK = """
import socket, sys
for address in sys.argv[2:]:
    try:
        with socket.create_connection((address, int(sys.argv[1])), 5) as c:
            print(address, c.recv(10))
    except OSError as error:
        print(address, "error", error)
"""
SERVE = """
import socket
server = socket.create_server(("0.0.0.0", 80))
print("ready", flush=True)
while True:
    c, _ = server.accept()
    c.sendall(b"guest")
    c.close()
"""


def test_the_host_is_not_reached(python_in: Callable[..., Result]) -> None:
    """By none of its addresses, nor by the gateway's, which pasta would take for the host unless told otherwise."""
    with socket.create_server(("0.0.0.0", 0)) as server, open_network(NetworkSpec.parse("user")) as network:
        port = server.getsockname()[1]
        with open("/proc/net/route") as routes:
            fields = [line.split() for line in routes]
        gateways = [socket.inet_ntoa(bytes.fromhex(f[2])[::-1]) for f in fields[1:] if f[1] == "00000000"]
        own = [address for address in of_host() if ":" not in address]
        assert own and gateways
        lines = (python_in(network, ASK, str(port), "127.0.0.1", *own, *gateways).stdout or b"").decode().splitlines()
        assert len(lines) == 1 + len(own) + len(gateways) and all(" error " in line for line in lines), lines
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_published_port(python_in: Callable[..., Result]) -> None:
    """From the host's loopback into the sandbox; under an allow list as well."""
    spec = NetworkSpec.parse("user", publish=["0:80"], allow=["192.0.2.1:80"])
    with open_network(spec) as network, Sandbox() as sandbox:
        ready, theirs = os.pipe()
        running = sandbox.start(
            ["python3", "-I", "-S", "-c", SERVE], net="join", network=network.place, stdout=HandOver(theirs)
        )
        os.close(theirs)
        assert os.read(ready, 6) == b"ready\n"
        os.close(ready)
        with socket.create_connection(("127.0.0.1", network.ports[0].host), 20) as c:
            assert c.recv(10) == b"guest"
        running.close()
