"""Names of images: ``[HOST[:PORT]/]PATH[:TAG][@DIGEST]`` (distribution-spec, "Pulling manifests"); no host by default.

Imported on the launch path of ``run --image``: plain loops, no regular expressions.
"""

from __future__ import annotations

from ..errors import RequestError
from ..record import Record

DEFAULT_TAG = "latest"
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_HEX = frozenset("0123456789abcdef")
_WORD = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
# What Docker and podman take; a path longer than this is no name anywhere.
MAX_NAME = 255
MAX_TAG = 128


class Name(Record):
    """A name by parts; ``str()`` is the full name that the store knows."""

    repository: str
    tag: str = DEFAULT_TAG
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def host(self) -> str:
        """The registry, "" where the name has none: the first part counts if it looks like a host."""
        first, slash, _ = self.repository.partition("/")
        return first if slash and _is_host(first) else ""


def parse(text: str, field: str = "image") -> Name:
    """Raises RequestError naming ``field``, also for control characters and ``..`` in any place."""
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise RequestError(field, text, "after @ comes sha256: and 64 hexadecimal digits")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    repository = f"{head}{slash}{last}"
    if colon and not (0 < len(tag) <= MAX_TAG and tag[0] in _WORD and set(tag) <= _WORD | {".", "-"}):
        raise RequestError(field, text, "a tag is letters, digits, '_', '.' and '-', at most 128 of them")
    parts = repository.split("/")
    if len(parts) > 1 and _is_host(parts[0]):
        host, port_colon, port = parts[0].partition(":")
        if not (_is_domain(host) and (not port_colon or (port.isdigit() and port.isascii() and len(port) < 6))):
            raise RequestError(field, text, "the registry is no HOST or HOST:PORT")
        parts = parts[1:]
    if len(repository) > MAX_NAME or not all(_is_component(part) for part in parts):
        raise RequestError(
            field, text, "a name of an image is lower-case letters and digits, with '.', '_', '-' and '/' between them"
        )
    return Name(repository=repository, tag=tag or DEFAULT_TAG, digest=digest)


def is_digest(text: str) -> bool:
    """``sha256:`` and 64 hexadecimal digits; the one algorithm that everybody has (image-spec, descriptor.md)."""
    return len(text) == 71 and text.startswith("sha256:") and set(text[7:]) <= _HEX


def is_prefix(text: str) -> bool:
    """Can it be the beginning of an image's id?"""
    return 4 <= len(text) <= 64 and set(text) <= _HEX


def _is_host(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost" or part.lower() != part


def _is_domain(host: str) -> bool:
    letters = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ-")
    return all(label and set(label) <= letters and "-" not in (label[0], label[-1]) for label in host.split("."))


def _is_component(part: str) -> bool:
    """[a-z0-9]+ with '.', '_', '__' or any number of '-' between."""
    if not part or part[0] not in _LOWER or part[-1] not in _LOWER:
        return False
    separators, kept = [""], frozenset("._-")
    for letter in part:
        if letter in kept:
            separators[-1] += letter
        elif letter not in _LOWER:
            return False
        elif separators[-1]:
            separators.append("")
    return all(s in ("", ".", "_", "__") or set(s) == {"-"} for s in separators)
