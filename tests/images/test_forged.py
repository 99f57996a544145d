"""Images that lie: each is refused by name, and nothing is left of it."""

from __future__ import annotations

import copy
import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import RequestError
from sandbox.images.formats import import_image
from sandbox.images.store import Store
from tests.layout_helper import CONFIG, HERE, INDEX, LAYER, MANIFEST, Layout, content, sha256, tar_of

DATA = tar_of({"file": b"content"})
OTHER = tar_of({"file": b"forgery"})
Forge = Callable[[Layout], "dict[str, Any]"]


def manifest_of(layout: Layout, descriptor: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads((layout.path / "blobs/sha256" / descriptor["digest"][7:]).read_text()))


def changed(change: Callable[[dict[str, Any]], object]) -> Forge:
    """An image whose manifest was changed, with a digest that is right."""

    def forge(layout: Layout) -> dict[str, Any]:
        manifest = manifest_of(layout, layout.image(DATA, packed=False))
        change(manifest)
        return layout.json(manifest, MANIFEST)

    return forge


def blob_replaced(pick: Callable[[dict[str, Any]], dict[str, Any]], data: Callable[[bytes], bytes]) -> Forge:
    """The bytes of a blob are not those that its name says."""

    def forge(layout: Layout) -> dict[str, Any]:
        image = layout.image(DATA, packed=False)
        found = pick({**manifest_of(layout, image), "self": image})
        path = layout.path / "blobs/sha256" / found["digest"][7:]
        path.write_bytes(data(path.read_bytes()))
        return image

    return forge


def diff_id_forged(layout: Layout) -> dict[str, Any]:
    config = {"rootfs": {"type": "layers", "diff_ids": [sha256(OTHER)]}}
    layer = layout.put(gzip.compress(DATA), f"{LAYER}+gzip")
    manifest = {"schemaVersion": 2, "config": layout.json(config, CONFIG), "layers": [layer]}
    return layout.json(manifest, MANIFEST)


def nested(layout: Layout) -> dict[str, Any]:
    pointer = {**layout.image(DATA), "platform": {"os": "linux", "architecture": HERE}}
    for _ in range(6):
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [pointer]}
        pointer = {**layout.json(index, INDEX), "platform": {"os": "linux", "architecture": HERE}}
    return pointer


def schema_1(layout: Layout) -> dict[str, Any]:
    media = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    return layout.json({"schemaVersion": 1, "mediaType": media, "fsLayers": []}, media)


def config_is(config: object) -> Forge:
    def forge(layout: Layout) -> dict[str, Any]:
        layer = layout.put(DATA, LAYER)
        found = layout.put(config, CONFIG) if isinstance(config, bytes) else layout.json(config, CONFIG)
        return layout.json({"schemaVersion": 2, "config": found, "layers": [layer]}, MANIFEST)

    return forge


def with_config(**fields: object) -> Forge:
    return config_is({"rootfs": {"diff_ids": [sha256(DATA)]}, **fields})


def layer(data: dict[str, Any]) -> dict[str, Any]:
    return dict(data["layers"][0])


