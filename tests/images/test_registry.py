"""Pull and push against Debian's docker-registry on loopback."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import HostError, RequestError
from sandbox.images import registry
from sandbox.images.formats import import_image
from sandbox.images.store import Store
from tests.layout_helper import Layout, content, sha256, tar_of
from tests.slowness import SLOW

TREE = Path(__file__).resolve().parent.parent.parent
FILES = tar_of({"etc/name": b"a test\n"})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the registry keeps what it has."""
    return tmp_path_factory.mktemp("registry-data")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[str]:
    """HOST:PORT of a registry without TLS."""
    program = shutil.which("docker-registry", path="/usr/local/bin:/usr/bin:/bin:/usr/sbin")
    if program is None or shutil.which("skopeo") is None:
        pytest.skip("docker-registry or skopeo is not installed")
    top = tmp_path_factory.mktemp("registry")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    (top / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {data}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    log = open(top / "log", "wb")
    running = subprocess.Popen([program, "serve", top / "config.yml"], stdout=log, stderr=log)
    end = time.monotonic() + 20 * SLOW
    try:
        while True:
            try:
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                client.request("GET", "/v2/")
                assert client.getresponse().status == 200
                client.close()
                break
            except OSError:
                assert running.poll() is None and time.monotonic() < end, (top / "log").read_text()
                time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(10 * SLOW)
        log.close()


def test_there_and_back(store: Store, layout: Layout, tmp_path: Path, host: str) -> None:
    image = import_image(store, layout.write(layout.image(FILES)), "app")
    name = f"{host}/team/app:1"
    digest = registry.push(store, "app", name, insecure=True)
    assert digest == image.digest, "layers that are compressed go as they are"
    other = Store(str(tmp_path / "other"))
    pulled = registry.pull(other, name, insecure=True)
    assert pulled.id == image.id and pulled.digest == image.digest and pulled.names == (name,)
    for layer in pulled.layers:
        assert sha256(Path(other.blob_path(layer.digest)).read_bytes()) == layer.digest
    assert Path(other.lowers(pulled)[0], "etc/name").read_bytes() == b"a test\n"
    by_digest = registry.pull(other, f"{host}/team/app@{digest}", insecure=True)
    assert by_digest.digest == image.digest
    store.tag("app", f"{host}/team/app:2")
    assert registry.push(store, f"{host}/team/app:2", insecure=True) == digest


def test_what_the_registry_has_not(store: Store, host: str) -> None:
    before = content(store)
    with pytest.raises(RequestError, match="skopeo: .*manifest unknown"):
        registry.pull(store, f"{host}/team/none:1", insecure=True)
    assert content(store) == before


def test_plain_http_only_if_it_was_said(store: Store, host: str) -> None:
    with pytest.raises(RequestError, match="HTTPS"):
        registry.pull(store, f"{host}/team/app:1")


def test_what_the_registry_forges(store: Store, layout: Layout, tmp_path: Path, host: str, data: Path) -> None:
    """Its blob is another than it was: nothing of it stays."""
    image = import_image(store, layout.write(layout.image(tar_of({"f": b"forged"}))), "app")
    registry.push(store, "app", f"{host}/forged/app:1", insecure=True)
    (path,) = data.rglob(f"{image.layers[0].digest[7:]}/data")
    forged = bytearray(path.read_bytes())
    forged[-1] ^= 1
    path.write_bytes(forged)
    other = Store(str(tmp_path / "other"))
    before = content(other)
    with pytest.raises(RequestError, match="digest|Digest"):
        registry.pull(other, f"{host}/forged/app:1", insecure=True)
    assert content(other) == before


def test_whoever_is_killed_takes_skopeo_along(store: Store) -> None:
    """kill -9 while a registry does not answer: no process stays, and no file after the next change."""
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    before = content(store)
    code = f"""
from sandbox.images import registry
from sandbox.images.store import Store
import sys
registry.pull(Store({store.directory!r}), sys.argv[1], insecure=True)
"""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        words = [sys.executable, "-P", "-c", code, f"localhost:{silent.getsockname()[1]}/app"]
        caller = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(TREE)})
        connection, _address = silent.accept()  # skopeo is there, and waits
        children = Path(f"/proc/{caller.pid}/task/{caller.pid}/children").read_text().split()
        (skopeo,) = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "skopeo\n"]
        assert content(store) != before
        caller.kill()
        caller.wait()
        end = time.monotonic() + 10 * SLOW
        while Path(f"/proc/{skopeo}/cmdline").exists() and Path(f"/proc/{skopeo}/cmdline").read_bytes():
            assert time.monotonic() < end, "skopeo lives on"
            time.sleep(0.01)
        connection.close()
    store.sweep()
    assert content(store) == before


def test_a_name_without_a_registry(store: Store, layout: Layout) -> None:
    with pytest.raises(RequestError, match="name the registry too"):
        registry.pull(store, "debian")
    import_image(store, layout.write(layout.image(FILES)), "app")
    with pytest.raises(RequestError, match="name the registry too"):
        registry.push(store, "app")


def test_without_skopeo(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="apt install skopeo"):
        registry.pull(store, "localhost/app")
