"""An image for the whole session, made here, and containers of one test with that image in their store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.images.store import Store
from tests.containers.started import Containers
from tests.image_helper import busybox_image


@pytest.fixture(scope="session")
def image_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the image ``busybox``, whose layer is unpacked."""
    path = tmp_path_factory.mktemp("images") / "data"
    store = Store(str(path))
    name = busybox_image(store, tmp_path_factory.mktemp("root"))
    store.lowers(store.open(name))
    return path


@pytest.fixture
def boxes(pysandbox: Callable[..., Any], tmp_path: Path, image_data: Path) -> Iterator[Containers]:
    """Containers whose store has the image; the images are shared with all tests, all else is this one's."""
    with Containers(pysandbox, tmp_path) as made:
        (tmp_path / "data").mkdir(mode=0o700)
        os.symlink(image_data / "images", tmp_path / "data" / "images")
        yield made


@pytest.fixture
def data(boxes: Containers, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, for Python: ``sandbox.containers`` in this process uses the data directory of ``boxes``."""
    monkeypatch.setenv("PYSANDBOX_DATA", boxes.env["PYSANDBOX_DATA"])
    return Path(boxes.env["PYSANDBOX_DATA"])
