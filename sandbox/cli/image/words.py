"""What the subcommands have in common: their words and their output."""

from __future__ import annotations

from ...errors import RequestError
from ..flags import mixed
from ..tables.image import IMAGE_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...images.model import Image


def parsed(command: str, words: Sequence[str], least: int, most: int, what: str) -> tuple[dict[str, Any], list[str]]:
    """(values of flags, the other words), of which so many are taken. Raises RequestError."""
    values, others = mixed(f"image {command}", IMAGE_FLAGS[command], words, "image")
    if not least <= len(others) <= most:
        raise RequestError(f"image {command}", " ".join(others)[:80], f"takes {what}; see pysandbox help image")
    return values, others


def facts(image: Image) -> dict[str, Any]:
    """What every list says of an image."""
    return {"id": image.id, "digest": image.digest, "names": list(image.names), "created": image.created,
            "os": image.os, "architecture": image.architecture, "size_bytes": image.size_bytes}  # fmt: skip


def short(identity: str) -> str:
    """Twelve digits of an id, as everybody shows it."""
    return identity.removeprefix("sha256:")[:12]


def when(created: str) -> str:
    """The minute of a time as RFC 3339 has it."""
    return created[:16].replace("T", " ") if created[4:5] == "-" else ""
