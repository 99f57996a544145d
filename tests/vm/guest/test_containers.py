"""Containers where cgroup v2 and systemd are: limits of a container, exec in its cgroup, freezer, figures, network.

By the command line, as a user in a login session.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image_helper import make_busybox_root
from tests.runs.world import until

pytestmark = [
    pytest.mark.v2,
    pytest.mark.skipif(os.environ.get("PYSANDBOX_LAB") != "1", reason="needs a guest of the lab"),
]
TREE = Path(__file__).resolve().parents[3]
MIB = 1 << 20


class Command:
    """``pysandbox`` with a store of its own."""

    def __init__(self, data: Path) -> None:
        self._env = {**os.environ, "PYTHONPATH": str(TREE), "PYSANDBOX_DATA": str(data)}

    def __call__(self, *words: str, status: int = 0) -> str:
        command = [sys.executable, "-P", "-m", "sandbox.cli", *words]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=100, check=False,
                              stdin=subprocess.DEVNULL)  # fmt: skip
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def pysandbox(tmp_path_factory: pytest.TempPathFactory) -> Command:
    path = tmp_path_factory.mktemp("containers")
    command = Command(path / "data")
    command("image", "import", str(make_busybox_root(path / "root")), "--name", "busybox")
    return command


@pytest.fixture
def box(pysandbox: Command) -> Iterator[str]:
    """A container of 64 MiB that waits."""
    pysandbox("run", "-d", "--name", "box", "--mem", "64M", "--pids", "20", "--image", "busybox", "sleep", "1000")
    yield "box"
    pysandbox("rm", "-f", "box")


def inspected(pysandbox: Command, name: str) -> dict[str, object]:
    return json.loads(pysandbox("inspect", name))[0]  # type: ignore[no-any-return]


def test_run_and_its_limit(pysandbox: Command) -> None:
    first = ("run", "--rm", "--image", "busybox", "--mem", "64M")
    assert pysandbox(*first, "sh", "-c", "id -u; free -m").startswith("0\n")
    script = "head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null"
    pysandbox("run", "--rm", "--image", "busybox", "--mem", "32M", "-q", "sh", "-c", script, status=137)


def test_exec_is_in_the_cgroup(pysandbox: Command, box: str) -> None:
    """What an exec uses counts as the container's: the limit of memory holds for both together."""
    assert pysandbox("exec", box, "cat", "/proc/self/cgroup") == "0::/\n"
    pysandbox("exec", box, "sh", "-c", "head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null", status=137)


def test_pause_stats_and_update(pysandbox: Command, box: str) -> None:
    pysandbox("exec", "-d", box, "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; done")
    counted = lambda: pysandbox("exec", box, "cat", "/tmp/count")  # noqa: E731
    assert until(lambda: bool(counted()))
    figures = json.loads(pysandbox("stats", "--no-stream", "--json", "-", box))
    figures = figures[0] if isinstance(figures, list) else figures
    assert 0 < figures["memory_bytes"] <= 64 * MIB
    pysandbox("pause", box)
    assert "paused" in pysandbox("ps")
    pysandbox("unpause", box)
    pysandbox("update", "--mem", "96M", box)
    assert any(f.read_text() == f"{96 * MIB}\n" for f in Path("/sys/fs/cgroup").rglob("memory.max"))


def test_commit_and_stop(pysandbox: Command, box: str) -> None:
    pysandbox("exec", box, "sh", "-c", "echo made > /made; rm /etc/os-release")
    pysandbox("commit", box, "made")
    assert pysandbox("run", "--rm", "--image", "made", "sh", "-c", "cat /made; ls /etc/os-release || true") == "made\n"
    pysandbox("stop", "-t", "1", box)
    assert "exited" in pysandbox("ps", "-a")


def test_the_network_never_leads_to_the_hosts_loopback(pysandbox: Command) -> None:
    """With the host's network the same words get an answer, so they could."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"host\n")

        thread = threading.Thread(target=serve)
        thread.start()
        places = ("127.0.0.1", "10.0.2.2")
        script = "; ".join(f"nc -w 3 {place} {port} < /dev/null" for place in places) + "; true"
        shell = ("--rm", "--image", "busybox", "sh", "-c", script)
        try:
            assert pysandbox("run", "--net", "host", *shell) == "host\n"
            assert pysandbox("run", "--net", "user", *shell) == ""
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