FORGERIES: dict[str, tuple[str, Forge]] = {
    "a layer's bytes": ("has the content of", blob_replaced(layer, lambda data: OTHER)),
    "a layer that is longer": ("bytes, not", blob_replaced(layer, lambda data: data + b"\0")),
    "a layer that is shorter": ("bytes, not", blob_replaced(layer, lambda data: data[:-1])),
    "a config's bytes": ("has the content of",
                         blob_replaced(lambda m: m["config"], lambda data: data.replace(b"linux", b"LINUX"))),
    "a manifest's bytes": ("has the content of",
                           blob_replaced(lambda m: m["self"], lambda data: data.replace(b"image", b"imagE"))),
    "a diff id": ("content is not what the image names", diff_id_forged),
    "a digest that is a path": ("no digest sha256:HEX",
                                changed(lambda m: m["layers"][0].update(digest="sha256:../../../../etc/passwd"))),
    "a digest of capital letters": ("no digest", changed(lambda m: m["config"].update(digest=sha256(DATA).upper()))),
    "another algorithm": ("no digest", changed(lambda m: m["layers"][0].update(digest="sha512:" + "0" * 128))),
    "a size that is negative": ("no size", changed(lambda m: m["layers"][0].update(size=-1))),
    "a size that is a text": ("no size", changed(lambda m: m["layers"][0].update(size="1"))),
    "a size that is true": ("no size", changed(lambda m: m["layers"][0].update(size=True))),
    "a config that is huge": ("larger than 4194304", changed(lambda m: m["config"].update(size=1 << 40))),
    "a layer that is missing": ("no such file", changed(lambda m: m["layers"][0].update(digest=sha256(b"none")))),
    "more layers than diff ids": ("diff ids", changed(lambda m: m["layers"].append(m["layers"][0]))),
    "a thousand layers": ("at most", changed(lambda m: m.update(layers=m["layers"] * 1000))),
    "no layers at all": ("at most", changed(lambda m: m.pop("layers"))),
    "an artifact": ("which is no image",
                    changed(lambda m: m["config"].update(mediaType="application/vnd.oci.empty.v1+json"))),
    "an encrypted layer": ("unsupported media type", changed(
        lambda m: m["layers"][0].update(mediaType=f"{LAYER}+gzip+encrypted"))),
    "a foreign layer": ("lies elsewhere", changed(lambda m: m["layers"][0].update(
        mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"))),
    "schema 1": ("schema 1, which is obsolete", schema_1),
    "schema 3": ("schema version 3", changed(lambda m: m.update(schemaVersion=3))),
    "indexes in indexes": ("deep in each other", nested),
    "a config that is no JSON": ("not JSON", config_is(b"{")),
    "a config that is deep": ("not JSON", config_is(b'{"a":' + b"[" * 200000 + b"]" * 200000 + b"}")),
    "a config that is a list": ("not a JSON object", config_is([])),
    "diff ids that are none": ("not a list of sha256", config_is({"rootfs": {"diff_ids": ["../.."]}})),
    "a command that is no list": ("Cmd", with_config(config={"Cmd": "sh"})),
    "a variable with a NUL": ("Env", with_config(config={"Env": ["A=\0"]})),
    "a user that is a number": ("User", with_config(config={"User": 0})),
    "labels that are no texts": ("Labels", with_config(config={"Labels": {"a": 1}})),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forgery_leaves_nothing(store: Store, layout: Layout, what: str) -> None:
    why, forge = FORGERIES[what]
    before = content(store)
    with pytest.raises(RequestError, match=why) as caught:
        import_image(store, layout.write(forge(layout)))
    assert str(layout.path) in str(caught.value) or "layer" in str(caught.value), "it says which image"
    assert content(store) == before and not store.images()


def test_a_forgery_takes_no_name_from_another(store: Store, layout: Layout, tmp_path: Path) -> None:
    good = import_image(store, layout.write(layout.image(DATA)))
    bad = Layout(tmp_path / "bad")
    with pytest.raises(RequestError):
        import_image(store, bad.write(diff_id_forged(bad)))
    assert store.open("test:1") == good and store.lowers(good)


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "a b", "a\nb", "x" * 300 + ":1", "test:1\0"])
def test_a_name_that_is_none_is_not_taken(store: Store, layout: Layout, name: str) -> None:
    path = layout.write(layout.image(DATA), name=name)
    assert import_image(store, path).names == ()


INDEXES = (b"", b"[]", b"{}", b"\xff", b"x" * (5 << 20), b'{"schemaVersion": 2, "manifests": {}}',
           b'{"schemaVersion": 2, "manifests": [1]}', b'{"schemaVersion": 2, "manifests": []}')  # fmt: skip


@pytest.mark.parametrize("text", INDEXES, ids=range(len(INDEXES)))
def test_an_index_that_is_none(store: Store, layout: Layout, text: bytes) -> None:
    layout.write(layout.image(DATA))
    (layout.path / "index.json").write_bytes(text)
    with pytest.raises(RequestError, match="index.json|holds no image"):
        import_image(store, str(layout.path))


def test_links_in_a_layout_are_not_followed(store: Store, layout: Layout, tmp_path: Path) -> None:
    image = layout.image(DATA, packed=False)
    path = layout.path / "blobs/sha256" / sha256(DATA)[7:]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="symbolic"):
        import_image(store, layout.write(image))
    path.unlink()
    (tmp_path / "elsewhere").rename(path)  # all else is as it should be
    (layout.path / "blobs/sha256").rename(tmp_path / "blobs")
    (layout.path / "blobs/sha256").symlink_to(tmp_path / "blobs")
    with pytest.raises(RequestError, match="cannot be read: not a directory"):
        import_image(store, str(layout.path))
    (layout.path / "blobs/sha256").unlink()
    (tmp_path / "blobs").rename(layout.path / "blobs/sha256")
    import_image(store, str(layout.path))


def docker_save(path: Path, item: object, files: dict[str, bytes]) -> str:
    with tarfile.open(path, "w") as tar:
        for name, data in {"manifest.json": json.dumps(item).encode(), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


CONFIG_DATA = json.dumps({"rootfs": {"type": "layers", "diff_ids": [sha256(DATA)]}}).encode()
SAVED = {"Config": "c.json", "RepoTags": ["test:1"], "Layers": ["l.tar"]}


@pytest.mark.parametrize(
    ("change", "files", "why"),
    [
        ({}, {"l.tar": OTHER}, "has the content of"),
        ({}, {"l.tar": gzip.compress(OTHER)}, "content is not what the image names"),
        ({"Config": "0" * 64 + ".json"}, {"0" * 64 + ".json": CONFIG_DATA}, "has the content of"),
        ({"Layers": ["../l.tar"]}, {}, "names no file"),
        ({"Layers": ["/etc/passwd"]}, {}, "has no file etc/passwd"),
        ({"Layers": []}, {}, "1 diff ids, manifest.json 0 layers"),
        ({"Config": None}, {}, "names no file"),
        ({"Layers": "l.tar"}, {}, "not a list"),
    ],
)
def test_docker_save_that_lies(store: Store, tmp_path: Path, change: Any, files: Any, why: str) -> None:
    item = [{**copy.deepcopy(SAVED), **change}]
    path = docker_save(tmp_path / "save", item, {"c.json": CONFIG_DATA, "l.tar": DATA, **files})
    before = content(store)
    with pytest.raises(RequestError, match=why):
        import_image(store, path)
    assert content(store) == before


def test_before_docker_1_10(store: Store, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "save", "w") as tar:
        info = tarfile.TarInfo("repositories")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))
    with pytest.raises(RequestError, match=r"Docker before 1\.10"):
        import_image(store, str(tmp_path / "save"))


