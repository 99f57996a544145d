"""Image layouts for tests, written by hand: what is in them is up to the test, right or wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.images.store import Store

HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha256(data: bytes) -> str:
    """As digests are written."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: dict[str, bytes]) -> bytes:
    """A tar archive of regular files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Layout:
    """A directory with an image layout in it; ``put`` blobs, ``image``s of them, and ``write`` the index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.index: list[dict[str, Any]] = []

    def put(self, data: bytes, media: str, **more: Any) -> dict[str, Any]:
        """Its descriptor."""
        (self.path / "blobs/sha256" / sha256(data)[7:]).write_bytes(data)
        return {"mediaType": media, "digest": sha256(data), "size": len(data), **more}

    def json(self, value: object, media: str, **more: Any) -> dict[str, Any]:
        """The descriptor of a JSON blob."""
        return self.put(json.dumps(value).encode(), media, **more)

    def image(self, *layers: bytes, config: dict[str, Any] | None = None, architecture: str = HERE,
              packed: bool = True) -> dict[str, Any]:  # fmt: skip
        """The descriptor of a manifest with these layers, each a tar; ``packed``: by gzip."""
        found = self.json({
            "architecture": architecture, "os": "linux", "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        }, CONFIG)  # fmt: skip
        blobs = [
            self.put(gzip.compress(layer, mtime=0), f"{LAYER}+gzip") if packed else self.put(layer, LAYER)
            for layer in layers
        ]
        return self.json({"schemaVersion": 2, "mediaType": MANIFEST, "config": found, "layers": blobs}, MANIFEST)

    def write(self, *manifests: dict[str, Any], name: str = "test:1") -> str:
        """index.json; the path of it all. ``name`` is that of the first."""
        lines = [dict(manifest) for manifest in manifests]
        if name:
            lines[0]["annotations"] = {"org.opencontainers.image.ref.name": name}
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": lines}))
        return str(self.path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(str(tmp_path / "data"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty layout."""
    return Layout(tmp_path / "layout")


def content(store: Store) -> set[str]:
    """Every file of a store but its locks: what an import that failed may not change."""
    top = Path(store.root)
    return {str(path.relative_to(top)) for path in top.rglob("*") if not path.name.endswith("lock")}
