"""Errors about files of images."""

from __future__ import annotations

from ..errors import RequestError


def unreadable(path: str, why: object) -> RequestError:
    """``why``: a text, or an OSError."""
    text = (why.strerror or str(why)).lower() if isinstance(why, OSError) else str(why)
    return RequestError("image", path, f"cannot be read: {text}")
