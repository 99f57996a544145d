"""``commit``: what a container changed, nothing of ours, over its image; and what other tools of OCI make of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import HostError, RequestError
from sandbox.containers.commit import commit
from sandbox.containers.container import find
from sandbox.images.formats import import_image
from sandbox.images.model import Image
from sandbox.images.store import Store
from tests.image_helper import busybox_image, make_busybox_root

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SCRIPT = """
set -e
echo hi >/new; echo more >>/etc/group; rm /etc/os-release; rm -r /home/user; mkdir /home/user; echo x >/home/user/x
ln /new /linked; ln -s /nowhere /dangling; mkdir -p /opt/a; chmod 700 /opt/a; mkfifo /opt/pipe; chmod 4755 /new
echo not kept >/etc/hosts; echo not kept >/data/file; echo not kept >/cache/file; echo not kept >/dev/shm/file
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    yield Store()
    shutil.rmtree(tmp_path / "data/containers", ignore_errors=True)


@pytest.fixture
def pysandbox(store: Store, tmp_path: Path, pysandbox: Run) -> Run:
    """With this store, and only what a test says in the environment."""

    def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return pysandbox(*words, env={"PYSANDBOX_DATA": str(tmp_path / "data"), "SOURCE_DATE_EPOCH": "", **(env or {})})

    return run


@pytest.fixture
def changed(store: Store, tmp_path: Path, pysandbox: Run) -> Callable[..., str]:
    """``changed("name")``: a container of busybox that has run SCRIPT and ended."""
    busybox_image(store, tmp_path)
    (tmp_path / "volume").mkdir()

    def make(name: str, script: str = SCRIPT) -> str:
        words = ["--name", name, "-v", f"{tmp_path}/volume:/data:rw", "--tmpfs", "/cache", "--image", "busybox"]
        done = pysandbox("run", *words, "--", "/bin/sh", "-c", script)
        assert done.returncode == 0, done.stderr
        return name

    return make


def test_a_directory_of_any_mode_above_what_is_ours(store: Store, tmp_path: Path, pysandbox: Run) -> None:
    """/etc of the image is 0775, and hosts had to be made in it: nothing of that is a change."""
    root = make_busybox_root(tmp_path / "root")
    (root / "etc").chmod(0o775)
    import_image(store, str(root), "open")
    assert pysandbox("run", "--name", "one", "--image", "open", "--", "/bin/true").returncode == 0
    assert commit("one", "same").layers == store.open("open").layers
    assert pysandbox("run", "--name", "two", "--image", "open", "--", "chmod", "700", "/etc").returncode == 0
    assert members(store, commit("two", "other"))["etc"].mode == 0o700


def members(store: Store, image: Image) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(store.blob_path(image.layers[-1].digest)) as archive:
        return {member.name: member for member in archive}


def test_a_layer_of_what_changed(changed: Callable[..., str], store: Store, pysandbox: Run) -> None:
    base = store.open("busybox")
    image = commit(changed("one"), "patched", changes=['CMD ["cat", "/new"]', "ENV A=b"], author="me", message="why")
    assert image.layers[:-1] == base.layers and image.names == ("patched:latest",)
    found = members(store, image)
    assert sorted(found) == [
        "dangling", "etc", "etc/.wh.os-release", "etc/group", "home", "home/user", "home/user/.wh..wh..opq",
        "home/user/x", "linked", "new", "opt", "opt/a", "opt/pipe",
    ]  # fmt: skip
    assert found["new"].islnk() and found["linked"].mode == 0o4755 and found["opt/a"].mode == 0o700
    assert {(m.uid, m.gid) for m in found.values()} == {(0, 0)}
    assert image.config.cmd == ("cat", "/new") and dict(image.config.env)["A"] == "b" and image.config.author == "me"
    history = json.loads(store.config(image))["history"]
    assert history[-1]["comment"] == "why" and len(history) == len(image.layers)
    # it runs, and shows the same
    assert pysandbox("run", "--image", "patched").stdout == "hi\n"
    words = ["/bin/sh", "-c", "ls -A /home/user /cache /data; cat /etc/hosts; ls /etc/os-release || echo gone"]
    said = pysandbox("run", "--image", "patched", "--", *words).stdout
    assert "not kept" not in said and said.endswith("gone\n") and "/home/user:\nx\n" in said
    assert "user:x:1000" in pysandbox("run", "--image", "busybox", "--", "cat", "/etc/group").stdout  # as it was
    assert "more" not in pysandbox("run", "--image", "busybox", "--", "cat", "/etc/group").stdout


def test_the_same_content_is_the_same_image(changed: Callable[..., str], pysandbox: Run) -> None:
    first, second = changed("one"), changed("two")
    a, b = commit(first, "a", timestamp=1000), commit(second, "b", timestamp=1000)
    assert a.digest == b.digest and a.created == "1970-01-01T00:16:40Z"
    assert commit(first, "c").id != a.id
    done = pysandbox("commit", "two", "d", env={"SOURCE_DATE_EPOCH": "1000"})
    assert done.stdout == f"{a.id}\n" and find("two").state.state == "exited"


