"""net=join: a run in a network that others made, whose user namespace becomes the one around the run's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import HostError, RequestError, Sandbox
from sandbox.request import NetworkPlace

TUNNEL = "ip link set lo up && ip link add veth0 type veth peer name veth1 && ip addr add 10.9.8.7/24 dev veth0"


@pytest.fixture(name="place")
def _place() -> Iterator[NetworkPlace]:
    """As a network's holder makes it: a process in both namespaces, which ends with its input."""
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", f"{TUNNEL} && echo made && exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"made\n"
        fds = [os.open(f"/proc/{holder.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "net")]
        yield NetworkPlace(user_fd=fds[0], net_fd=fds[1])
        for fd in fds:
            os.close(fd)
        holder.communicate()


def show(box: Sandbox, place: NetworkPlace, script: str, **options: Any) -> bytes:
    return box.run(["sh", "-c", script], net="join", network=place, **options).stdout


def test_a_run_is_in_it_and_cannot_configure_it(place: NetworkPlace) -> None:
    with Sandbox() as box:
        there = os.readlink(f"/proc/self/fd/{place.net_fd}")
        assert show(box, place, "readlink /proc/self/ns/net").decode() == there + "\n"
        assert b"veth0" in show(box, place, "cat /proc/net/dev")
        refused = show(box, place, "ip link del veth0 2>&1; ip addr add 10.1.1.1/8 dev veth1 2>&1", user=0,
                       cap_add=["NET_ADMIN"], policy="none")  # fmt: skip
        assert refused.count(b"not permitted") == 2
        found = box.run(["true"], net="join", network=place)
        assert "net" not in found.absent and found.outcome == "ok"


def test_runs_with_and_without_it_take_turns(place: NetworkPlace) -> None:
    with Sandbox() as box:
        for _ in range(2):
            assert b"veth0" in show(box, place, "cat /proc/net/dev")
            assert b"veth0" not in box.run(["cat", "/proc/net/dev"]).stdout


def test_two_runs_share_it(place: NetworkPlace) -> None:
    serve = "import socket; socket.create_server(('127.0.0.1', 7777)).accept()[0].send(b'hi')"
    with Sandbox(net="join", network=place, policy="network") as box, box.start(["python3", "-c", serve]) as running:
        ask = ("import socket, time\nfor n in range(200):\n try:\n  s = socket.create_connection(('127.0.0.1', 7777));"
               " break\n except OSError:\n  time.sleep(0.02)\nprint(s.recv(9))")  # fmt: skip
        assert box.run(["python3", "-c", ask]).stdout == b"b'hi'\n"
        assert running.wait().outcome == "ok"


def test_a_range_needs_one(place: NetworkPlace) -> None:
    with Sandbox() as box, pytest.raises(HostError, match="has 1 id, and ids=range needs"):
        box.run(["true"], net="join", network=place, ids="range")


def test_what_is_no_place(place: NetworkPlace) -> None:
    with Sandbox() as box:
        with pytest.raises(RequestError, match="go together"):
            box.run(["true"], net="join")
        with pytest.raises(RequestError, match="go together"):
            box.run(["true"], network=place)
        with pytest.raises(RequestError, match="of a user namespace"):
            box.run(["true"], net="join", network=NetworkPlace(user_fd=place.net_fd, net_fd=place.net_fd))
