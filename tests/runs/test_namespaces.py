"""Each namespace is there by default, and can be left out by name: then it is shared, and said so."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import pytest

from sandbox import RequestError, Result, Sandbox, run
from tests.slowness import SLOW

pytestmark = pytest.mark.v2

# Names of DESIGN and of /proc/self/ns.
FILES = {
    "user": "user",
    "pid": "pid",
    "mount": "mnt",
    "net": "net",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup": "cgroup",
    "time": "time",
}
ALL_BUT_TIME = ("user", "pid", "mount", "net", "ipc", "uts", "cgroup")


def namespaces_of(result: Result) -> dict[str, str]:
    assert result.ok, result
    return dict(zip(FILES, result.stdout.decode().split(), strict=True))


def ours() -> dict[str, str]:
    return {name: os.readlink(f"/proc/self/ns/{file}") for name, file in FILES.items()}


READ = ["sh", "-c", "for n in user pid mnt net ipc uts cgroup time; do readlink /proc/self/ns/$n; done"]


def test_all_are_new_by_default() -> None:
    result = run(READ)
    inside, outside = namespaces_of(result), ours()
    assert not {name for name in FILES if inside[name] == outside[name]}
    assert result.absent == ()


def test_two_runs_share_none() -> None:
    # At once: a namespace that is gone leaves its number to the next one.
    with (
        Sandbox() as box,
        box.start([*READ[:2], READ[2] + "; read line || true"], stdin=(pipe := os.pipe())[0]) as running,
    ):
        second = namespaces_of(box.run(READ))
        os.close(pipe[1])
        first = namespaces_of(running.wait())
        os.close(pipe[0])
    assert not {name for name in FILES if first[name] == second[name]}


@pytest.mark.parametrize("name", [n for n in FILES if n != "user"])
def test_one_left_out_is_shared_and_reported(name: str) -> None:
    result = run(READ, without=[name])
    inside, outside = namespaces_of(result), ours()
    if name == "net":
        # The host's net: not the spawner's either.
        assert inside["net"] == outside["net"]
    assert inside[name] == outside[name]
    assert {n for n in FILES if inside[n] == outside[n]} == {name}
    assert result.absent == (name,)


def test_none_at_all() -> None:
    result = run(READ, without=[*ALL_BUT_TIME], policy="none")
    assert namespaces_of(result) == ours()
    assert set(ALL_BUT_TIME) <= set(result.absent)
    assert run(["sh", "-c", "exit 3"], without=[*ALL_BUT_TIME]).exit_code == 3


def test_user_alone_cannot_be_left_out() -> None:
    with pytest.raises(RequestError) as caught:
        run(["true"], without=["user"])
    assert "user namespace" in str(caught.value)


@pytest.mark.parametrize("name", [n for n in FILES if n != "user"])
def test_ends_and_limits_hold_without_one(name: str, program: Callable[[str], str]) -> None:
    assert run([program("die"), "segv"], without=[name]).signal == 11
    assert run([program("eater"), "heap", "256"], without=[name], mem="32M").outcome == "memory"
    result = run(["sh", "-c", "setsid sleep 3600 & sleep 3600"], without=[name], wall="200ms")
    assert result.exit_status == 124
    from tests.runs.world import named

    assert not named("sleep")


def test_without_pid_the_rest_of_a_tree_goes_all_the_same() -> None:
    from tests.runs.world import named

    result = run(
        ["sh", "-c", "(setsid sleep 3600 &) ; (trap '' TERM HUP INT; setsid sleep 3601) & exit 3"], without=["pid"]
    )
    assert result.exit_code == 3
    assert not named("sleep")


def test_net_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5); print('there')"
        result = run(["python3", "-I", "-c", text], net="host")
    assert result.stdout == b"there\n" and "net" in result.absent


def test_loopback_works_inside() -> None:
    text = (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname()); c.sendall(b'x'); print(s.accept()[0].recv(1))"
    )
    assert run(["python3", "-I", "-c", text]).stdout == b"b'x'\n"


def test_ports_of_one_run_are_free_in_the_next() -> None:
    text = "import socket, time; s = socket.create_server(('0.0.0.0', 8080)); print('bound')"
    for _ in range(3):
        assert run(["python3", "-I", "-c", text]).stdout == b"bound\n"


def test_a_time_namespace_starts_the_clocks_at_zero() -> None:
    uptime = "open('/proc/uptime').read().split()[0]"
    text = f"import time; print(time.monotonic(), {uptime}, time.clock_gettime(7), time.time())"
    result = run(["python3", "-I", "-S", "-c", text])
    monotonic, up, boot, now = map(float, result.stdout.split())
    assert 0 <= monotonic < 5 * SLOW and 0 <= up < 5 * SLOW and 0 <= boot < 5 * SLOW
    assert abs(now - time.time()) < 5 * SLOW
    assert result.absent == () and result.usage.wall_ns is not None and 0 < result.usage.wall_ns < 5_000_000_000 * SLOW


def test_limits_hold_in_a_time_namespace(program: Callable[[str], str]) -> None:
    result = run([program("spin"), "one"], wall="300ms")
    assert result.exit_status == 124
    assert result.usage.wall_ns is not None and 300_000_000 <= result.usage.wall_ns < 2_000_000_000 * SLOW


def test_without_reported_on_the_command_line(judged: Callable[..., object]) -> None:
    got = judged("--without", "ipc", "--without", "uts", "--", "true")
    assert got.absent == ["ipc", "uts"] or {"ipc", "uts"} <= set(got.absent)  # type: ignore[attr-defined]
