"""Archives for tests, member by member and as wrong as they are wanted; and layers unpacked from them."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

from sandbox.images.unpack import Unpacked, unpack_layer

Entry = tuple[str, dict[str, Any]]


def file(name: str, data: bytes = b"", **fields: Any) -> Entry:
    return name, {"data": data, "mode": 0o644, **fields}


def directory(name: str, mode: int = 0o755, **fields: Any) -> Entry:
    return name, {"type": tarfile.DIRTYPE, "mode": mode, **fields}


def symlink(name: str, target: str) -> Entry:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}


def hardlink(name: str, target: str) -> Entry:
    return name, {"type": tarfile.LNKTYPE, "linkname": target}


def tar(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of these members, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, fields in entries:
            fields = dict(fields)
            data = fields.pop("data", None)
            info = tarfile.TarInfo(name)
            for key, value in fields.items():
                setattr(info, key, value)
            if data is not None:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def header(name: bytes, size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """One raw header; ``fields``: "at_OFFSET" -> bytes written there."""
    block = bytearray(512)
    block[: len(name)] = name
    for offset, text in ((100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, b"%011o\0" % size),
                         (136, b"%011o\0" % 0), (156, kind), (257, b"ustar\x0000")):  # fmt: skip
        block[offset : offset + len(text)] = text
    for key, text in fields.items():
        offset = int(key.removeprefix("at_"))
        block[offset : offset + len(text)] = text
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(records: dict[str, str] | bytes, kind: bytes = b"x") -> bytes:
    """A pax header; as bytes, its body as it is."""
    body = records if isinstance(records, bytes) else b"".join(_record(k, v) for k, v in records.items())
    return header(b"PaxHeaders/x", len(body), kind) + padded(body)


def _record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d" % length + rest


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Layers:
    """``unpack(bytes)`` into a fresh directory ``path``, which is empty again where it was refused."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp, self._number = tmp_path, 0
        self.path = tmp_path

    def unpack(self, blob: bytes | Path, **options: Any) -> Unpacked:
        self._number += 1
        self.path = self._tmp / f"layer-{self._number}"
        self.path.mkdir()
        source = blob
        if isinstance(source, bytes):
            source = self._tmp / f"blob-{self._number}"
            source.write_bytes(blob)  # type: ignore[arg-type]
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return unpack_layer(fd, into=str(self.path), **options)
        finally:
            os.close(fd)

    def is_whiteout(self, name: str) -> bool:
        found = (self.path / name).lstat()
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0

    def is_opaque(self, name: str) -> bool:
        try:
            return os.getxattr(self.path / name, "user.overlay.opaque") == b"y"
        except OSError:
            return False