def test_an_image_of_an_image(changed: Callable[..., str], store: Store, pysandbox: Run) -> None:
    """A second commit hides what the first one brought; nothing changed is no layer."""
    commit(changed("one"), "first")
    assert pysandbox("run", "--name", "two", "--image", "first", "--", "rm", "/new", "/linked").returncode == 0
    second = commit("two", "second", compress="gzip")
    assert sorted(members(store, second)) == [".wh.linked", ".wh.new"] and len(second.layers) == 3
    assert second.layers[-1].media_type.endswith("+gzip")
    assert "new" not in pysandbox("run", "--image", "second", "--", "ls", "/").stdout
    assert pysandbox("run", "--name", "three", "--image", "second", "--", "true").returncode == 0
    third = commit("three")
    assert third.layers == second.layers and json.loads(store.config(third))["history"][-1]["empty_layer"] is True


@pytest.mark.v2
def test_a_running_one(changed: Callable[..., str], store: Store, pysandbox: Run) -> None:
    """It writes all the time, and stands still while it is read; what is quiet need not be paused."""
    changed("one")
    script = "echo run >/running; while :; do echo more >>/growing; echo x >/other; done"  # until it is paused
    done = pysandbox("run", "-d", "--name", "bg", "--image", "busybox", "--", "/bin/sh", "-c", script)
    assert done.returncode == 0, done.stderr
    try:
        image = commit("bg", "of-running")
        assert find("bg").state.state == "running"
        assert pysandbox("run", "-d", "--name", "still", "--image", "busybox", "--", "sleep", "60").returncode == 0
        assert commit("still", pause=False).layers == store.open("busybox").layers
    finally:
        pysandbox("rm", "-f", "bg", "still")
    assert pysandbox("run", "--image", "of-running", "--", "cat", "/running").stdout == "run\n"
    assert [name for name in members(store, image) if name in ("proc", "dev", "sys")] == []


def test_a_running_one_without_a_cgroup(changed: Callable[..., str], store: Store, pysandbox: Run) -> None:
    """It cannot be paused: said, and how to go on."""
    changed("one")
    words = ("run", "-d", "--rm", "--cgroup", "none", "--name", "free", "--image", "busybox", "--", "sleep", "60")
    assert pysandbox(*words).returncode == 0
    try:
        with pytest.raises(HostError, match="free cannot be paused.*--no-pause"):
            commit("free")
        assert commit("free", pause=False).layers == store.open("busybox").layers
    finally:
        pysandbox("rm", "-f", "free")


def test_what_cannot_be_committed(changed: Callable[..., str], pysandbox: Run) -> None:
    changed("one", "touch '/.wh.x'")
    with pytest.raises(RequestError, match=r"\.wh\.x: layers keep names"):
        commit("one")
    for words, why in (
        (("nobody",), "no such container"), ((), "name a container"), (("one", "A:B:C"), "image|name"),
        (("--timestamp", "now", "one"), "seconds"), (("-c", "RUN x", "one"), "begins with none of"),
        (("--compress", "lzma", "one"), "none or gzip"),
    ):  # fmt: skip
        done = pysandbox("commit", *words)
        assert done.returncode == 125 and done.stdout == "", words
        assert any(part in done.stderr for part in why.split("|")), done.stderr
    assert pysandbox("image", "ls").stdout.count("\n") == 2  # nothing was made


# ---- other tools ----


def tool(*words: str | Path) -> str:
    if not shutil.which(str(words[0])):
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if "hybrid mode not supported" in done.stderr:  # crun, on hosts with cgroup v1 beside v2
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def layout(changed: Callable[..., str], tmp_path: Path) -> Path:
    """The store's own layout, which is a valid one, copied by skopeo: it checks every digest."""
    commit(changed("one"), "patched", changes=['CMD ["/bin/cat", "/new"]'])
    tool("skopeo", "copy", f"oci:{tmp_path}/data/images:patched:latest", f"oci:{tmp_path}/layout:patched")
    return tmp_path / "layout"


def test_skopeo_and_umoci_read_it(layout: Path, tmp_path: Path) -> None:
    said = json.loads(tool("skopeo", "inspect", f"oci:{layout}:patched"))
    assert len(said["Layers"]) == 2 and said["Architecture"]
    tool("umoci", "unpack", "--rootless", "--image", f"{layout}:patched", tmp_path / "bundle")
    root = tmp_path / "bundle/rootfs"
    assert (root / "new").read_text() == "hi\n" and not (root / "etc/os-release").exists()
    assert [path.name for path in (root / "home/user").iterdir()] == ["x"]
    assert (root / "linked").stat().st_ino == (root / "new").stat().st_ino
    assert (root / "opt/pipe").is_fifo() and not (root / "cache").exists()


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_another_runtime_runs_it(layout: Path, tmp_path: Path, runtime: str) -> None:
    tool("umoci", "unpack", "--rootless", "--image", f"{layout}:patched", tmp_path / "bundle")
    config: dict[str, Any] = json.loads((tmp_path / "bundle/config.json").read_text())
    config["process"]["terminal"] = False
    # /sys needs a network namespace, and cgroups a delegation that a test may not have
    config["mounts"] = [m for m in config["mounts"] if not m["destination"].startswith(("/sys", "/dev/mqueue"))]
    config["linux"].pop("resources", None)
    config["linux"].pop("cgroupsPath", None)
    (tmp_path / "bundle/config.json").write_text(json.dumps(config))
    command = [runtime, "--root", tmp_path / "state"]
    command += ["--cgroup-manager=disabled"] if runtime == "crun" else []
    assert tool(*command, "run", "--bundle", tmp_path / "bundle", "pysandbox-commit") == "hi\n"
