"""Containers that go against who watches them: the control socket, the programs that exec brings in, the disk."""

from __future__ import annotations

import json
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
from sandbox.request import Mount
from tests.containers.started import Containers, soon
from tests.slowness import SLOW

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


def test_nothing_of_ours_is_seen_of_a_program_that_comes_in(data: Path) -> None:
    """CVE-2019-5736, CVE-2016-9962: neither the executable nor what is open of a process on its way in."""
    watch = """
import json, os, time
seen, end = set(), time.monotonic() + 60
def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""
while not os.path.exists("/tmp/stop") and time.monotonic() < end:
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            seen |= {link(f"/proc/{pid}/{what}") for what in ("exe", "cwd", "root")}
            try:
                seen |= {link(f"/proc/{pid}/fd/{fd}").partition("[")[0] for fd in os.listdir(f"/proc/{pid}/fd")}
                os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
                seen.add(link(f"/proc/{pid}/exe") or "memory of nobody")
            except OSError:
                pass
print(json.dumps(sorted(seen)))
"""
    box = start(configure(["python3", "-IS", "-c", watch], name="watched", policy="none"))
    for _number in range(12):
        assert box.exec(["sh", "-c", "exit 0"]).ok
    box.exec(["touch", "/tmp/stop"])
    box.wait()
    seen = set(json.loads(b"".join(entry.data for entry in box.logs())))
    assert not {name for name in seen if name and not name.startswith(("/usr/", "/tmp", "pipe:", "/dev/null"))
                and name != "/"}, seen  # fmt: skip


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