def test_bombs(store: Store, tmp_path: Path) -> None:
    """An archive, and a layer, that become larger than they may; and headers that want memory."""
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(tar_of({"zeros": bytes(4 << 20)})))
    before = content(store)
    with pytest.raises(RequestError, match="becomes larger than 1M"):
        import_image(store, str(tmp_path / "bomb.gz"), limit=1 << 20)
    layout = Layout(tmp_path / "layout")
    with pytest.raises(RequestError, match="1048576 bytes"):
        import_image(store, layout.write(layout.image(tar_of({"zeros": bytes(4 << 20)}))), limit=1 << 20)
    header = tarfile.TarInfo("x")
    header.type, header.size = b"x", 1 << 40
    (tmp_path / "header.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(RequestError, match="a header of"):
        import_image(store, str(tmp_path / "header.tar"))
    assert content(store) == before


def test_sizes_in_an_archive_that_lie(store: Store, layout: Layout, tmp_path: Path) -> None:
    """A member that claims to go on behind the end of the file."""
    layout.write(layout.image(DATA))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in sorted(layout.path.rglob("*"), key=str):
            tar.add(path, str(path.relative_to(layout.path)), recursive=False)
    data = (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        last = max((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.offset)
    (tmp_path / "cut.tar").write_bytes(data[: last.offset_data + 10])
    with pytest.raises(RequestError, match="ends in the middle|not JSON"):
        import_image(store, str(tmp_path / "cut.tar"))
