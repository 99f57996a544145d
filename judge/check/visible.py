"""Bytes of a program in a message for a person: short, printable, and without a way to write to the terminal."""

from __future__ import annotations

NAMED = {0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r"}


def visible(data: bytes, limit: int = 100) -> str:
    """At most ``limit`` bytes of ``data``, what is not printable as an escape; "..." stands for the rest."""
    text = data[:limit].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else NAMED.get(ord(c)) or _escape(c) for c in text)
    return shown + ("..." if len(data) > limit else "")


def lines(data: bytes, limit: int) -> str:
    """As ``visible`` for a message of several lines: line ends and tabs stay."""
    text = data[:limit].decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    shown = "".join(c if c.isprintable() or c in "\n\t" else NAMED.get(ord(c)) or _escape(c) for c in text)
    return shown.rstrip("\n") + ("..." if len(data) > limit else "")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
