"""Containers that go against who watches them: the control socket, the programs that exec brings in, the disk."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox, peer
from sandbox.containers import control, find, start
from sandbox.containers.limits import used
from sandbox.containers.options import configure
from sandbox.containers.tree import remove_tree
from sandbox.request import Mount
from tests.containers.started import Containers, soon
from tests.slowness import SLOW
from tests.swap_helper import swap_after_a_look

CONNECT = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.recv(1)
"""


@pytest.fixture(name="data")
def _data(tmp_path: Path, pysandbox: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / "data"))
    with Containers(pysandbox, tmp_path):
        yield tmp_path / "data"


def test_a_sandbox_that_sees_the_sockets_is_not_answered(data: Path, box: Sandbox) -> None:
    """connect(2) asks for no right to write on the mount, and the program has the caller's uid."""
    victim = start(configure(["sleep", "600"], name="victim"))
    tried = f"""
import json, os, socket
os.chdir("/data/containers/{victim.id}")
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("control")
try:
    s.send(json.dumps({{"verb": "exec", "argv": ["id"]}}).encode())
    print("answered", s.recv(65536))
except OSError as error:
    print("refused", error.errno)
"""
    for options in ({}, {"policy": "none"}):
        share = [Mount(source=str(data), target="/data")]
        result = box.run(["python3", "-IS", "-c", tried], volumes=share, **options)
        assert result.ok and result.stdout.startswith((b"refused", b"answered b''")), (result.stdout, result.stderr)
    assert victim.exec(["echo", "still mine"]).stdout == b"still mine\n"


def test_who_connects_is_told_by_its_user_namespace(tmp_path: Path, box: Sandbox) -> None:
    path = tmp_path / "socket"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(str(path))
    listening.listen()

    def accepted() -> tuple[bool, bool]:
        one, _address = listening.accept()
        with one:
            return peer.is_ours(one), peer.is_unconfined(one)

    with listening:
        words = [sys.executable, "-IS", "-c", CONNECT, str(path)]
        with subprocess.Popen(words):
            assert accepted() == (True, True)
        with subprocess.Popen(["unshare", "--user", "--map-root-user", *words]):
            assert accepted() == (False, True)  # an engine's own namespace, made anew
        running = box.start(["python3", "-IS", "-c", CONNECT, "/s/socket"],
                            volumes=[Mount(source=str(tmp_path), target="/s")])  # fmt: skip
        with running:
            assert accepted() == (False, False)


def test_packets_that_are_none_of_ours_do_not_keep_a_monitor_from_its_clock(data: Path) -> None:
    """Nobody reads the answers either."""
    start(configure(["sleep", "600"], name="timed", wall=2 * SLOW))
    identity = find("timed").id
    opened = []
    null = os.open(os.devnull, os.O_RDONLY)
    for packet in (b"{", b"@", b"[]", b"\xff", b"x" * 65537, b'{"verb": 7}', b'{"verb": "__class__"}',
                   b'{"verb": "wait", "x": "', b"[" * 60000):
        one = control.connect(identity)
        opened.append(one)
        socket.send_fds(one._socket, [packet], [null] * 16)
    asker = control.connect(identity)
    opened.append(asker)
    asker._socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        for _number in range(100_000):
            asker._socket.send(b'{"verb": "state"}')
    os.close(null)
    begin = time.monotonic()
    soon(lambda: not find("timed").running)
    assert find("timed").state.outcome in ("idle", "wall_time")
    assert time.monotonic() - begin < 8 * SLOW
    for one in opened:
        one.close()


def test_signals_to_the_init_from_a_program_that_came_in(data: Path) -> None:
    """Its domain of Landlock does not keep it from that, as it does the first program's."""
    box = start(configure(["sleep", "600"], name="signalled"))
    tried = "import os\nfor s in range(1, 65):\n  try: os.kill(1, s)\n  except OSError: pass"
    assert box.exec(["python3", "-IS", "-c", tried]).ok
    assert box.exec(["echo", "alive"]).stdout == b"alive\n"


def test_a_look_at_the_disk_looks_at_the_clocks(tmp_path: Path) -> None:
    """Names without number would else put every other limit off: links and empty files cost next to nothing."""
    (tmp_path / "one").touch()
    for number in range(9000):
        os.link(tmp_path / "one", tmp_path / str(number))
    looks = []
    assert used(str(tmp_path), lambda: looks.append(1))[1] == 1
    assert len(looks) == 3


@pytest.mark.parametrize("what", ["look at the disk", "removal"])
def test_a_directory_that_becomes_a_link_between_two_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:  # fmt: skip
    """What walks through a container's files on the host stays among them."""
    host, upper = tmp_path / "host", tmp_path / "upper"
    for path in (host, upper, upper / "d"):
        path.mkdir()
    for number in range(10):
        (host / str(number)).touch()
    moved = swap_after_a_look(monkeypatch, upper / "d", host)
    if what == "removal":
        with pytest.raises(OSError):
            remove_tree(str(upper))
    else:
        assert used(str(upper)) == (0, 0)
    assert moved.is_dir() and (upper / "d").is_symlink()  # it was at that moment
    assert len(list(host.iterdir())) == 10


def test_a_copy_while_the_container_swaps_a_directory_for_a_link(
    data: Path, tmp_path: Path, pysandbox: Callable[..., Any]
) -> None:  # fmt: skip
    """CVE-2018-15664, both ways: the link is to a directory of the host's, by its name there."""
    host = tmp_path / "host"
    host.mkdir()
    (host / "file").write_text("of the host")
    swap = f"""
import os, time
os.mkdir("/tmp/d")
with open("/tmp/d/file", "w") as file:
    file.write("of the container")
os.symlink("/../../../..{host}", "/tmp/l")
while True:
    for one, other in (("d", "x"), ("l", "d"), ("d", "l"), ("x", "d")):
        os.rename(f"/tmp/{{one}}", f"/tmp/{{other}}")
"""
    start(configure(["python3", "-IS", "-c", swap], name="swap"))
    (tmp_path / "mine").write_text("mine")
    env = {"PYSANDBOX_DATA": str(data)}
    copied = set()
    for number in range(80):
        if number >= 8 and copied == {"out", "in"}:
            break
        if not pysandbox("cp", "swap:/tmp/d/file", str(tmp_path / f"out{number}"), env=env).returncode:
            copied.add("out")
        if not pysandbox("cp", str(tmp_path / "mine"), "swap:/tmp/d/new", env=env).returncode:
            copied.add("in")
    assert copied == {"out", "in"}, "no copy met the directory"
    found = {path.read_text() for path in tmp_path.glob("out*")}
    assert found == {"of the container"}
    assert [path.name for path in host.iterdir()] == ["file"] and (host / "file").read_text() == "of the host"
