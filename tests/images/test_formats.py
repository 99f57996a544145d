"""What images come from and go to: every form in and out, told apart by content, and read by others' tools."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from sandbox import RequestError
from sandbox.images.formats import FORMS, export_image, import_image
from sandbox.images.model import Image
from sandbox.images.store import Store
from tests.layout_helper import HERE, INDEX, Layout, content, sha256, tar_of

FILES = {"etc/name": b"a test\n", "bin/tool": b"#!/bin/sh\n" * 1000}


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def sh(*command: object, **options: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def seen(store: Store, image: Image) -> dict[str, bytes]:
    """The regular files of an image without whiteouts, upper layers first."""
    found: dict[str, bytes] = {}
    for layer in store.lowers(image):
        for path in Path(layer).rglob("*"):
            if path.is_file():
                found.setdefault(str(path.relative_to(layer)), path.read_bytes())
    return found


@pytest.fixture
def image(store: Store, layout: Layout) -> Image:
    upper = tar_of({"etc/name": b"above\n", "srv/data": b"\0" * 5000})
    return import_image(store, layout.write(layout.image(tar_of(FILES), upper), name="team/app:1"))


@pytest.mark.parametrize("form", ["oci", "oci-dir", "docker"])
def test_out_and_in_again(store: Store, image: Image, tmp_path: Path, form: str) -> None:
    out = tmp_path / "whatever.txt"  # its name says nothing
    export_image(store, "team/app:1", str(out), form)
    other = Store(str(tmp_path / "other"))
    again = import_image(other, str(out))
    assert again.id == image.id and again.names == ("team/app:1",)
    assert seen(other, again) == seen(store, image)
    if form != "docker":
        assert again == image
        for digest in (image.digest, image.id, *(layer.digest for layer in image.layers)):
            assert sha256(Path(other.blob_path(digest)).read_bytes()) == digest


@pytest.mark.parametrize("form", ["oci", "docker", "rootfs"])
def test_the_same_image_gives_the_same_bytes(store: Store, image: Image, tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        export_image(store, image.id, str(tmp_path / name), form)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_tree_is_what_a_container_sees(store: Store, layout: Layout, tmp_path: Path) -> None:
    lower, upper = tar_of(FILES), tar_of({"etc/.wh.name": b"", "bin/.wh..wh..opq": b"", "bin/other": b"new"})
    import_image(store, layout.write(layout.image(lower, upper), name="team/app:1"))
    export_image(store, "team/app:1", str(tmp_path / "tree.tar"), "rootfs")
    with tarfile.open(tmp_path / "tree.tar") as tar:
        files = {m.name: (m.uid, m.gid) for m in tar.getmembers() if m.isfile()}
    assert files == {"bin/other": (0, 0)}


@pytest.mark.parametrize(
    ("form", "kind"),
    [("oci", "gz"), ("oci", "xz"), ("docker", "bz2"), ("docker", "zst"), ("rootfs", "gz"), ("rootfs", "bz2"),
     ("rootfs", "xz"), ("rootfs", "zst")],
)  # fmt: skip
def test_compressed(store: Store, image: Image, tmp_path: Path, form: str, kind: str) -> None:
    program = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}[kind]
    need(program)
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    export_image(store, "team/app:1", str(plain), form)
    with open(packed, "wb") as file:
        subprocess.run([program, "-c", plain], stdout=file, check=True)
    other = Store(str(tmp_path / "other"))
    again = import_image(other, str(packed), "named")
    assert again.names == ("named:latest",) and seen(other, again) == seen(store, image)
    if form != "rootfs":
        assert again.id == image.id


def test_a_root_file_system_in_an_archive(store: Store, tmp_path: Path) -> None:
    """The blob is what came, where a layer may be compressed so, and its diff id that of what is in it."""
    data = tar_of(FILES)
    for name, raw, media in (("plain", data, "tar"), ("gz", gzip.compress(data, mtime=0), "tar+gzip")):
        (tmp_path / name).write_bytes(raw)
        image = import_image(store, str(tmp_path / name))
        (layer,) = image.layers
        assert layer.diff_id == sha256(data) and layer.digest == sha256(raw) and layer.media_type.endswith(media)
        assert image.names == () and image.architecture == HERE and seen(store, image) == FILES


def test_from_a_pipe(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(gzip.compress(tar_of(FILES)))
    feeder = subprocess.Popen(["cp", tmp_path / "file", tmp_path / "pipe"])
    image = import_image(store, str(tmp_path / "pipe"), "piped")
    assert feeder.wait(10) == 0 and seen(store, image) == FILES


def test_old_docker_save(store: Store, tmp_path: Path) -> None:
    """A directory a layer, and a link where two are equal (Docker before 25)."""
    layer = tar_of(FILES)
    config = json.dumps({"config": {"Cmd": ["/x"]}, "rootfs": {"type": "layers", "diff_ids": [sha256(layer)] * 2}})
    name = f"{sha256(config.encode())[7:]}.json"
    item = {"Config": name, "RepoTags": ["old:1", "bad name"], "Layers": ["a/layer.tar", "b/layer.tar"]}
    with tarfile.open(tmp_path / "save", "w") as tar:
        for path, data in (("a/layer.tar", layer), (name, config.encode()), ("a/VERSION", b"1.0"),
                           ("manifest.json", json.dumps([item]).encode()), ("repositories", b"{}")):  # fmt: skip
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("b/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../a/layer.tar"
        tar.addfile(link)
    image = import_image(store, str(tmp_path / "save"))
    assert image.names == ("old:1",) and image.id == f"sha256:{name[:-5]}" and image.config.cmd == ("/x",)
    assert len(image.layers) == 2 and len(store.lowers(image)) == 1 and seen(store, image) == FILES
    with tarfile.open(tmp_path / "save") as tar:
        tar.extractall(tmp_path / "save.d", members=[m for m in tar.getmembers() if m.isfile()])
        (tmp_path / "save.d/b").mkdir()
        shutil.copy(tmp_path / "save.d/a/layer.tar", tmp_path / "save.d/b/layer.tar")
    assert import_image(store, str(tmp_path / "save.d")).digest == image.digest


def test_one_of_several(store: Store, layout: Layout) -> None:
    one, two = layout.image(tar_of({"a": b"1"})), layout.image(tar_of({"a": b"2"}))
    two["annotations"] = {"org.opencontainers.image.ref.name": "other:2"}
    path = layout.write(one, two)
    with pytest.raises(RequestError, match="holds 2 images, name one with --ref: test:1, other:2"):
        import_image(store, path)
    assert import_image(store, path, ref="other:2").names == ("other:2",)
    assert import_image(store, path, ref=one["digest"]).digest == one["digest"]
    with pytest.raises(RequestError, match="no image 'none'; there are test:1, other:2"):
        import_image(store, path, ref="none")


def test_docker_names_in_a_layout(store: Store, layout: Layout) -> None:
    """Docker from 25 on: the whole name in containerd's annotation, the tag alone in the specification's."""
    image = layout.image(tar_of(FILES))
    path = layout.write(image, name="")
    index = {"schemaVersion": 2, "manifests": [{**image, "annotations": {
        "io.containerd.image.name": "docker.io/library/app:3", "org.opencontainers.image.ref.name": "3"}}]}  # fmt: skip
    (layout.path / "index.json").write_text(json.dumps(index))
    assert import_image(store, path).names == ("docker.io/library/app:3",)


def test_for_this_machine(store: Store, layout: Layout) -> None:
    mine, foreign = layout.image(tar_of(FILES)), layout.image(tar_of({"x": b""}), architecture="vax")
    noise = layout.image(tar_of({"y": b""}))
    lines = [{**foreign, "platform": {"os": "linux", "architecture": "vax"}},
             {**noise, "platform": {"os": "unknown", "architecture": "unknown"}},
             {**mine, "platform": {"os": "linux", "architecture": HERE}}]  # fmt: skip
    nested = layout.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": lines}, INDEX)
    assert import_image(store, layout.write(nested)).digest == mine["digest"]
    assert import_image(store, layout.write(*lines, name="")).digest == mine["digest"]
    nested = layout.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": lines[:2]}, INDEX)
    for path in (layout.write(nested), layout.write(*lines[:2], name="")):
        with pytest.raises(RequestError, match=f"nothing for linux/{HERE}, only for linux/vax"):
            import_image(store, path)


def test_an_image_for_another_machine_is_taken_with_a_note(store: Store, layout: Layout) -> None:
    image = import_image(store, layout.write(layout.image(tar_of(FILES), architecture="vax")))
    assert store.notes(image) == (f"it is for linux/vax, this machine is linux/{HERE}",)


def test_out_to_what_is_there(store: Store, image: Image, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    export_image(store, "team/app:1", str(tmp_path / "file"))
    assert tarfile.is_tarfile(tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    for path, form, why in (("full", "oci-dir", "not empty"), ("full", "oci", "it is a directory"),
                            ("none/file", "docker", "no such file"), ("x", "tgz", "use one of")):  # fmt: skip
        with pytest.raises(RequestError, match=why):
            export_image(store, "team/app:1", str(tmp_path / path), form)
    names = {"data", "layout", "file", "full"}
    assert {path.name for path in tmp_path.iterdir()} == names, "nothing half written"


def test_skopeo_reads_it_and_is_read(store: Store, image: Image, tmp_path: Path) -> None:
    need("skopeo")
    for form, transport in (("oci", "oci-archive"), ("oci-dir", "oci"), ("docker", "docker-archive")):
        out = f"{transport}:{tmp_path}/{form}"
        export_image(store, "team/app:1", str(tmp_path / form), form)
        found = json.loads(sh("skopeo", "inspect", "--config", out))
        assert found["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.layers]
        back = tmp_path / f"{form}.back"
        sh("skopeo", "copy", "-q", out, f"oci:{back}:back:1")
        again = import_image(Store(str(tmp_path / f"{form}.store")), str(back))
        assert [layer.diff_id for layer in again.layers] == [layer.diff_id for layer in image.layers]
        # skopeo writes a config of Docker's anew, but leaves one of the specification alone
        assert form == "docker" or again.id == image.id
    # the store itself is a layout, for whoever reads it
    assert json.loads(sh("skopeo", "inspect", f"oci:{store.root}:team/app:1"))["Digest"] == image.digest
    sh("skopeo", "copy", "-q", f"oci:{store.root}:team/app:1", f"docker-archive:{tmp_path}/save:team/app:2")
    assert import_image(store, str(tmp_path / "save")).id == image.id


def test_umoci_reads_it_and_is_read(store: Store, layout: Layout, tmp_path: Path) -> None:
    need("umoci")
    upper = tar_of({"etc/.wh.name": b"", "srv/data": b"1"})
    import_image(store, layout.write(layout.image(tar_of(FILES), upper), name="team/app:1"))
    out = tmp_path / "out"
    export_image(store, "team/app:1", str(out), "oci-dir")
    # umoci takes no name with a colon in it
    index = json.loads((out / "index.json").read_text())
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "v1"
    (out / "index.json").write_text(json.dumps(index))
    sh("umoci", "unpack", "--rootless", "--image", f"{out}:v1", tmp_path / "bundle")
    files = {
        str(p.relative_to(tmp_path / "bundle/rootfs")) for p in (tmp_path / "bundle/rootfs").rglob("*") if p.is_file()
    }
    assert files == {"bin/tool", "srv/data"}
    (tmp_path / "bundle/rootfs/etc/new").write_text("by umoci")
    sh("umoci", "repack", "--image", f"{out}:v2", tmp_path / "bundle")
    image = import_image(store, str(out), "repacked", ref="v2")
    assert len(image.layers) == 3 and seen(store, image)["etc/new"] == b"by umoci"


def test_a_layer_of_zstd(store: Store, layout: Layout, tmp_path: Path) -> None:
    need("zstd")
    data = tar_of(FILES)
    packed = subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout
    plain = layout.image(data, packed=False)
    manifest = json.loads((layout.path / "blobs/sha256" / plain["digest"][7:]).read_text())
    manifest["layers"] = [layout.put(packed, "application/vnd.oci.image.layer.v1.tar+zstd")]
    image = import_image(store, layout.write(layout.json(manifest, manifest["mediaType"])))
    assert seen(store, image) == FILES and image.layers[0].digest == sha256(packed)
    export_image(store, "test:1", str(tmp_path / "out"), "docker")
    assert import_image(Store(str(tmp_path / "other")), str(tmp_path / "out")).id == image.id


def test_every_form_has_been_tried() -> None:
    assert set(FORMS) == {"oci", "oci-dir", "docker", "rootfs"}


def test_what_is_no_image(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("hello\n" * 1000)
    (tmp_path / "cut").write_bytes(gzip.compress(tar_of(FILES))[:-20])
    (tmp_path / "skopeo-dir").mkdir()
    (tmp_path / "skopeo-dir/manifest.json").write_text("{}")
    (tmp_path / "skopeo-dir/version").write_text("Directory Transport Version: 1.1\n")
    before = content(store)
    for name, why in (("empty", "empty"), ("text", "no tar archive"), ("cut", "cut off|too early"),
                      ("none", "no such file"), ("skopeo-dir", "form dir:"), ("nul\0", "no path")):  # fmt: skip
        with pytest.raises(RequestError, match=why):
            import_image(store, f"{tmp_path}/{name}", "x")
    with pytest.raises(RequestError, match="no file, no directory and no pipe"):
        import_image(store, "/dev/zero", "x")
    assert content(store) == before
