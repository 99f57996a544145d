"""The keys that leave a container's terminal without ending anything: ctrl-p,ctrl-q, as for docker."""

from __future__ import annotations

from ...errors import RequestError

DEFAULT = "ctrl-p,ctrl-q"
_CONTROLS = "abcdefghijklmnopqrstuvwxyz@[\\]^_"


def parse_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` or single characters; "none" for no keys at all. Raises RequestError."""
    if text == "none":
        return b""
    found = bytearray()
    for word in text.split(","):
        letter = word.removeprefix("ctrl-")
        if len(letter) != 1 or not letter.isascii() or (word != letter and letter not in _CONTROLS):
            why = f"expected none, or such as {DEFAULT}: characters, or ctrl-a to ctrl-z"
            raise RequestError("--detach-keys", text, why)
        found.append(ord(letter) & 31 if word != letter else ord(letter))
    return bytes(found)


class Keys:
    """Looks for the sequence in what is typed; what may be its begin is held back until the next key."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what is to be passed on, whether the sequence was complete: what comes after it is dropped)."""
        data, self._held = self._held + data, b""
        if not self._sequence:
            return data, False
        at = data.find(self._sequence)
        if at >= 0:
            return data[:at], True
        for count in range(min(len(data), len(self._sequence) - 1), 0, -1):
            if self._sequence.startswith(data[-count:]):
                self._held = data[-count:]
                return data[:-count], False
        return data, False
