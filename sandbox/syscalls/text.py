"""Numbers and bytes of a program as text that is safe to show: no control characters, no long strings."""

from __future__ import annotations

MAX_DATA_BYTES = 32  # of a buffer; strings (paths) are shown as far as they were captured
_INT, _LONG = 32, 64
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
CUT = "…"


def number(kind: str, value: int, width: int) -> str | None:
    """An argument that is a plain number, by its kind; None for other kinds. ``width``: bits of a long."""
    half = value & 0xFFFFFFFF
    if kind in ("int", "fd", "pid"):
        return str(_signed(half, _INT))
    if kind == "uint":
        return str(half)
    if kind == "long":
        return str(_signed(value, width))
    if kind == "ulong":
        return str(value)
    if kind == "ptr":
        return f"{value:#x}" if value else "NULL"
    if kind == "hex":
        return hexadecimal(value)
    if kind == "hex32":
        return hexadecimal(half)
    if kind == "key":
        return hexadecimal(half) if half else "IPC_PRIVATE"
    if kind == "id":  # -1 means "leave it", the whole range is unsigned
        return "-1" if half == 0xFFFFFFFF else str(half)
    if kind == "mode":
        return f"0{half & 0xFFFF:03o}"
    if kind == "dev":  # old_decode_dev and new_decode_dev of <linux/kdev_t.h>
        return f"makedev({half >> 8 & 0xFFF}, {half & 0xFF | half >> 12 & 0xFFF00})"
    return None


def hexadecimal(value: int) -> str:
    """A number in hexadecimal figures, 0 as it is."""
    return f"{value:#x}" if value else "0"


def string(memory: bytes) -> str:
    """A C string in quotes; with … behind it if its end was not captured."""
    content, end, _ = memory.partition(b"\0")
    return quoted(content, cut=not end)


def data(memory: bytes, length: int) -> str:
    """A buffer of ``length`` bytes in quotes, of which ``memory`` was captured."""
    return quoted(memory[: min(length, MAX_DATA_BYTES)], cut=length > min(len(memory), MAX_DATA_BYTES))


def quoted(content: bytes, cut: bool = False) -> str:
    """Bytes in quotes: what is printable UTF-8 as it is, all else as \\xNN."""
    if cut:  # the cut may be in the middle of a character
        for back in range(1, 4):
            if content[-back:-back + 1 or None] and content[-back] & 0xC0 != 0x80:
                lead = content[-back]
                if 0xC2 <= lead <= 0xF4 and back < (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4):
                    content = content[:-back]
                break
    text = content.decode("utf-8", "surrogateescape")
    return f'"{"".join(map(_escape, text))}"{CUT if cut else ""}'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value
