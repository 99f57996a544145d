"""What an image says of itself is a stranger's word: places for volumes, ports, users."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import HostError, RequestError, run
from sandbox.containers import list_containers, start
from sandbox.containers.options import configure
from sandbox.images.formats import import_image
from sandbox.images.store import Store
from sandbox.request import LayeredRoot
from tests.containers.started import Containers
from tests.image_helper import BUSYBOX, make_busybox_root
from tests.layout_helper import Layout
from tests.tar_helper import directory, file, symlink, tar

ROOT = (directory("bin"), directory("etc"), symlink("link", "../../../srv/own"), directory("srv"), directory("srv/own"),
        file("srv/own/mark"))


@pytest.fixture(name="image")
def _image(tmp_path: Path, pysandbox: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an image with this config, under the name ``evil``."""
    if not BUSYBOX.exists():
        pytest.skip("busybox-static is not installed")
    monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / "data"))

    def make(config: dict[str, Any]) -> None:
        layout = Layout(tmp_path / f"layout{len(list(tmp_path.iterdir()))}")
        layer = tar(*ROOT, file("bin/sh", BUSYBOX.read_bytes(), mode=0o755),
                    file("etc/passwd", b"root:x:0:0:root:../../etc:/bin/sh\nbad:x:-1:99999999999::/:\n"))  # fmt: skip
        entry = ["/bin/sh", "-c", "busybox() { :; }; for f in /link/*; do echo $f; done; echo $HOME"]
        import_image(Store(), layout.write(layout.image(layer, config={"Entrypoint": entry, **config})), "evil")

    with Containers(pysandbox, tmp_path):
        yield make


@pytest.mark.parametrize("place", ["/", "//", "/proc", "/proc/sys", "/dev", "/dev/shm", "/bin/../proc", "/../x"])
def test_no_volume_over_what_is_the_sandboxs(image: Any, place: str) -> None:
    image({"Volumes": {place: {}}})
    with pytest.raises(RequestError, match="belongs to the sandbox|not allowed"):
        start(configure([], image="evil"))


def test_a_volume_at_a_link_is_filled_with_the_images_own(image: Any) -> None:
    """Never with what the link means on the host, or in the sandbox that copies."""
    image({"Volumes": {"/link": {}}})
    box = start(configure([], image="evil"))
    box.wait()
    said = b"".join(entry.data for entry in box.logs()).decode()
    assert said.splitlines()[:-1] == ["/link/mark"]
    assert said.splitlines()[-1] == "/"  # no home that is no path
    box.remove()


def test_where_a_port_leads_is_not_the_images_to_say(image: Any) -> None:
    image({"ExposedPorts": {"0.0.0.0:8080:80": {}}})
    with pytest.raises(RequestError, match="no port"):
        configure([], image="evil", publish_all=True)


@pytest.mark.parametrize("user", ["-1", "4294967295", "4294967296", "0x0", " 0", "\u0660", "../root", "bad", "root\n"])
def test_users_that_are_none(image: Any, user: str) -> None:
    image({"User": user})
    with pytest.raises(RequestError, match="--user"):
        start(configure([], image="evil"))


def test_a_data_directory_that_others_could_have_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2019-12439: neither a link nor one that is open to others, whose content would be orders to us."""
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(own)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o770)
    for name, why in (("link", "is not a directory"), ("open", "open to others")):
        monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / name))
        with pytest.raises(HostError, match=why):
            list_containers()
    monkeypatch.setenv("PYSANDBOX_DATA", "/proc/1")
    with pytest.raises(HostError, match="belongs to"):
        list_containers()


def test_a_directory_as_root_has_no_devices_and_no_setuid(tmp_path: Path) -> None:
    """It may be one that was unpacked by root."""
    make_busybox_root(tmp_path / "root")
    argv = ["/bin/sh", "-c", "head -n 1 /proc/self/mountinfo; mknod /node c 1 5 || echo none"]
    for direct in (False, True):
        root = LayeredRoot(layers=(str(tmp_path / "root"),), direct=direct)
        said = run(argv, rootfs=root, user=0, policy="none").stdout.decode().splitlines()
        assert {"nosuid", "nodev"} <= set(said[0].split()[5].split(",")) and said[1:] == ["none"], said
