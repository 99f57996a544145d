"""``pysandbox image import``, ``export``, ``pull`` and ``push``."""

from __future__ import annotations

from ...errors import RequestError
from ...images.names import parse
from ...images.store import Store
from ...units import parse_size
from ..main import tell
from ..printed import told
from .words import facts, parsed, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...images.model import Image


def import_(words: list[str]) -> int:
    """Prints the names or, if it has none, the id."""
    values, others = parsed("import", words, 1, 2, "PATH and a NAME, if it has none of its own or is to have another")
    from ...images.formats import import_image
    from ...images.unpack import LIMIT_BYTES

    name = values.get("name")
    if len(others) == 2:
        if name is not None:
            raise RequestError("image import", name, "the name is given twice")
        name = others[1]
    limit = parse_size("--limit", values["limit"]) if "limit" in values else LIMIT_BYTES
    store = Store()
    image = import_image(store, others[0], name, ref=values.get("ref", ""), limit=limit, unpack=_ids(values))
    _tell(store, image, values, name)
    return 0


def _ids(values: dict[str, Any]) -> str | None:
    ids = str(values.get("ids", "single"))
    return None if ids == "none" else ids


def _tell(store: Store, image: Image, values: dict[str, Any], name: str | None) -> None:
    notes = store.notes(image)
    if values.get("quiet"):
        lines: Sequence[str] = [short(image.id)]
    else:
        for note in notes:
            tell(f"note: {note}")
        lines = [str(parse(name))] if name is not None else image.names or [short(image.id)]
    told(values, {**facts(image), "notes": list(notes)}, lines)


def export(words: list[str]) -> int:
    """Says nothing."""
    values, others = parsed("export", words, 1, 1, "one NAME or ID")
    from ...images.formats import export_image

    form, path = values.get("format", "oci"), values.get("out", "-")
    if form == "oci-dir" and path == "-":
        raise RequestError("--out", path, "name a directory for --format oci-dir")
    if "ids" in values and form != "rootfs":
        raise RequestError("--ids", values["ids"], "only --format rootfs has files of somebody")
    export_image(Store(), others[0], path, form, ids=values.get("ids", "single"))
    return 0


def pull(words: list[str]) -> int:
    """Prints the name."""
    values, others = parsed("pull", words, 1, 1, "one HOST/NAME[:TAG]")
    from ...images.registry import pull as fetch

    store = Store()
    image = fetch(store, others[0], insecure=bool(values.get("insecure")), authfile=values.get("authfile", ""),
                  unpack=_ids(values))  # fmt: skip
    _tell(store, image, values, others[0])
    return 0


def push(words: list[str]) -> int:
    """Prints the digest by which the registry knows it."""
    values, others = parsed("push", words, 1, 2, "NAME|ID and, if it is to have another name there, HOST/NAME[:TAG]")
    from ...images.registry import push as send

    to = others[-1]
    digest = send(Store(), others[0], to, insecure=bool(values.get("insecure")), authfile=values.get("authfile", ""))
    told(values, {"name": str(parse(to)), "digest": digest}, [digest])
    return 0
