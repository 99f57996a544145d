"""``pysandbox policy import`` and ``export``: from and to the profiles of Docker and OCI runtimes."""

from __future__ import annotations

import os

from ...errors import RequestError
from .. import jsonfile
from ..printed import out
from .words import machine, notes, only, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_BYTES = 4 << 20


def import_(words: list[str]) -> int:
    """A profile -> a policy file."""
    from ...policy import oci

    values, others = parsed("import", words)
    only("import", others, 1, 1, "one FILE.json")
    arch, kernel = machine(values.get("arch")), _kernel(values.get("kernel"))
    caps = frozenset(c.strip() for word in values.get("cap_add", ()) for c in word.split(",") if c.strip())
    path = others[0]
    name = path.rpartition("/")[2].removesuffix(".json")
    policy, found = oci.read(_read(path), arch=arch, kernel=kernel, caps=caps, name=name, path=path)
    kept = f", capabilities {', '.join(sorted(caps))}" if caps else ""
    comment = f"From {path} for {arch}, Linux {kernel[0]}.{kernel[1]}{kept}."
    from ...policy.write import to_toml

    comment = "\n".join([comment, *(f"- {note}" for note in found)])
    _write(values, to_toml(policy, comment=comment))
    notes(found)
    return 0


def export_(words: list[str]) -> int:
    """A policy -> a profile."""
    import json

    from ...policy import load, oci

    values, others = parsed("export", words)
    only("export", others, 1, 1, "one NAME or FILE")
    profile, found = oci.write(load(others[0]), machine(values.get("arch")))
    _write(values, json.dumps(profile, indent=2) + "\n")
    notes(found)
    return 0


def _kernel(word: str | None) -> tuple[int, int]:
    given = word or os.uname().release
    parts = given.split(".")
    digits = "".join(c for c in (parts[1] if len(parts) > 1 else "") if c.isdecimal())
    if not parts[0].isdecimal() or not digits or (word and (len(parts) != 2 or digits != parts[1])):
        raise RequestError("--kernel", given[:80], "expected a version such as 5.10")
    return int(parts[0]), int(digits)


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RequestError("policy import", path[:200], f"cannot read: {why}") from None
    if len(text) > _MAX_BYTES:
        raise RequestError("policy import", path[:200], f"more than {_MAX_BYTES} bytes")
    return text


def _write(values: dict[str, Any], text: str) -> None:
    path = values.get("out", "-")
    if path == "-":
        out(text.removesuffix("\n").split("\n"))
        return
    fd = jsonfile.open_for(path, "--out")
    try:
        jsonfile.write(fd, text, path, "--out")
    finally:
        os.close(fd)
