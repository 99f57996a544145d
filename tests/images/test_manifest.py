"""Manifests, indexes and configs of any shape: understood, or refused in words; never anything else."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.images.manifest import Bad, kind, parse_config, parse_index, parse_manifest
from tests.layout_helper import CONFIG, INDEX, LAYER, MANIFEST, sha256

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(sha256(b"")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
DESCRIPTOR = {"mediaType": LAYER, "digest": sha256(b"x"), "size": 1, "annotations": {"a": "b"},
              "platform": {"os": "linux", "architecture": "amd64"}}  # fmt: skip
DOCUMENTS: list[dict[str, Any]] = [
    {"schemaVersion": 2, "mediaType": MANIFEST, "config": {**DESCRIPTOR, "mediaType": CONFIG}, "layers": [DESCRIPTOR]},
    {"schemaVersion": 2, "mediaType": INDEX, "manifests": [DESCRIPTOR]},
    {"rootfs": {"type": "layers", "diff_ids": [sha256(b"x")]}, "author": "me", "created": "now", "config": {
        "Entrypoint": ["a"], "Cmd": ["b"], "Env": ["C=d"], "WorkingDir": "/", "User": "0", "Volumes": {"/v": {}},
        "ExposedPorts": {"1/tcp": {}}, "StopSignal": "TERM", "Labels": {"k": "v"}, "Shell": ["sh"]}},
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value in a document."""
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*at, key))
    return found


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """One with up to three values replaced by others."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(0, 3))):
        *above, last = draw(st.sampled_from(places(document)))
        inner = document
        for key in above:
            inner = inner[key]
        inner[last] = draw(VALUES)
        if not places(document):
            break
    return json.dumps(document).encode()


@settings(max_examples=300, database=None, derandomize=True, deadline=None)
@given(documents() | st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_document(data: bytes) -> None:
    for parse in (parse_manifest, parse_index, parse_config, lambda data: kind(data, MANIFEST, "it")):
        try:
            parse(data)
        except Bad as error:
            assert str(error)


def test_the_documents_themselves() -> None:
    manifest, index, config = (json.dumps(document).encode() for document in DOCUMENTS)
    assert parse_manifest(manifest).layers[0].digest == parse_index(index)[0].digest == sha256(b"x")
    assert parse_config(config)[1].user == "0"
