"""One stage under construction: its config (image-spec, config.md), its layers, and its variables."""

from __future__ import annotations

import json
import os
import time

from ..images.formats.oci import ARCHITECTURES
from ..images.manifest import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..images.model import Image, Layer, LayerBlob
    from ..images.store import Store

SHELL = ("/bin/sh", "-c")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def now() -> str:
    """The time of a step, RFC 3339; SOURCE_DATE_EPOCH in its place (reproducible-builds.org)."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    at = int(text) if text.isdecimal() and len(text) < 12 else int(time.time())
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class Building:
    """The state between two instructions.

    ``image``: the last one in the store that has these layers, None before the first. ``args``: build arguments that
    are declared, by name; ``given``: those of the command line and of before FROM.
    """

    def __init__(self, image: Image | None, store: Store, given: Mapping[str, str]) -> None:
        self.store = store
        self.image = image
        self.layers: list[Layer] = list(image.layers) if image is not None else []
        value: dict[str, Any] = json.loads(store.config(image)) if image is not None else {}
        architecture = ARCHITECTURES.get(os.uname().machine, os.uname().machine)
        self.value: dict[str, Any] = {"architecture": architecture, "os": "linux", **value}
        self.config: dict[str, Any] = dict(value.get("config") or {})
        self.history: list[dict[str, Any]] = list(value.get("history") or [])
        self.created = str(value.get("created") or now())
        self.given, self.args = given, {}  # type: tuple[Mapping[str, str], dict[str, str]]
        # CMD of the base means nothing once ENTRYPOINT is another ("Understand how CMD and ENTRYPOINT interact")
        self.cmd_is_ours = False

    @property
    def env(self) -> dict[str, str]:
        """ENV so far."""
        return dict(word.partition("=")[::2] for word in self.config.get("Env") or ())

    def set_env(self, name: str, value: str) -> None:
        """One variable more, or another value."""
        self.config["Env"] = [f"{n}={v}" for n, v in {**self.env, name: value}.items()]

    @property
    def variables(self) -> dict[str, str]:
        """What ``$NAME`` means in an instruction: ENV before ARG ("Using ARG variables")."""
        return {**self.args, **self.env}

    @property
    def shell(self) -> tuple[str, ...]:
        """What runs the shell form."""
        return tuple(self.config.get("Shell") or SHELL)

    @property
    def workdir(self) -> str:
        """Where RUN starts and relative destinations begin."""
        return str(self.config.get("WorkingDir") or "/")

    @property
    def diff_ids(self) -> list[str]:
        """Of its layers, bottom first: what its files are."""
        return [layer.diff_id for layer in self.layers]

    def note(self, text: str, *, empty: bool) -> None:
        """A line of history for an instruction."""
        line = {"created": self.created, "created_by": text}
        self.history.append({**line, "empty_layer": True} if empty else line)

    def document(self, *more: str) -> bytes:
        """The config as it is to be stored; ``more``: the diff ids of layers that are about to be added."""
        rootfs = {"type": "layers", "diff_ids": [*self.diff_ids, *more]}
        return dump({**self.value, "created": self.created, "config": self.config, "rootfs": rootfs,
                     "history": self.history})  # fmt: skip

    def add_layer(self, blob: LayerBlob, text: str) -> Image:
        """A layer more; the image that it makes, which has no name."""
        self.created = now()
        self.note(text, empty=False)
        image = self.store.add(self.document(blob.diff_id), [*self.layers, blob])
        self.image, self.layers = image, list(image.layers)
        return image

    def take(self, image: Image, text: str) -> None:
        """As ``add_layer``, with the image that an earlier build has made of the same step."""
        self.image, self.layers = image, list(image.layers)
        self.created = image.created or now()
        self.note(text, empty=False)
